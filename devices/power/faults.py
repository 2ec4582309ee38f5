"""What makes a trace worth nothing: counted over the whole time from the idle power before the windows to that after them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgepipe.devices.power.integral import silence_s
from edgepipe.devices.power.meter import MeterFacts, Samples
from edgepipe.devices.power.trace import Trace
from edgepipe.devices.power.windows import Idle
from edgepipe.energy import TraceCounters

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NOISE = 6  # standard deviations below which no sample gets by chance
STEADY = 1 / 16  # of a period: half a period is then over five standard deviations of a step
NEARLY = 1 - 1e-6  # of the full scale, since files keep 24 bits of a sample
NOISE_SAMPLES = 200_000  # of the idle time are enough to tell the noise


@dataclass(kw_only=True)
class Faults:
    """What was found in a trace; `longest_s` is the longest time without a sample, `disorder` how often time did not rise."""

    facts: MeterFacts
    below_w: float
    samples: int = 0
    dropped: int = 0
    gaps: int = 0
    saturated: int = 0
    at_full_scale: int = 0
    negative: int = 0
    resets: int = 0
    not_numbers: int = 0
    disorder: int = 0
    longest_s: float = 0.0
    _last_s: float | None = field(default=None, repr=False)

    def counters(self, markers_missing: int) -> TraceCounters:
        """Return what a record keeps of it. What is known to be lost counts, though this meter may have lost more."""
        return TraceCounters(
            samples=self.samples,
            dropped=max(self.dropped, self.gaps) if self.facts.drops_detectable else self.dropped or None,
            saturated=max(self.saturated, self.at_full_scale),
            negative=self.negative,
            resets=self.resets,
            markers_missing=markers_missing,
        )

    def problems(self) -> Iterator[str]:
        """Yield a sentence per fault, with its usual cause and what to do."""
        counted = self.counters(0)
        if self.samples == 0:
            yield "the meter told nothing (it was unplugged, or another program reads it)"
        if counted.dropped:
            yield f"samples lost: {counted.dropped} (this machine is too busy, or the USB hub too slow: sample slower)"
        if counted.saturated:
            yield f"samples at the end of the meter's range: {counted.saturated} (take a larger range, or a smaller shunt)"
        if counted.negative:
            yield f"samples of negative power, beyond noise: {counted.negative} (swap the leads, or let the meter find its zero)"
        if counted.resets:
            yield f"times that the sensor lost its settings: {counted.resets} (its supply is not steady: power it from elsewhere)"
        if self.not_numbers:
            yield f"samples that are no numbers: {self.not_numbers} (the sensor's driver or its line is at fault)"
        if self.disorder:
            yield f"times that do not rise: {self.disorder} (the recording is damaged)"
        if self.longest_s > silence_s(self.facts):
            yield f"the meter told nothing for {self.longest_s:.3g} s (this machine was asleep or too busy to read it)"

    def take(self, piece: Samples) -> None:
        """Count the whole of a piece."""
        import numpy as np

        self.add(piece, np.ones(piece.time_s.shape, bool))

    def add(self, piece: Samples, inside: NDArray[np.bool_]) -> None:
        """Count a piece, of which the samples `inside` matter."""
        import numpy as np

        time_s, amps = piece.time_s[inside], piece.amps[inside]
        power_w = piece.volts[inside] * amps
        self.samples += time_s.size
        self.dropped += piece.dropped
        self.saturated += piece.saturated
        self.resets += piece.resets
        self.negative += int(np.count_nonzero(power_w < self.below_w))
        self.not_numbers += int(np.count_nonzero(~np.isfinite(power_w)))
        if self.facts.full_scale_a is not None:
            self.at_full_scale += int(np.count_nonzero(amps >= NEARLY * self.facts.full_scale_a))
        steps = np.diff(time_s, prepend=time_s[:1] if self._last_s is None else self._last_s)
        steps = steps[1:] if self._last_s is None else steps
        if steps.size:
            self._steps(steps)
        self._last_s = float(time_s[-1]) if time_s.size else self._last_s

    def _steps(self, steps: NDArray[np.float64]) -> None:
        """Count what the times tell. Steps of one and of two periods are told apart where the times are steady enough for that."""
        import numpy as np

        period_s = self.facts.period_s
        if self.facts.jitter_s <= STEADY * period_s:
            self.gaps += int(np.sum(np.rint(steps[steps > 1.5 * period_s] / period_s) - 1))
        self.disorder += int(np.count_nonzero(steps <= 0))
        self.longest_s = max(self.longest_s, float(steps.max()))


def find_faults(facts: MeterFacts, trace: Trace, idle: Idle) -> Faults:
    """Go through the trace from the beginning of the idle time before to the end of that after.

    What a meter says of the pieces around both ends counts with them, since it does not say of which sample.
    """
    faults = Faults(facts=facts, below_w=_least_w(facts, trace, idle))
    start_s, end_s = idle.before.start_s, idle.after.end_s
    for piece in trace.pieces(start_s, end_s):
        faults.add(piece, (piece.time_s >= start_s) & (piece.time_s <= end_s))
    return faults


def _least_w(facts: MeterFacts, trace: Trace, idle: Idle) -> float:
    """Return below which power a sample is negative by more than noise and offset explain, from the idle time's own noise."""
    import numpy as np

    powers, volts, count = list["NDArray[np.float64]"](), 0.0, 0
    for piece in trace.pieces(idle.before.start_s, idle.before.end_s):
        inside = (piece.time_s >= idle.before.start_s) & (piece.time_s <= idle.before.end_s)
        powers.append((piece.volts * piece.amps)[inside])
        volts = max(volts, float(np.max(np.abs(piece.volts))))
        count += powers[-1].size
        if count >= NOISE_SAMPLES:
            break
    power_w = np.concatenate(powers) if powers else np.zeros(0)
    noise_w = float(np.std(np.diff(power_w))) / np.sqrt(2) if power_w.size > 1 else 0.0
    return -float(NOISE * noise_w + 3 * facts.errors.offset_a * volts)
