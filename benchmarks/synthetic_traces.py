"""Boards of known energy behind simulated meters: the true values are computed here, from the waveform alone.

Nothing here looks at how an energy is estimated. How a trace is drawn, once per seed (log: evenly in the logarithm):

    board     active power log 1 mW to 3 W, at 1.8, 3.3 or 5 V; idle even 5 to 60 % of it; an inference is one cycle of a square
              wave, log 50 to 500 Hz, duty even 0.2 to 0.9; an RC of log 10 us to 2 ms in the supply
    windows   5 of a whole number of cycles, even 10.2 to 11 s, even 0.3 to 1 s apart; idle even 5.1 to 5.5 s before and after
    spread    each window's work is 1 + N(0, s) of the true one, s log 0.01 to 0.5 %
    meter     gain u log 0.1 to 1 %, voltage u log 0.05 to 0.5 %, offset u log 0.001 to 0.3 % of the active current, its drift per
              minute u even 0 to 30 % of that, clock u log 2 to 50 ppm, noise log 0.1 to 20 % of the active current per sample; the
              real errors are drawn from these, normal or rectangular with equal chance
    S0        log 1 to 5 kS/s; a counter, and the marker sampled with the current
    S1        log 1 to 5 kS/s, jitter u even 0 to 10 % of a period; a counter; clock u log 0.05 to 1 ppm; stamps that the board took
              itself, mapped by two exchanges with its clock, whose errors are rectangles of u log 10 to 60 us, new in each
    S2        log 0.1 to 2 kS/s, jitter u even 0 to 20 % of a period; a counter or none; stamps whose u is log 0.2 to 3 ms: half of
              its square is one error of all beginnings and one of all ends, half is new in every stamp
    S3        log 25 to 200 readings a second of what adds up on the chip, jitter u even 0 to 10 % of a period; a counter or none;
              stamps as for S2
    faults    one a trace, of a kind that magnifies nothing; see `_spoilt`; losses told by times alone need a jitter u <= 5 %

Of each trace one thing is MAGNIFIED times what was drawn, so that each cause is the largest one somewhere; that thing is the
trace's kind. `drops` are lost samples of a meter that cannot tell: even 0.1 to 2 % of them; an accumulator loses nothing by them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from math import ceil, exp, log, sqrt
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgepipe.devices.power.meter import MeterFacts, Samples
from edgepipe.devices.power.simulated import Simulated, SimulatedMeter
from edgepipe.devices.power.windows import Idle, Span, Stamp

WINDOWS = 5
MAGNIFIED = 4.0
LATE_S = 60.0  # the trace begins at this reading of the clock
TAIL_S = 0.05
SURELY_DROPPED = 20  # samples expected to be lost: none at all once in 5e8 traces
CAUSES = ("gain", "voltage", "offset", "drift", "clock", "noise", "spread", "edges")
Sync: TypeAlias = Literal["S0", "S1", "S2", "S3"]
KINDS: dict[Sync, tuple[str, ...]] = {
    "S0": CAUSES,
    "S1": (*CAUSES, "stamps"),
    "S2": (*CAUSES, "stamps", "drops"),
    "S3": (*CAUSES, "stamps", "drops"),
}


class Fault(StrEnum):
    """What must be noticed."""

    DROPPED = "dropped samples, by the counter"
    GAPS = "dropped samples, by the times alone"
    SATURATED = "saturation"
    RESET = "sensor reset"
    MARKER_MISSING = "marker missing"
    MARKER_STUCK = "marker stuck"
    MARKER_SPLIT = "marker split"
    MARKER_CUT = "marker cut short"


MARKER_FAULTS = (Fault.MARKER_MISSING, Fault.MARKER_STUCK, Fault.MARKER_SPLIT, Fault.MARKER_CUT)


@dataclass(frozen=True, kw_only=True)
class Windowed:
    """A board that works in windows, by a square wave, and raises its marker meanwhile, if nothing is wrong with that."""

    spans: tuple[Span, ...]
    work: tuple[float, ...]
    frequency_hz: float
    duty: float
    has_marker: bool
    fault: Fault | None = None
    faulty: int = 0

    def active_s(self, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return for how long it has been active until each time; a window's work is more or less than that of the others."""
        total = np.zeros_like(time_s)
        for span, work in zip(self.spans, self.work, strict=True):
            cycles = (np.clip(time_s, span.start_s, span.end_s) - span.start_s) * self.frequency_hz
            whole = np.floor(cycles + 1e-9)
            part = np.clip(cycles - whole, 0.0, self.duty)
            total += work * (whole * self.duty + part) / self.frequency_hz
        return total

    def marked(self, time_s: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return whether the marker is up."""
        up = np.zeros(time_s.shape, bool)
        for number, span in enumerate(self.spans):
            end_s, own = span.end_s, number == self.faulty
            if own and self.fault is Fault.MARKER_CUT:
                end_s -= 0.1 * span.seconds
            if own and self.fault is Fault.MARKER_STUCK:
                end_s = np.inf
            inside = (time_s > span.start_s) & (time_s <= end_s)
            if own and self.fault is Fault.MARKER_SPLIT:
                inside &= np.abs(time_s - (span.start_s + span.end_s) / 2) > 0.01
            if not (own and self.fault is Fault.MARKER_MISSING):
                up |= inside
        return up


@dataclass(frozen=True, kw_only=True, eq=False)
class Synthetic:
    """One trace, what is told of it, and the truth."""

    kind: str
    sync: Sync
    facts: MeterFacts
    pieces: tuple[Samples, ...]
    stamps: tuple[Stamp, ...]
    idle: Idle
    true_uj: float
    true_dynamic_uj: float
    fault: Fault | None = None


@dataclass
class _Clock:
    """Time that only goes on when it is told to."""

    now_s: float

    def __call__(self) -> float:
        return self.now_s

    def rest(self, seconds: float) -> None:
        self.now_s += seconds


@dataclass(frozen=True, kw_only=True)
class Range:
    """Between what the readings a second, the jitter, the clock and the stamps of a class are drawn."""

    hz: tuple[float, float]
    jitter: float = 0.0  # of a period, at most
    clock_ppm: tuple[float, float] = (2, 50)
    stamp_s: tuple[float, float] = (2e-4, 3e-3)


RANGES: dict[Sync, Range] = {
    "S0": Range(hz=(1000, 5000)),
    "S1": Range(hz=(1000, 5000), jitter=0.1, clock_ppm=(0.05, 1), stamp_s=(1e-5, 6e-5)),
    "S2": Range(hz=(100, 2000), jitter=0.2),
    "S3": Range(hz=(25, 200), jitter=0.1),
}


def kinds() -> Iterator[tuple[Sync, str]]:
    """Yield every kind of trace."""
    return ((sync, kind) for sync, found in KINDS.items() for kind in found)


def draw(seed: int, sync: Sync, kind: str, fault: Fault | None = None) -> Synthetic:
    """Return the trace of a seed: the same one for the same arguments. A kind "" magnifies nothing."""
    random = np.random.default_rng([seed, 20261122])

    def even(low: float, high: float) -> float:
        return float(random.uniform(low, high))

    def logarithmic(low: float, high: float, cause: str) -> float:
        drawn = exp(even(log(low), log(high)))
        return drawn * MAGNIFIED if cause == kind else drawn

    volts = float(random.choice([1.8, 3.3, 5.0]))
    active_mw = logarithmic(1.0, 3000.0, "-")
    idle_mw = active_mw * even(0.05, 0.6)
    active_ua = active_mw / volts * 1e3
    frequency_hz, duty = logarithmic(50, 500, "-"), even(0.2, 0.9)
    ranges = RANGES[sync]
    rate_hz = logarithmic(*ranges.hz, "-")
    offset_ua = active_ua * logarithmic(1e-5, 3e-3, "offset")
    errors: Literal["normal", "rectangular"] = "normal" if even(0, 1) < 0.5 else "rectangular"
    counter = sync in ("S0", "S1") or fault in (Fault.DROPPED, Fault.GAPS) or (kind != "drops" and even(0, 1) < 0.5)
    settings = Simulated(
        volts=volts,
        idle_mw=idle_mw,
        active_mw=active_mw,
        edge_us=logarithmic(10, 2000, "edges"),
        period_us=1e6 / rate_hz,
        jitter_us=even(0, min(0.05, ranges.jitter) if fault is Fault.GAPS else ranges.jitter) * 1e6 / rate_hz,
        noise_ua=active_ua * logarithmic(1e-3, 0.2, "noise"),
        drop_share=even(1e-3, 0.02) if kind == "drops" else 0.0,
        counter=counter,
        accumulates=sync == "S3",
        gain=logarithmic(1e-3, 1e-2, "gain"),
        volt=logarithmic(5e-4, 5e-3, "voltage"),
        offset_ua=offset_ua,
        drift_ua=offset_ua * even(0, 0.3) * (MAGNIFIED if kind == "drift" else 1),
        clock_ppm=logarithmic(*ranges.clock_ppm, "clock"),
        errors=errors,
        seed=seed,
    )
    spans, idle = _schedule(random, frequency_hz)
    spread = logarithmic(1e-4, 5e-3, "spread")
    work = tuple(float(1 + spread * random.standard_normal()) for _ in spans)
    stamp_u_s = logarithmic(*ranges.stamp_s, "stamps")
    board = Windowed(spans=spans, work=work, frequency_hz=frequency_hz, duty=duty, has_marker=sync == "S0")
    if fault:
        settings, board = _spoilt(random, fault, settings, board, idle)
    facts, pieces = _recorded(settings, board, idle)
    if fault is Fault.GAPS:
        pieces = tuple(replace(piece, dropped=0) for piece in pieces)
    return Synthetic(
        kind=kind,
        sync=sync,
        facts=facts,
        pieces=pieces,
        stamps=(_logged if sync == "S1" else _stamps)(random, spans, frequency_hz, stamp_u_s),
        idle=idle,
        true_uj=1e3 * (idle_mw + (active_mw - idle_mw) * duty) / frequency_hz,
        true_dynamic_uj=1e3 * (active_mw - idle_mw) * duty / frequency_hz,
        fault=fault,
    )


def _schedule(random: np.random.Generator, frequency_hz: float) -> tuple[tuple[Span, ...], Idle]:
    """Return when the board works and when it rests."""
    now_s, spans = LATE_S + 0.1, list[Span]()
    before = Span(start_s=now_s, end_s=now_s + random.uniform(5.1, 5.5))
    now_s = before.end_s + 0.2
    for _ in range(WINDOWS):
        seconds = ceil(random.uniform(10.2, 11.0) * frequency_hz) / frequency_hz
        spans.append(Span(start_s=now_s, end_s=now_s + seconds))
        now_s += seconds + random.uniform(0.3, 1.0)
    return tuple(spans), Idle(before=before, after=Span(start_s=now_s, end_s=now_s + random.uniform(5.1, 5.5)))


def _stamps(random: np.random.Generator, spans: tuple[Span, ...], frequency_hz: float, u_s: float) -> tuple[Stamp, ...]:
    """Return what this machine believes about when the windows were."""
    common_s = random.standard_normal(2) * u_s / sqrt(2)
    stamps = list[Stamp]()
    for span in spans:
        start_s, end_s = common_s + random.standard_normal(2) * u_s / sqrt(2)
        inferences = round(span.seconds * frequency_hz)
        stamps.append(Stamp(start_s=span.start_s + start_s, end_s=span.end_s + end_s, inferences=inferences, uncertainty_s=u_s))
    return tuple(stamps)


def _logged(random: np.random.Generator, spans: tuple[Span, ...], frequency_hz: float, u_s: float) -> tuple[Stamp, ...]:
    """Return what a board's own clock says, as `ClockMap` maps it: what is wrong moves from one exchange's error to the other's."""
    before_s, after_s = (u_s * float(random.uniform(-sqrt(3), sqrt(3))) for _ in range(2))
    first_s, long_s = spans[0].start_s, spans[-1].end_s - spans[0].start_s

    def told(true_s: float) -> float:
        return true_s + before_s + (true_s - first_s) / long_s * (after_s - before_s)

    return tuple(
        Stamp(
            start_s=told(span.start_s),
            end_s=told(span.end_s),
            inferences=round(span.seconds * frequency_hz),
            uncertainty_s=u_s,
            logged=True,
        )
        for span in spans
    )


def _spoilt(
    random: np.random.Generator, fault: Fault, settings: Simulated, board: Windowed, idle: Idle
) -> tuple[Simulated, Windowed]:
    """Return settings and board with a fault somewhere between the idle times."""
    long_s = idle.after.end_s - idle.before.start_s
    if fault in (Fault.DROPPED, Fault.GAPS):
        fewest = SURELY_DROPPED * settings.period_us * 1e-6 / long_s
        return replace(settings, drop_share=float(np.exp(random.uniform(np.log(fewest), np.log(0.02))))), board
    if fault is Fault.SATURATED:
        mean_ma = (settings.idle_mw + (settings.active_mw - settings.idle_mw) * board.duty) / settings.volts
        return replace(settings, full_scale_ma=mean_ma * float(random.uniform(0.5, 0.97))), board
    if fault is Fault.RESET:
        return replace(settings, reset_after_s=float(random.uniform(0.2, long_s))), board
    return settings, replace(board, fault=fault, faulty=int(random.integers(WINDOWS)))


def _recorded(settings: Simulated, board: Windowed, idle: Idle) -> tuple[MeterFacts, tuple[Samples, ...]]:
    """Return what the meter says until a little after the idle time."""
    clock = _Clock(LATE_S)
    meter = SimulatedMeter(settings, activity=board, clock=clock, rest=clock.rest)
    facts, pieces = meter.open(), list[Samples]()
    clock.now_s = idle.after.end_s + TAIL_S
    while (piece := meter.read(deadline_s=0.0)).time_s.size or piece.dropped:
        pieces.append(piece)
    return facts, tuple(pieces)
