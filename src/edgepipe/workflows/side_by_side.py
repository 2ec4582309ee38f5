"""Several boards at the same time: a thread and a line of progress each, one failure costs one board, and Ctrl-C ends them all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Generic, TypeVar

from edgepipe.devices.connect import connect
from edgepipe.devices.inventory import DeviceEntry
from edgepipe.devices.stopping import Stop
from edgepipe.errors import Interrupted, InventoryError, Terminated, UsageError
from edgepipe.events import Emit, Note, Progress, StepFinished, StepStarted, silent

R = TypeVar("R")
FAREWELL_S = 8.0  # for boards that are told to stop; one that does not answer frees itself by its own deadline


class Line:
    """The line of progress of one board, from the first attempt to reach it to its end."""

    def __init__(self, emit: Emit, name: str) -> None:
        self._emit, self._name = emit, name
        self._ended, self._failed = "", False

    def __call__(self, done: float, detail: str = "") -> None:
        """So much is done."""
        self._emit(Progress(step=self._name, done=done, detail=detail))

    def ends(self, words: str, *, failed: bool = False) -> None:
        """Say how it ended."""
        self._ended, self._failed = words, failed


@contextmanager
def line(emit: Emit, name: str, total: float, unit: str) -> Iterator[Line]:
    """Yield a board's line of progress, which ends with the `with`, however that ends."""
    shown, began = Line(emit, name), monotonic()
    emit(StepStarted(step=name, total=total, unit=unit))
    shown(0, "connecting")
    try:
        yield shown
    except BaseException as exc:
        words = " ".join(str(exc).splitlines()[:1]) or "stopped"
        emit(StepFinished(step=name, seconds=monotonic() - began, detail=words, failed=True))
        raise
    emit(StepFinished(step=name, seconds=monotonic() - began, detail=shown._ended, failed=shown._failed))


def drop(result: object) -> None:
    """Keep nothing."""


def side_by_side(
    entries: Sequence[DeviceEntry],
    run: Callable[[DeviceEntry, Stop], R],
    *,
    words: Callable[[R], str],
    keep: Callable[[R], None] = drop,
    emit: Emit = silent,
) -> tuple[R, ...]:
    """Run on all boards at the same time and return their results in order; `keep` is given each as soon as it is there.

    Raises InventoryError before any board is touched where entries are wrong, with all of them; else what the first board raised,
    after all have ended. After Ctrl-C or SIGTERM it stops them all, waits until they have let go
    of their boards, and raises Interrupted or Terminated with what became of each, in `words`.
    """
    _check(entries)
    crew = _Crew(run, keep)
    # Not Thread.join: in CPython 3.11 one that a signal breaks off takes its thread for ended.
    overs = [threading.Event() for _ in entries]
    for entry, over in zip(entries, overs, strict=True):
        threading.Thread(target=crew.work, args=(entry, over), name=f"board {entry.name}", daemon=True).start()
    try:
        for over in overs:
            over.wait()
    except (KeyboardInterrupt, Terminated) as exc:
        crew.stop.ask()
        if not all(over.is_set() for over in overs):
            emit(Note(text="stopping; once more Ctrl-C waits for no board"))
        end = monotonic() + FAREWELL_S
        for over in overs:
            over.wait(max(0.0, end - monotonic()))
        raise _stopped(exc, [f"{entry.name}: {crew.became(entry, words)}" for entry in entries]) from exc
    for entry in entries:
        if entry.name in crew.failures:
            raise crew.failures[entry.name]
    return tuple(crew.results[entry.name] for entry in entries)


def _check(entries: Sequence[DeviceEntry]) -> None:
    """Raise what is wrong with entries that their file alone cannot tell, such as a key that is not there: all of it at once."""
    wrong: list[UsageError] = []
    for entry in entries:
        try:
            connect(entry)
        except UsageError as exc:
            wrong.append(exc)
    if len(wrong) > 1:
        raise InventoryError(
            f"{len(wrong)} boards cannot be reached as the inventory has them; no board was touched",
            problems=[f"{exc.what}. {exc.todo}" for exc in wrong],
            todo="Mend these entries; `edgepipe farm list NAME` says whether one is right.",
        )
    if wrong:
        raise wrong[0]


class _Crew(Generic[R]):
    """What all threads share."""

    def __init__(self, run: Callable[[DeviceEntry, Stop], R], keep: Callable[[R], None]) -> None:
        self._run, self._keep, self._keeping = run, keep, threading.Lock()
        self.stop, self.results, self.failures = Stop(), dict[str, R](), dict[str, BaseException]()

    def work(self, entry: DeviceEntry, over: threading.Event) -> None:
        """Do one board's work and say when it is over; never raises."""
        try:
            result = self._run(entry, self.stop)
            with self._keeping:
                self._keep(result)
            self.results[entry.name] = result
        except BaseException as exc:  # noqa: BLE001  a thread's end: whoever waits for it raises it
            self.failures[entry.name] = exc
        finally:
            over.set()

    def became(self, entry: DeviceEntry, words: Callable[[R], str]) -> str:
        """Say what became of a board's work."""
        if entry.name in self.results:
            return words(self.results[entry.name])
        if entry.name in self.failures:
            return str(self.failures[entry.name]).splitlines()[0]
        return f"it did not let go within {FAREWELL_S:g} s; it frees itself within 75 s"


def _stopped(exc: BaseException, became: Sequence[str]) -> Interrupted | Terminated:
    if isinstance(exc, Terminated):
        return Terminated(exc.what, problems=became, todo=AGAIN)
    return Interrupted("stopped by Ctrl-C", problems=became, todo=AGAIN)


AGAIN = "What is said to be kept stays; the same command does the rest."
