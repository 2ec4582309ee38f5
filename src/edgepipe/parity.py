"""What was found when several runtimes answered the same inputs: who ran, who equals whom, and where two part."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Runtime(StrEnum):
    """What can run a `.tflite` here; named as `edgepipe bench` names runtime and delegate."""

    XNNPACK = "litert-xnnpack"  # LiteRT as it comes
    BUILTIN = "litert-none"  # its built-in kernels, no delegate
    REFERENCE = "litert-ref"  # its slow reference kernels
    TFLM = "tflm"  # TFLite Micro: what a microcontroller answers


class RuntimeOutcome(StrEnum):
    """How a runtime took the model."""

    RAN = "ran"
    REJECTED = "rejected"  # refused, crashed, or not done in time
    MISSING = "missing"  # not installed here


@dataclass(frozen=True, kw_only=True)
class Place:
    """One operator of the main graph: its number, its name in TFLite, the Keras layer it came from."""

    index: int
    op: str
    layer: str

    def __str__(self) -> str:
        return f'operator {self.index} {self.op} of layer "{self.layer}"' if self.layer else f"operator {self.index} {self.op}"


@dataclass(frozen=True, kw_only=True)
class RuntimeReport:
    """How one runtime took the model; `refused_at` is the first operator that it does not take, None where that is not known."""

    runtime: Runtime
    version: str
    outcome: RuntimeOutcome
    reason: str = ""
    refused_at: Place | None = None
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Distance:
    """How far answers of two runtimes lie apart, over `samples` inputs of which `exact` have every bit alike.

    `lsb` is the largest difference of integers, `ulp` that of floating-point numbers in units of the last place, `absolute` the
    same in their own unit (of finite numbers only); None where there are no numbers of that kind.
    """

    samples: int
    exact: int
    lsb: int | None
    ulp: int | None
    absolute: float | None


@dataclass(frozen=True, kw_only=True)
class Divergence:
    """The first operator whose results differ although its inputs do not, among inputs whose answers differ."""

    place: Place
    distance: Distance


@dataclass(frozen=True, kw_only=True)
class PairReport:
    """Two runtimes held against each other; `decisions_changed` None for answers that are no classes.

    `first` is None where the answers are alike, or where `untraced` says why it was not found.
    """

    a: Runtime
    b: Runtime
    distance: Distance
    decisions_changed: int | None
    first: Divergence | None = None
    untraced: str = ""

    @property
    def alike(self) -> bool:
        """Whether every answer has the same bits."""
        return self.distance.exact == self.distance.samples


@dataclass(frozen=True, kw_only=True)
class Parity:
    """One model in several runtimes on the same inputs; `inputs` says what they were, `advice` what follows from it."""

    model_sha256: str
    samples: int
    inputs: str
    runtimes: tuple[RuntimeReport, ...]
    pairs: tuple[PairReport, ...]
    advice: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """A board's answers held against those of a runtime on this machine; `decisions_changed` as in `PairReport`."""

    runtime: Runtime
    distance: Distance
    decisions_changed: int | None

    @property
    def alike(self) -> bool:
        """Whether every answer has the same bits."""
        return self.distance.exact == self.distance.samples


@dataclass(frozen=True, kw_only=True)
class BoardAnswers:
    """How one board answered, and with what; `error` is the slug of what went wrong, "" for nothing, and `reason` says it."""

    device: str
    emulated: bool
    arch: str = ""
    runtime: str = ""
    agreements: tuple[Agreement, ...] = ()
    error: str = ""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class BoardParity:
    """One model on boards and in the runtimes of this machine on the same inputs; fields as in `Parity`."""

    model_sha256: str
    samples: int
    inputs: str
    runtimes: tuple[RuntimeReport, ...]
    boards: tuple[BoardAnswers, ...]
    advice: tuple[str, ...]
