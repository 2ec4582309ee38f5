"""What a running step says of itself; nothing below the command line prints.

A function that takes longer than a moment has an `emit: Emit` parameter and calls it with these events. The command line turns them
into progress bars, a worker process into JSON lines, a test into a list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from time import monotonic
from typing import Protocol, TypeAlias


@dataclass(frozen=True, kw_only=True)
class StepStarted:
    """A step begins; `total` is its size in `unit`, or None where unknown."""

    step: str
    total: float | None = None
    unit: str = ""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """`done` of the step's total is done; `detail` is what a person would like to see meanwhile."""

    step: str
    done: float
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class StepFinished:
    """A step ended after `seconds`; `detail` says with what, `failed` whether that is not what was wanted."""

    step: str
    seconds: float
    detail: str = ""
    failed: bool = False


@dataclass(frozen=True, kw_only=True)
class Note:
    """Something the user should know although it is no error."""

    text: str
    warning: bool = False


Event: TypeAlias = StepStarted | Progress | StepFinished | Note
Emit: TypeAlias = Callable[[Event], None]


class Advance(Protocol):
    """Says how much of a step is done."""

    def __call__(self, done: float, detail: str = "") -> None:
        """`done` of the step's total is done."""


def unheard(done: float, detail: str = "") -> None:
    """An `Advance` for nobody."""


_KINDS: dict[str, type[StepStarted] | type[Progress] | type[StepFinished] | type[Note]] = {
    "started": StepStarted,
    "progress": Progress,
    "finished": StepFinished,
    "note": Note,
}


def silent(event: Event) -> None:
    """An `Emit` for nobody."""


@contextmanager
def step(emit: Emit, name: str, total: float | None = None, unit: str = "") -> Iterator[Advance]:
    """Emit start and end around a block; yields the function that says how far it is."""
    emit(StepStarted(step=name, total=total, unit=unit))
    began = monotonic()

    def advance(done: float, detail: str = "") -> None:
        emit(Progress(step=name, done=done, detail=detail))

    yield advance
    emit(StepFinished(step=name, seconds=monotonic() - began))


def to_json(event: Event) -> dict[str, object]:
    """Return the event as a JSON object with its kind under "event"."""
    kind = next(kind for kind, cls in _KINDS.items() if isinstance(event, cls))
    return {"event": kind, **asdict(event)}


def from_json(fields: dict[str, object]) -> Event:
    """Return the event that `to_json` wrote. Raises KeyError or TypeError for anything else."""
    values = dict(fields)
    return _KINDS[str(values.pop("event"))](**values)  # type: ignore[arg-type]
