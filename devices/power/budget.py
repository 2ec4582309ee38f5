"""What an energy may be wrong by: every cause on its own, as a share of the energy (k = 1), by METHODS §2's formula.

    u²(e)/e² = gain² + shunt² + volt² + (offset*V*T/E)² + (sqrt2*edge/T)² + clock² + windows²

Gain, shunt, voltage, offset and clock are wrong in the same way in every window, and so may be the edges, since all stamps are made
in one way: more windows do not make them smaller. What differs from window to window does shrink with their number.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import erf, exp, lgamma, log, pi, sqrt

from edgepipe.devices.power.meter import MeterFacts
from edgepipe.devices.power.windows import FEWEST_WINDOWS, Window
from edgepipe.energy import BudgetTerm

STEPS = 4000


def terms(
    facts: MeterFacts, windows: Sequence[Window], joules: Sequence[float], volts: float, energies: Sequence[float]
) -> tuple[BudgetTerm, ...]:
    """Return the budget of the median of `energies`, those of one inference, any unit, one per window.

    `joules` are those of whole windows, `volts` is the mean voltage. Of several windows the worst counts for offset and edges.
    """
    errors = facts.errors
    meter = errors.source
    offset = max(abs(errors.offset_a * volts * w.seconds / joule) for w, joule in zip(windows, joules, strict=True))
    edges = max(sqrt(2) * w.edge_s / w.seconds for w in windows)
    spread = spread_of_median(energies) / median(energies)
    return (
        BudgetTerm(name="gain", share=errors.gain, source=meter),
        BudgetTerm(name="shunt", share=errors.shunt, source=meter),
        BudgetTerm(name="voltage", share=errors.volt, source=meter),
        BudgetTerm(name="offset", share=offset, source=f"{errors.offset_a * 1e6:.4g} uA, {meter}"),
        BudgetTerm(name="edges", share=edges, source=f"either edge within {max(w.edge_s for w in windows) * 1e3:.3g} ms"),
        BudgetTerm(name="clock", share=facts.clock_error, source="seconds of the meter"),
        BudgetTerm(name="windows", share=spread, source=f"spread of {len(energies)} windows"),
    )


def combined(budget: Sequence[BudgetTerm]) -> float:
    """Return the standard uncertainty of the whole, a share: the causes are independent of each other."""
    return sqrt(sum(term.share**2 for term in budget))


def median(values: Sequence[float]) -> float:
    """Return the median."""
    import numpy as np

    return float(np.median(values))


def spread_of_median(values: Sequence[float]) -> float:
    """Return the standard uncertainty of the median of a few values: it scatters wider than their mean by `median_factor`.

    Raises ValueError for fewer than four.
    """
    return spread_of_mean(values) * median_factor(len(values))


def spread_of_mean(values: Sequence[float]) -> float:
    """Return the standard uncertainty of the mean of a few values, from their own spread. Raises ValueError for fewer than four.

    The standard deviation of so few values is itself a guess: their mean, in units of it, follows Student's t with n - 1 degrees of
    freedom, whose standard deviation is sqrt((n - 1) / (n - 3)) (JCGM 101:2008, 6.4.9.4).
    """
    import numpy as np

    count = len(values)
    if count < FEWEST_WINDOWS:
        raise ValueError(f"the spread of {count} values says nothing")
    return float(np.std(values, ddof=1)) / sqrt(count) * sqrt((count - 1) / (count - 3))


@cache
def median_factor(count: int) -> float:
    """Return by how much the median of `count` normal values scatters wider than their mean: 1.198 for 5, sqrt(pi / 2) for many.

    The median of 2m + 1 values is the order statistic with the density (2m+1)! / m!² * F^m * (1-F)^m * f (H. A. David, Order
    Statistics, 2.1); its variance is integrated here. An even number counts as the odd one below it, which errs on the safe side.
    """
    half = (count - 1) // 2
    scale = exp(lgamma(2 * half + 2) - 2 * lgamma(half + 1) - half * log(4))
    step = 16 / STEPS
    variance = 0.0
    for index in range(STEPS + 1):
        x = -8 + index * step
        below = (1 + erf(x / sqrt(2))) / 2
        density = scale * (4 * below * (1 - below)) ** half * exp(-x * x / 2) / sqrt(2 * pi)
        variance += x * x * density * step
    return sqrt(variance * (2 * half + 1))
