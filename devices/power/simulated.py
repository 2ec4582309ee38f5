"""A meter that there is not: a board of known power, seen through all that a real meter does to it.

It says `simulated` of itself, and no figure made with it is ever taken for a measured one. Its errors are drawn from the error
terms that it states, once per `seed`, as those of one real meter are out of all that were made.

Behind `edgepipe bench --power` it goes by the wall clock and knows nothing of windows: the board is then always active, or, with a
`frequency_hz`, as often as that says, before and after the windows too, so there is no dynamic energy.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, Protocol

from pydantic import Field

from edgepipe.devices.power.feed import Site
from edgepipe.devices.power.meter import ErrorTerms, MeterFacts, MeterSettings, Positive, Samples
from edgepipe.errors import DeviceUnreachable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
AT_ONCE = 1 << 16  # samples per read at most
LOST_SCALE = 0.5  # what a sensor that lost its settings makes of the current
JITTER_MOST = 0.4  # of a period, so that times always rise
STEP_S = 0.02


@dataclass(frozen=True, kw_only=True)
class Simulated(MeterSettings):
    """A board that takes `idle_mw` and, when active, `active_mw` at `volts`, and the meter that looks at it.

    Without a `frequency_hz` it is always active; with it, a share `duty` of the time. Its current follows with a time constant
    of `edge_us`. A sample is the mean of `period_us`; its time is off by `jitter_us` and its current by `noise_ua` (both k = 1). A
    share `drop_share` of the samples is lost, which the meter notices only with a `counter`. Its standard uncertainties are the
    shares `gain` and `volt`, `offset_ua`, which moves by `drift_ua` a minute, and `clock_ppm`; they are `normal` or `rectangular`.
    It shows no more than `full_scale_ma`, and loses its settings `reset_after_s`. One that `accumulates` adds up on its chip: what
    is read is what came together since the last reading, whenever that was, so a lost one takes nothing away.
    """

    meter: Literal["simulated"] = "simulated"
    volts: Positive = 3.3
    idle_mw: NotNegative = 30.0
    active_mw: NotNegative = 120.0
    frequency_hz: Positive | None = None
    duty: Share = 0.5
    edge_us: NotNegative = 0.0
    period_us: Positive = 1000.0
    jitter_us: NotNegative = 0.0
    noise_ua: NotNegative = 0.0
    drop_share: Share = 0.0
    counter: bool = True
    accumulates: bool = False
    gain: Share = 0.002
    volt: Share = 0.001
    offset_ua: NotNegative = 1.0
    drift_ua: NotNegative = 0.0
    clock_ppm: NotNegative = 20.0
    errors: Literal["normal", "rectangular"] = "normal"
    full_scale_ma: Positive | None = None
    reset_after_s: Positive | None = None
    seed: Annotated[int, Field(ge=0, lt=1 << 32)] = 0

    def connect(self, site: Site) -> SimulatedMeter:
        """Return the meter, by the wall clock."""
        return SimulatedMeter(self)


class Activity(Protocol):
    """What the board does, in seconds of this machine's monotonic clock, arrays of shape (n,)."""

    has_marker: bool

    def active_s(self, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return for how long it has been active until each time, from any beginning on; half active counts half."""

    def marked(self, time_s: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return whether it raises its marker at each time."""


class Steady:
    """Always active, or a share `duty` of the time, `frequency_hz` times a second; without a marker."""

    has_marker = False

    def __init__(self, frequency_hz: float | None = None, duty: float = 1.0) -> None:
        self._frequency_hz, self._duty = frequency_hz, duty

    def active_s(self, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return whole cycles, and the part of the last one."""
        import numpy as np

        if self._frequency_hz is None:
            return time_s
        cycles = time_s * self._frequency_hz
        whole = np.floor(cycles)
        return (whole * self._duty + np.minimum(cycles - whole, self._duty)) / self._frequency_hz

    def marked(self, time_s: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return that it never does."""
        return time_s < time_s[:1]


@dataclass(frozen=True, kw_only=True)
class _Drawn:
    """The errors that this meter really has."""

    gain: float
    volt: float
    offset_a: float
    drift_a_per_s: float
    skew: float


class SimulatedMeter:
    """The meter; `activity` is what the board does, None: as the settings say. `clock` and `rest` are those of this machine."""

    def __init__(
        self,
        settings: Simulated,
        *,
        activity: Activity | None = None,
        clock: Callable[[], float] = time.monotonic,
        rest: Callable[[float], None] = time.sleep,
    ) -> None:
        usual = Steady(settings.frequency_hz, settings.duty if settings.frequency_hz else 1.0)
        self._settings, self._activity, self._clock, self._rest = settings, activity or usual, clock, rest
        self._began_s: float | None = None

    def open(self) -> MeterFacts:
        """Begin to measure, with errors drawn from the seed."""
        import numpy as np

        self._random = np.random.default_rng(self._settings.seed)
        self._drawn = self._draw()
        self._began_s, self._count, self._filtered, self._was_reset = self._clock(), 0, 0.0, False
        self._read_s, self._uncounted = self._began_s, 0.0
        return self._facts()

    def read(self, *, deadline_s: float) -> Samples:
        """Return the samples that were taken since. Raises DeviceUnreachable for a meter that is not open."""
        until_s = self._clock() + deadline_s
        while True:
            now_s = self._clock()
            due = self._due(now_s)
            if due or now_s >= until_s:
                return self._taken(min(due, AT_ONCE))
            self._rest(min(STEP_S, until_s - now_s))

    def close(self) -> None:
        """Stop measuring."""
        self._began_s = None

    def _draw(self) -> _Drawn:
        """Draw the errors; those of a meter whose limits are all that is known lie anywhere between ±sqrt(3) u."""
        said = self._settings
        draws = self._random.uniform(-(3**0.5), 3**0.5, 5) if said.errors == "rectangular" else self._random.standard_normal(5)
        gain, volt, offset, drift, skew = (float(draw) for draw in draws)
        return _Drawn(
            gain=gain * said.gain,
            volt=volt * said.volt,
            offset_a=offset * said.offset_ua * 1e-6,
            drift_a_per_s=drift * said.drift_ua * 1e-6 / 60,
            skew=skew * said.clock_ppm * 1e-6,
        )

    def _facts(self) -> MeterFacts:
        said = self._settings
        offset_a = (said.offset_ua**2 + said.drift_ua**2) ** 0.5 * 1e-6
        return MeterFacts(
            name="simulated",
            serial=f"seed {said.seed}",
            period_s=said.period_us * 1e-6,
            jitter_s=said.jitter_us * 1e-6,
            errors=ErrorTerms(gain=said.gain, volt=said.volt, offset_a=offset_a, source="the inventory: this meter is simulated"),
            full_scale_a=None if said.full_scale_ma is None else said.full_scale_ma * 1e-3,
            has_marker=self._activity.has_marker,
            drops_detectable=said.counter,
            accumulates=said.accumulates,
            simulated=True,
            clock_error=said.clock_ppm * 1e-6,
            follow_clock=False,
        )

    def _due(self, now_s: float) -> int:
        if self._began_s is None:
            raise DeviceUnreachable("the simulated meter is closed", todo="Open it first.")
        true_period_s = self._settings.period_us * 1e-6 * (1 + self._drawn.skew)
        return int((now_s - self._began_s) / true_period_s) - self._count

    def _taken(self, count: int) -> Samples:
        """Return the next samples: what happened in each, and what the meter made of it."""
        import numpy as np

        said, period_s = self._settings, self._settings.period_us * 1e-6
        began_s = self._began_s or 0.0
        edges = np.arange(self._count, self._count + count + 1, dtype=np.float64)
        true_s = began_s + edges * (period_s * (1 + self._drawn.skew))
        time_s = began_s + edges[1:] * period_s
        if said.jitter_us:
            off = self._random.standard_normal(count) * said.jitter_us * 1e-6
            time_s = time_s + np.clip(off, -JITTER_MOST * period_s, JITTER_MOST * period_s)
        amps, resets = self._shown(self._amps(true_s), true_s[1:] - began_s)
        full_a = np.inf if said.full_scale_ma is None else said.full_scale_ma * 1e-3
        kept = self._random.random(count) >= said.drop_share
        self._count += count
        shown = np.minimum(amps, full_a)
        return Samples(
            time_s=time_s[kept],
            volts=np.full(int(kept.sum()), said.volts * (1 + self._drawn.volt)),
            amps=self._since_last(shown * period_s, time_s, kept) if said.accumulates else shown[kept],
            marker=self._activity.marked(true_s[1:])[kept] if self._activity.has_marker else None,
            dropped=int(count - kept.sum()) if said.counter else 0,
            saturated=int(np.count_nonzero(amps[kept] >= full_a)),
            resets=resets,
        )

    def _amps(self, edges_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean current in each sample, in amperes."""
        import numpy as np

        said = self._settings
        level = np.diff(self._activity.active_s(edges_s)) / np.diff(edges_s)
        milliwatts = said.idle_mw + (said.active_mw - said.idle_mw) * self._followed(level)
        return milliwatts * 1e-3 / said.volts

    def _since_last(self, charge: NDArray[np.float64], time_s: NDArray[np.float64], kept: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the mean current between the readings that were `kept`: what came together over the time that they say it took."""
        import numpy as np

        counted = self._uncounted + np.cumsum(charge)
        at, times = counted[kept], time_s[kept]
        amps = np.diff(at, prepend=0.0) / np.diff(times, prepend=self._read_s)
        self._uncounted = float(counted[-1] - (at[-1] if at.size else 0.0)) if counted.size else self._uncounted
        self._read_s = float(times[-1]) if times.size else self._read_s
        return amps

    def _followed(self, level: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the level behind an RC filter, its mean in each sample; no charge is lost.

        Its state decays by a = exp(-period / tau) in a sample: y[n] = a*y[n-1] + (1-a)*x[n], which is summed up by doubling.
        """
        import numpy as np

        if not (self._settings.edge_us and level.size):
            return level
        periods = self._settings.period_us / self._settings.edge_us
        decay = float(np.exp(-periods))
        state = np.concatenate(([self._filtered], (1 - decay) * level))
        step, share = 1, decay
        while step < state.size and share > 1e-18:
            state[step:] = state[step:] + share * state[:-step]
            step, share = 2 * step, share * share
        self._filtered = float(state[-1])
        return level + (state[:-1] - level) * (1 - decay) / periods

    def _shown(self, amps: NDArray[np.float64], age_s: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
        """Return what the meter shows of currents at its age, and how often it lost its settings meanwhile."""
        said, drawn = self._settings, self._drawn
        shown = amps * (1 + drawn.gain) + drawn.offset_a + drawn.drift_a_per_s * age_s
        if said.noise_ua:
            shown = shown + self._random.standard_normal(amps.size) * said.noise_ua * 1e-6
        if said.reset_after_s is None:
            return shown, 0
        lost = age_s >= said.reset_after_s
        resets = int(bool(lost.any()) and not self._was_reset)
        self._was_reset = self._was_reset or bool(lost.any())
        shown[lost] *= LOST_SCALE
        return shown, resets
