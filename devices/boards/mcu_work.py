"""Long loops on a microcontroller: so many invocations in one request, counted out beforehand, timed on this machine's clock."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Protocol

from edgepipe.devices.boards.mcu_talk import McuTalk
from edgepipe.devices.work import Stretch, StretchKind, Work, WorkRequest

PACED_S = 0.5  # a count of invocations that takes so long tells how long one takes
HIDDEN = 100  # times what is not known of when they began and ended
MARGIN = 1.05  # on top of a window, so that it does not fall short
MOST_SHORT = 6
MOST_RUNS = 1 << 22  # MODEL_RUNS_MAX of devices/firmware/core/model.h
GAP_S = 0.5  # between two windows, so that a marker falls
NAP_S, SHORTEST_S = 0.25, 0.001
ROUND_TRIPS = 5
DEADLINES = 4  # times what a window should take


@dataclass(frozen=True, kw_only=True)
class Seen:
    """When a board ran, on this machine's clock; either end may be wrong by `uncertainty_s` (k = 1)."""

    start_s: float
    end_s: float
    uncertainty_s: float

    @property
    def seconds(self) -> float:
        """How long it ran."""
        return self.end_s - self.start_s


class Runner(Protocol):
    """The loaded model of an open board."""

    def feed(self) -> None:
        """Write every input."""

    def run(self, count: int, *, deadline_s: float) -> Seen | None:
        """Run so often on what was fed, in one go, and return when; None: from the call to its end."""

    def round_trip_s(self) -> float:
        """Return how long the board takes to answer when there is nothing to do."""


@dataclass(frozen=True, kw_only=True)
class Loops:
    """A model that a board has loaded, and what it is fed."""

    talk: McuTalk
    inputs: Sequence[bytes]

    def feed(self) -> None:
        """Write every input."""
        for index, data in enumerate(self.inputs):
            self.talk.write(index, data)

    def run(self, count: int, *, deadline_s: float) -> None:
        """Run so often on what was fed, in one request."""
        self.talk.invoke(count, deadline_s=deadline_s)

    def round_trip_s(self) -> float:
        """Return the quickest of a few answers."""
        return min(self.talk.round_trip_s() for _ in range(ROUND_TRIPS))


def work_on(
    runner: Runner,
    request: WorkRequest,
    *,
    marked: bool,
    check: Callable[[], None],
    clock: Callable[[], float] = monotonic,
    nap: Callable[[float], None] = sleep,
) -> Work:
    """Have the board do the loops; `check` raises where it is to stop. Raises what `runner` raises.

    A window that falls short is run again with more, a few times.
    """
    uncertainty_s = runner.round_trip_s() / 2 / math.sqrt(3)  # the request lay anywhere in between: a rectangle (GUM 4.3.7)
    pause = _Pause(check=check, clock=clock, nap=nap, uncertainty_s=uncertainty_s)
    count = _bounded(max(request.least_inferences, math.ceil(MARGIN * request.window_s / _pace(runner, request, pause))))
    stretches, left = [pause.idle(request.idle_s)], MOST_SHORT
    while len(stretches) <= request.windows:
        seen = _window(runner, count, request, pause)
        if seen.seconds >= request.window_s or not left:
            stretches.append(_stretch(seen, count))
            continue
        left, count = left - 1, _bounded(math.ceil(MARGIN * count * request.window_s / max(seen.seconds, 1e-6)))
        if marked:  # the meter saw its marker, which belongs to no window: all before it is forgotten
            stretches = [pause.idle(request.idle_s)]
    pause.idle(GAP_S)
    stretches.append(pause.idle(request.idle_s))
    return Work(stretches=tuple(stretches), marked=marked)


def _bounded(count: int) -> int:
    return min(count, MOST_RUNS)


class _Pause:
    def __init__(
        self, *, check: Callable[[], None], clock: Callable[[], float], nap: Callable[[float], None], uncertainty_s: float
    ) -> None:
        self.check, self.clock, self._nap, self.uncertainty_s = check, clock, nap, uncertainty_s

    def idle(self, seconds: float) -> Stretch:
        """Leave the board alone for so long."""
        start_s = now_s = self.clock()
        while now_s - start_s < seconds:
            self._nap(max(SHORTEST_S, min(NAP_S, seconds - (now_s - start_s))))
            self.check()
            now_s = self.clock()
        return Stretch(kind=StretchKind.IDLE, start_s=start_s, end_s=now_s, uncertainty_s=self.uncertainty_s)


def _run(runner: Runner, count: int, pause: _Pause, *, deadline_s: float) -> Seen:
    runner.feed()
    start_s = pause.clock()
    seen = runner.run(count, deadline_s=deadline_s)
    return seen or Seen(start_s=start_s, end_s=pause.clock(), uncertainty_s=pause.uncertainty_s)


def _pace(runner: Runner, request: WorkRequest, pause: _Pause) -> float:
    """Return the seconds of one invocation, from as many as take PACED_S together, and hide what is not known of their ends."""
    count = 1
    while True:
        seen = _run(runner, count, pause, deadline_s=request.options.deadline_s)
        needed_s = max(PACED_S, min(HIDDEN * seen.uncertainty_s, request.window_s))
        took_s = max(seen.seconds, 1e-6)
        if took_s >= needed_s or count == MOST_RUNS:
            return took_s / count
        count = _bounded(max(2 * count, math.ceil(MARGIN * count * needed_s / took_s)))


def _window(runner: Runner, count: int, request: WorkRequest, pause: _Pause) -> Seen:
    pause.idle(GAP_S)
    return _run(runner, count, pause, deadline_s=request.options.deadline_s + DEADLINES * request.window_s)


def _stretch(seen: Seen, count: int) -> Stretch:
    return Stretch(
        kind=StretchKind.WINDOW, start_s=seen.start_s, end_s=seen.end_s, uncertainty_s=seen.uncertainty_s, inferences=count
    )
