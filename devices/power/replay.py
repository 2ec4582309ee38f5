"""A recorded trace, played as if it were measured now: what is built on meters can be tried without one.

There is no sensor, so its facts say `simulated`, whatever meter it was recorded with.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from edgepipe.devices.power.feed import Site
from edgepipe.devices.power.meter import MeterFacts, MeterSettings, Samples
from edgepipe.devices.power.pieces import cut
from edgepipe.devices.power.trace_file import TraceFile
from edgepipe.errors import DataError, DeviceUnreachable, MeterMissing

STEP_S = 0.05  # how often it is looked whether samples are due


@dataclass(frozen=True, kw_only=True)
class Replay(MeterSettings):
    """The trace in `file`, which `edgepipe power record` wrote, from its beginning; with `repeat` again and again."""

    meter: Literal["replay"] = "replay"
    file: Annotated[str, Field(min_length=1)]
    repeat: bool = False

    def connect(self, site: Site) -> ReplayMeter:
        """Return the meter, which opens the file when it is opened."""
        return ReplayMeter(self)


class ReplayMeter:
    """Plays a file at the pace at which it was recorded."""

    def __init__(
        self, settings: Replay, *, clock: Callable[[], float] = time.monotonic, rest: Callable[[float], None] = time.sleep
    ) -> None:
        self._settings, self._clock, self._rest = settings, clock, rest
        self._pieces: Iterator[Samples] | None = None
        self._waiting: Samples | None = None

    def open(self) -> MeterFacts:
        """Begin to play. Raises MeterMissing where the file is none."""
        try:
            trace = TraceFile(Path(self._settings.file))
        except DataError as exc:
            raise MeterMissing(exc.what, cause=exc.cause, todo=exc.todo) from exc
        self._pieces = _shifted(trace, self._clock(), repeat=self._settings.repeat)
        self._waiting = None
        return replace(trace.facts, name=f"replay of {trace.facts.name}", simulated=True)

    def read(self, *, deadline_s: float) -> Samples:
        """Return the samples whose time has come. Raises DeviceUnreachable at the end of the file, and where it is damaged."""
        until_s = self._clock() + deadline_s
        while True:
            if self._waiting is None:
                self._waiting = self._next()
            now_s = self._clock()
            due = int(self._waiting.time_s.searchsorted(now_s, side="right"))
            if due or now_s >= until_s or not self._waiting.time_s.size:
                return self._played(due)
            self._rest(min(STEP_S, until_s - now_s))

    def close(self) -> None:
        """Let go of the file."""
        self._pieces = self._waiting = None

    def _next(self) -> Samples:
        if self._pieces is None:
            raise DeviceUnreachable("the recording is not being played", todo="Open the meter first.")
        try:
            piece = next(self._pieces, None)
        except DataError as exc:
            raise DeviceUnreachable(exc.what, cause=exc.cause, todo=exc.todo) from exc
        if piece is None:
            raise DeviceUnreachable(
                f"the recording {self._settings.file} has come to its end",
                cause="it is shorter than what is measured now",
                todo="Record a longer one, or say `repeat: true`.",
            )
        return piece

    def _played(self, due: int) -> Samples:
        """Return the first `due` samples of the piece, with the counts of all of it; the rest waits without them."""
        piece = self._waiting
        assert piece is not None
        if due == piece.time_s.size:
            self._waiting = None
            return piece
        if due:
            self._waiting = cut(piece, slice(due, None), counted=False)
        return cut(piece, slice(0, due), counted=due > 0)


def _shifted(trace: TraceFile, began_s: float, *, repeat: bool) -> Iterator[Samples]:
    """Yield the pieces with the times of now; a repetition follows a period after the last sample."""
    while True:
        moved_s, last_s = None, began_s
        for piece in trace.pieces():
            if piece.time_s.size:
                moved_s = began_s + trace.facts.period_s - float(piece.time_s[0]) if moved_s is None else moved_s
                piece = replace(piece, time_s=piece.time_s + moved_s)
                last_s = float(piece.time_s[-1])
            yield piece
        if not repeat or moved_s is None:
            return
        began_s = last_s
