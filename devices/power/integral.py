"""The energy of a trace between any two moments, with what an edge takes of a sample counted exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgepipe.devices.power.meter import MeterFacts
from edgepipe.devices.power.trace import Trace

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

HOLE = 10  # a meter is silent where there is no sample for so many (period + jitter)


@dataclass(frozen=True, kw_only=True, eq=False)
class Integral:
    """What has come together until each of the moments asked for, from any beginning on: joules, and volt-seconds.

    Both are of shape (moments,); NaN where the trace tells nothing of a moment.
    """

    joules: NDArray[np.float64]
    volt_s: NDArray[np.float64]


def silence_s(facts: MeterFacts) -> float:
    """Return after how long without a sample there is a hole in the trace."""
    return HOLE * (facts.period_s + facts.jitter_s)


def integrate(facts: MeterFacts, trace: Trace, moments: NDArray[np.float64]) -> Integral:
    """Return energy and volt-seconds until each of `moments`, seconds in any order, of shape (n,).

    The power of a sample holds from the sample before until its own time; that of the first, for one period. So the sum of V*I*dt
    grows linearly between two samples, and a moment between them takes its exact share.
    """
    import numpy as np

    order = np.argsort(moments)
    moments, sums = moments[order], np.full((2, moments.size), np.nan)
    reached = np.zeros(2)
    last_s: float | None = None
    margin_s = silence_s(facts)
    for piece in trace.pieces(float(moments[0]) - margin_s, float(moments[-1]) + margin_s):
        ends = piece.time_s
        if not ends.size:
            continue
        times = np.concatenate(([ends[0] - facts.period_s if last_s is None else last_s], ends))
        volts = piece.volts.astype(np.float64, copy=False)
        rates = np.stack([volts * piece.amps, volts])
        grown = np.concatenate((reached[:, None], reached[:, None] + np.cumsum(rates * np.diff(times), axis=1)), axis=1)
        first, behind = np.searchsorted(moments, times[0]), np.searchsorted(moments, times[-1], side="right")
        for row in range(2):
            sums[row, first:behind] = np.interp(moments[first:behind], times, grown[row])
        reached, last_s = grown[:, -1], float(ends[-1])
    sums[:, order] = sums.copy()
    return Integral(joules=sums[0], volt_s=sums[1])
