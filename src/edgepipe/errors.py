"""Every way edgepipe can fail, each with its exit code.

    EdgepipeError
    ├── GateMissed              1   a threshold of the recipe was missed
    │   ├── ClaimNotReached     1   a stage's property is not in the file it wrote
    │   ├── VerifyFailed        1   the file does not fit the target
    │   └── Regressed           1   worse than the baseline
    ├── UsageError              2   a wrong argument, file or configuration
    │   ├── RecipeError         2
    │   ├── InventoryError      2
    │   ├── DataError           2
    │   ├── ModelFileError      2   missing, truncated or not a model
    │   ├── UnsupportedModel    2   a model that this stage or target cannot take
    │   └── MissingExtra        2   an optional part is not installed
    ├── Inconclusive            3   the run could not have seen the difference
    ├── InfrastructureError     4   the farm's fault, never the model's
    │   ├── WorkerDied          4
    │   ├── StorageError        4   disk full, no permission
    │   ├── DeviceUnreachable   4
    │   ├── MeterMissing        4   a power meter that is not there, is another one, or may not be read
    │   ├── HostKeyRefused      4   another machine than the one that was pinned
    │   ├── WrongBoard          4   another microcontroller than the one that was meant
    │   ├── RuntimeMissing      4   nothing on the board runs the model
    │   ├── DelegateFailed      4   an Edge TPU that is not there, or does not work
    │   └── DeviceBusy          4
    ├── InvalidRun              5   the conditions of the measurement changed
    │   └── NotComparable       5
    ├── ModelRejected           6   the model crashed, hung or does not fit
    │   └── SignatureRefused    6   not signed as the board or the inventory demands
    ├── InternalError          70   a bug in edgepipe
    └── Stopped               130   the user's word, which no part of a command takes for a failure of its own
        ├── Interrupted       130
        └── Terminated        143

A message has three parts: what happened, the usual cause, what to do next. Errors that can be found together are raised together:
`problems` lists them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar


class EdgepipeError(Exception):
    """Base of all errors; carries what happened, the usual cause and what to do next."""

    exit_code: ClassVar[int] = 70
    slug: ClassVar[str] = "internal-error"
    hint: ClassVar[str] = ""

    def __init__(self, what: str, *, cause: str = "", todo: str = "", problems: Sequence[str] = ()) -> None:
        super().__init__(what)
        self.what = what
        self.cause = cause
        self.todo = todo or self.hint
        self.problems = tuple(problems)

    def __str__(self) -> str:
        lines = [self.what, *(f"  - {problem}" for problem in self.problems)]
        if self.cause:
            lines.append(f"Usual cause: {self.cause}")
        if self.todo:
            lines.append(f"What to do: {self.todo}")
        return "\n".join(lines)


class GateMissed(EdgepipeError):
    """A gate of the recipe was missed; the artefact was made and is kept."""

    exit_code = 1
    slug = "gate-missed"
    hint = "Loosen the gate, or change the stages; the ledger above shows what each one did."


class ClaimNotReached(GateMissed):
    """A stage's property could not be read back from the file that it wrote."""

    slug = "claim-not-reached"
    hint = "The layers named above are where to look; `edgepipe verify` shows the file's facts."


class VerifyFailed(GateMissed):
    """The file does not have what the target needs."""

    slug = "verify-failed"
    hint = "`edgepipe quantize --mode int8` makes a model for microcontrollers."


class Regressed(GateMissed):
    """A comparison found the new one worse."""

    slug = "regressed"
    hint = "`edgepipe report` shows where."


class UsageError(EdgepipeError):
    """A wrong argument, file or configuration."""

    exit_code = 2
    slug = "usage"
    hint = "See --help."


class RecipeError(UsageError):
    """The recipe cannot be used as written."""

    slug = "recipe"
    hint = "docs/recipe.md lists every key."


class InventoryError(UsageError):
    """The inventory cannot be used as written."""

    slug = "inventory"
    hint = "farm_inventory.yaml in the repository is a working example."


class DataError(UsageError):
    """The data cannot be used with this model."""

    slug = "data"
    hint = "Mend the data, or point the recipe at other files."


class ModelFileError(UsageError):
    """The model file is missing, truncated or not a model."""

    slug = "model-file"
    hint = "Save the model again with model.save('model.keras')."


class UnsupportedModel(UsageError):
    """The model has something that this stage or target cannot take."""

    slug = "unsupported-model"
    hint = "Replace the layers named above."


class MissingExtra(UsageError):
    """An optional part of edgepipe is not installed."""

    slug = "missing-extra"
    hint = "pip install 'edgepipe[compress,micro,demo]'"


class Inconclusive(EdgepipeError):
    """The run could not have seen the difference that was asked about."""

    exit_code = 3
    slug = "inconclusive"
    hint = "Take more blocks, or a quieter machine."


class InfrastructureError(EdgepipeError):
    """Something broke that says nothing about the model."""

    exit_code = 4
    slug = "infrastructure"
    hint = "Try again; nothing was lost."


class WorkerDied(InfrastructureError):
    """The process that runs TensorFlow ended before it answered."""

    slug = "worker-died"
    hint = "The log named above has its last words; --memory and --timeout set its limits."


class StorageError(InfrastructureError):
    """A file could not be written: disk full, no permission."""

    slug = "storage"
    hint = "Free some space, or choose another place: EDGEPIPE_HOME says where on a board. Nothing half-written was left."


class DeviceUnreachable(InfrastructureError):
    """The board does not answer."""

    slug = "device-unreachable"
    hint = "Check power, cable and the inventory's transport."


class MeterMissing(InfrastructureError):
    """A power meter is not there, is another one than was meant, or may not be read."""

    slug = "meter-missing"
    hint = "Compare the inventory's power entry with what is connected; `edgepipe power check` tells what it finds."


class HostKeyRefused(InfrastructureError):
    """The machine at a board's address is not the one whose host key was pinned; nothing turns this off."""

    slug = "host-key-refused"
    hint = "Compare the fingerprint at the board itself before the inventory's host_key is changed."


class WrongBoard(InfrastructureError):
    """Another microcontroller than the one that was meant answers, or might be taken for it."""

    slug = "wrong-board"
    hint = "Compare the inventory's entry with the board at hand: its line, its probe, its board_id."


class RuntimeMissing(InfrastructureError):
    """A board lacks what was to run the model."""

    slug = "runtime-missing"
    hint = "`edgepipe farm probe BOARD` says which runtime fits it, `edgepipe farm provision BOARD` installs that."


class DelegateFailed(InfrastructureError):
    """An Edge TPU's delegate is missing, fails, hangs or crashes; the board says which of them, and lists what to do."""

    slug = "delegate-failed"
    hint = ""


class DeviceBusy(InfrastructureError):
    """Somebody else holds the board."""

    slug = "device-busy"
    hint = "Wait for it, or ask who holds it."


class InvalidRun(EdgepipeError):
    """The conditions changed while measuring, so the figures mean nothing."""

    exit_code = 5
    slug = "invalid-run"
    hint = "Let the board cool down and rest, then measure again."


class NotComparable(InvalidRun):
    """Two results that were not made in the same way."""

    slug = "not-comparable"
    hint = "Measure both in the same way; the fields that differ are named above."


class ModelRejected(EdgepipeError):
    """The model crashed, hung or does not fit where it was to run."""

    exit_code = 6
    slug = "model-rejected"
    hint = "`edgepipe verify MODEL --target T` says what the target needs."


class SignatureRefused(ModelRejected):
    """The model is not signed as the board or the inventory demands; nothing was switched."""

    slug = "signature-refused"
    hint = "`edgepipe sign MODEL --key KEY --target T` signs it; docs/deploying.md says how signing works."


class InternalError(EdgepipeError):
    """A bug in edgepipe."""

    hint = "Please report it with the log named above."


class Stopped(EdgepipeError):
    """Meant for the command: nothing that a part of it may pass over as its own failure."""

    exit_code = 130
    slug = "stopped"
    hint = "What was finished is kept: the same command goes on from there."


class Interrupted(Stopped):
    """Ctrl-C."""

    slug = "interrupted"


class Terminated(Stopped):
    """SIGTERM."""

    exit_code = 143
    slug = "terminated"


# DESIGN: with several cells the first that occurred of these is the command's exit code.
PRECEDENCE = (130, 143, 70, 2, 6, 1, 5, 4, 3, 0)


def worst_exit_code(codes: Iterable[int]) -> int:
    """Return the exit code of a command whose cells ended with `codes`; 0 for none."""
    return min(codes, key=PRECEDENCE.index, default=0)


def _subclasses(base: type[EdgepipeError]) -> Iterable[type[EdgepipeError]]:
    for cls in base.__subclasses__():
        yield cls
        yield from _subclasses(cls)


def error_for(slug: str) -> type[EdgepipeError]:
    """Return the error class with this slug: how an error crosses a process boundary."""
    return next((cls for cls in _subclasses(EdgepipeError) if cls.slug == slug), InternalError)
