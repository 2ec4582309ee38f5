"""Where in a trace the measured windows lie, and whether they are long enough to count (METHODS §2, MLPerf Tiny's rules).

The board runs one long loop per window. It raises a marker that the meter samples with the current (S0), or it notes when the loop
began and ended by a clock that is known (S1), or this machine stamps that (S2, and S3 for a sensor that adds up on its chip). The
stamps are needed in any case: they say how many inferences a window has, and which marker is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise, zip_longest
from math import hypot, inf, sqrt

from edgepipe.devices.power.meter import MeterFacts
from edgepipe.devices.power.trace import Trace
from edgepipe.energy import SyncClass

FEWEST_WINDOWS = 4
SYNCHRONISED_S = 1e-3  # two loggers whose clocks are the same to so much (METHODS §2: S1), here with k = 2
LEAST_PERIODS = 200  # a window is at least so many (sample period + jitter) long
MOST_PULSES = 10_000  # a line that nobody drives has more of them than anybody wants to count
PULSE_TOLERANCE = 0.01  # by which share a marker may be longer or shorter than the stamps around it say


@dataclass(frozen=True, kw_only=True)
class Span:
    """From one moment to another, in seconds of this machine's monotonic clock."""

    start_s: float
    end_s: float

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.end_s - self.start_s


@dataclass(frozen=True, kw_only=True)
class Stamp(Span):
    """One long loop of `inferences`; either of its ends may be wrong by `uncertainty_s` (k = 1).

    `logged`: the board itself noted when it began and ended, by a clock that is known to this machine's within that uncertainty.
    """

    inferences: int
    uncertainty_s: float
    logged: bool = False


@dataclass(frozen=True, kw_only=True)
class Idle:
    """When the board did nothing, in the same state, before the first window and after the last."""

    before: Span
    after: Span


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What is needed for a figure. An energy by other rules than the usual ones says so, and is compared with none by them.

    Under four `windows` their spread would say nothing.
    """

    windows: int = 5
    window_s: float = 10.0
    inferences: int = 10
    idle_s: float = 5.0

    def __post_init__(self) -> None:
        if self.windows < FEWEST_WINDOWS:
            raise ValueError(f"{self.windows} windows have no spread that says anything")


# METHODS §2: the rules of MLPerf Tiny, which are stricter than the class S3 asks (1 s), and idle power before and after.
MLPERF_TINY = Rules()


@dataclass(frozen=True, kw_only=True)
class Window(Span):
    """A measured stretch of `inferences`; either end may be off by `edge_s` (k = 1)."""

    inferences: int
    edge_s: float


@dataclass(frozen=True, kw_only=True)
class Found:
    """The windows of a trace, or the `problems` that leave it without; `missing` stamps have no marker, or another one's."""

    sync: SyncClass
    windows: tuple[Window, ...]
    missing: int = 0
    problems: tuple[str, ...] = ()


def sync_of(facts: MeterFacts, stamps: Sequence[Stamp], *, marked: bool, began_s: float = inf) -> SyncClass:
    """Return the best class that is reached; `marked`: the meter's marker is wired to a board that raises it.

    A meter that cannot tell of lost samples does not know when anything was: it never gets beyond the host's stamps. Nor does one
    whose clock has run too far away since the trace `began_s`.
    """
    if facts.accumulates:
        return SyncClass.S3
    if not facts.drops_detectable:
        return SyncClass.S2
    if marked and facts.has_marker:
        return SyncClass.S0
    worst_s = max((hypot(facts.jitter_s, stamp.uncertainty_s, _skew_s(facts, stamp, began_s)) for stamp in stamps), default=inf)
    return SyncClass.S1 if all(stamp.logged for stamp in stamps) and 2 * worst_s <= SYNCHRONISED_S else SyncClass.S2


def find_windows(
    facts: MeterFacts,
    trace: Trace,
    stamps: Sequence[Stamp],
    idle: Idle,
    *,
    marked: bool = False,
    falling: bool = False,
    rules: Rules = MLPERF_TINY,
) -> Found:
    """Return the windows, one per stamp, with all that is wrong with them; a marker that is `falling` does so at both ends."""
    began_s = next((float(piece.time_s[0]) for piece in trace.pieces() if piece.time_s.size), inf)
    sync = sync_of(facts, stamps, marked=marked, began_s=began_s)
    problems = list(_too_few(stamps, idle, rules))
    if sync is SyncClass.S0:
        windows, missing = _by_marker(facts, trace, stamps, idle, falling=falling)
        if missing:
            problems.append(
                f"the marker does not match the {len(stamps)} windows: {missing} edges too many or too few"
                " (its wire is loose, or another program moves the pin: check both, or leave the marker out of the power entry)"
            )
    else:
        windows, missing = tuple(_by_stamp(facts, stamps, began_s)), 0
    problems += _too_short(facts, windows, rules)
    return Found(sync=sync, windows=windows, missing=missing, problems=tuple(problems))


def _too_few(stamps: Sequence[Stamp], idle: Idle, rules: Rules) -> Iterator[str]:
    if len(stamps) < rules.windows:
        yield f"{len(stamps)} windows were measured, {rules.windows} are needed"
    for name, span in (("before", idle.before), ("after", idle.after)):
        if span.seconds < rules.idle_s:
            yield f"idle power {name} the windows was measured for {span.seconds:.3g} s, {rules.idle_s:g} s are needed"
    order = [idle.before, *stamps, idle.after]
    if any(late.start_s < early.end_s for early, late in pairwise(order)):
        yield "the windows overlap, or the board was not idle before and after them (measure one after another)"


def _too_short(facts: MeterFacts, windows: Sequence[Window], rules: Rules) -> Iterator[str]:
    sampled_s = LEAST_PERIODS * (facts.period_s + facts.jitter_s)
    needed_s = max(rules.window_s, sampled_s)
    why = f", {LEAST_PERIODS} periods of this meter" if sampled_s > rules.window_s else ""
    for number, window in enumerate(windows, 1):
        if window.seconds < needed_s:
            yield f"window {number} is {window.seconds:.4g} s long, {needed_s:.4g} s are needed{why} (run more inferences in each)"
        if window.inferences < rules.inferences:
            yield f"window {number} has {window.inferences} inferences, {rules.inferences} are needed"


def _by_stamp(facts: MeterFacts, stamps: Sequence[Stamp], began_s: float) -> Iterator[Window]:
    for stamp in stamps:
        edge_s = hypot(stamp.uncertainty_s, _skew_s(facts, stamp, began_s), sampling_s(facts))
        yield Window(start_s=stamp.start_s, end_s=stamp.end_s, inferences=stamp.inferences, edge_s=edge_s)


def _skew_s(facts: MeterFacts, stamp: Stamp, began_s: float) -> float:
    """Return by how much a clock that nobody sets right has run away from this machine's since the trace began (k = 1)."""
    return 0.0 if facts.follow_clock else facts.clock_error * max(0.0, stamp.end_s - began_s)


def sampling_s(facts: MeterFacts) -> float:
    """Return the standard uncertainty of a sample's place: ±1 sample, all equally likely, and its jitter."""
    return hypot(facts.period_s / sqrt(3), facts.jitter_s)


def _by_marker(
    facts: MeterFacts, trace: Trace, stamps: Sequence[Stamp], idle: Idle, *, falling: bool
) -> tuple[tuple[Window, ...], int]:
    """Return a window per stamp that has exactly one pulse of its length, and how many edges are too many or too few."""
    found = _between_falls if falling else _pulses
    pulses = list(islice(found(trace, idle.before.start_s, idle.after.end_s), MOST_PULSES))
    windows, missing = list[Window](), 0
    for stamp in stamps:
        own = [pulse for pulse in pulses if _overlap(pulse, stamp)]
        pulses = [pulse for pulse in pulses if not _overlap(pulse, stamp)]
        tolerance_s = PULSE_TOLERANCE * stamp.seconds + 5 * sqrt(2) * stamp.uncertainty_s
        if len(own) == 1 and abs(own[0].seconds - stamp.seconds) <= tolerance_s:
            pulse = own[0]
            edge_s = sampling_s(facts)
            windows.append(Window(start_s=pulse.start_s, end_s=pulse.end_s, inferences=stamp.inferences, edge_s=edge_s))
        else:
            missing += max(1, 2 * abs(len(own) - 1))
    return tuple(windows), missing + 2 * len(pulses)


def _overlap(one: Span, other: Span) -> bool:
    return one.start_s < other.end_s and one.end_s > other.start_s


def _pulses(trace: Trace, start_s: float, end_s: float) -> Iterator[Span]:
    """Yield the stretches in which the marker is up; one that is so throughout one end of the trace has no such end."""
    rise_s, up = -inf, False
    for edge_s, level in _edges(trace, start_s, end_s):
        if up and not level:
            yield Span(start_s=rise_s, end_s=edge_s)
        rise_s, up = edge_s, level
    if up:
        yield Span(start_s=rise_s, end_s=inf)


def _between_falls(trace: Trace, start_s: float, end_s: float) -> Iterator[Span]:
    """Yield from a fall of the marker to the next, two by two; one that has no other has no end."""
    falls = (edge_s for edge_s, level in _edges(trace, start_s, end_s) if not level and edge_s > -inf)
    return (Span(start_s=first, end_s=second) for first, second in zip_longest(falls, falls, fillvalue=inf))


def _edges(trace: Trace, start_s: float, end_s: float) -> Iterator[tuple[float, bool]]:
    """Yield when the marker changes and whether it is up then, after what it is to begin with, at no time.

    An edge lies between two samples: the middle is as good as any.
    """
    import numpy as np

    up, last_s = None, -inf
    for piece in trace.pieces(start_s, end_s):
        inside = (piece.time_s >= start_s) & (piece.time_s <= end_s)
        if piece.marker is None:
            continue
        level, time_s = piece.marker[inside], piece.time_s[inside]
        if not level.size:
            continue
        if up is None:
            up = bool(level[0])
            yield -inf, up
        changes = np.flatnonzero(np.diff(level, prepend=up))
        for index in changes:
            yield float(time_s[index] + (time_s[index - 1] if index else last_s)) / 2, bool(level[index])
        up, last_s = bool(level[-1]), float(time_s[-1])
