"""Statistics of blocks and of paired answers: pure functions, each with its source."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Z_95 = 1.959963984540054  # standard normal quantile at 0.975
EXACT_PAIRS = 13  # up to here all 2^R sign flips are enumerated
SAMPLED_FLIPS = 8191  # beyond it so many, plus the one observed
# Student t with 9 degrees of freedom (10 pairs): 5 % false alarms, and the power per stage that makes 90 % over two stages.
T9_FALSE_ALARM = 1.833
T9_POWER = 1.817


@dataclass(frozen=True, kw_only=True)
class Interval:
    """An estimate between its two limits, all in the unit of what was estimated."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """Accuracy of the second minus the first, in percentage points, on the same samples; with its 95 % interval."""

    points: float
    low: float
    high: float
    samples: int
    lost: int
    gained: int


def median(values: Sequence[float] | NDArray[np.float64]) -> float:
    """Return the median. Raises ValueError for no values."""
    if len(values) == 0:
        raise ValueError("the median of nothing")
    return float(np.median(values))


def mad(values: Sequence[float] | NDArray[np.float64]) -> float:
    """Return the median absolute deviation from the median, in the values' unit and not scaled to a standard deviation."""
    return median(np.abs(np.asarray(values, dtype=float) - median(values)))


def samples_needed(share: float) -> int:
    """Return how many samples it takes to say anything about the `share` quantile: the smallest n with share^n <= 5 %.

    Only then does the largest sample lie above the quantile with 95 % confidence (Wilks, Ann. Math. Stat. 12, 1941).
    """
    tail = max(share, 1 - share)
    return math.ceil(math.log(0.05) / math.log(tail))


def quantile(values: Sequence[float] | NDArray[np.float64], share: float) -> float | None:
    """Return the `share` quantile, 0 < share < 1; None where there are too few samples to print one."""
    return float(np.quantile(values, share)) if len(values) >= samples_needed(share) else None


def sign_flip_interval(differences: Sequence[float], *, confidence: float = 0.95, seed: int = 0) -> Interval | None:
    """Return the mean of paired differences with its exact interval; None where there are too few pairs for one.

    Inverts the exact sign-flip test: a shift is inside where neither tail of its flips is below half of what `confidence` leaves.
    The limits are then means of subsets of the differences (Hartigan, J. Am. Stat. Assoc. 64, 1969). For ratios give their
    logarithms.
    """
    means, flips = _subset_means(np.asarray(differences, dtype=float), seed)
    rank = math.floor((1 - confidence) / 2 * flips + 1e-9)
    if rank < 1:
        return None
    return Interval(estimate=float(np.mean(differences)), low=float(means[rank - 1]), high=float(means[-rank]))


def sign_flip_p(differences: Sequence[float], margin: float = 0.0, *, seed: int = 0) -> float:
    """Return p of "the mean difference is at most `margin`", one-sided: small means larger than the margin. At least 2^-R."""
    means, flips = _subset_means(np.asarray(differences, dtype=float), seed)
    return float(1 + np.count_nonzero(means <= margin)) / flips


def _subset_means(differences: NDArray[np.float64], seed: int) -> tuple[NDArray[np.float64], int]:
    """Return the sorted mean of every flipped subset, and the number of flips with the empty subset, which is the data itself."""
    pairs = len(differences)
    if pairs == 0:
        raise ValueError("no pairs")
    if pairs <= EXACT_PAIRS:
        flipped = (np.arange(1, 2**pairs)[:, None] >> np.arange(pairs)) & 1
    else:
        flipped = np.random.default_rng(seed).integers(0, 2, size=(SAMPLED_FLIPS, pairs))
        flipped = flipped[flipped.any(axis=1)]
    return np.sort(flipped @ differences / flipped.sum(axis=1)), len(flipped) + 1


def paired_difference(first: Sequence[bool], second: Sequence[bool]) -> PairedDifference:
    """Return how much more often `second` is right than `first`, in points, with its 95 % interval.

    Newcombe's square-and-add interval with the continuity-corrected correlation: method 10 of Statistics in Medicine 17 (1998)
    2635-2650; it stays honest where both are nearly always right. Raises ValueError for different lengths and for no samples.
    """
    if len(first) != len(second) or not first:
        raise ValueError("answers to the same samples are needed")
    a, b = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    n, both, gained, lost = len(a), int((a & b).sum()), int((~a & b).sum()), int((a & ~b).sum())
    low, high = newcombe_interval(both=both, gained=gained, lost=lost, samples=n)
    return PairedDifference(points=100 * (gained - lost) / n, low=100 * low, high=100 * high, samples=n, lost=lost, gained=gained)


def newcombe_interval(*, both: int, gained: int, lost: int, samples: int) -> tuple[float, float]:
    """Return the 95 % limits of (gained - lost) / samples; see `paired_difference`."""
    neither = samples - both - gained - lost
    new, old = (both + gained) / samples, (both + lost) / samples
    new_low, new_high = wilson_interval(both + gained, samples)
    old_low, old_high = wilson_interval(both + lost, samples)
    margins = (both + gained) * (lost + neither) * (both + lost) * (gained + neither)
    excess = float(both * neither - gained * lost)
    if excess > 0:
        excess = max(excess - samples / 2, 0.0)
    correlation = excess / math.sqrt(margins) if margins else 0.0
    down = _square_and_add(new - new_low, old_high - old, correlation)
    up = _square_and_add(new_high - new, old - old_low, correlation)
    return new - old - down, new - old + up


def _square_and_add(one: float, other: float, correlation: float) -> float:
    return math.sqrt(max(0.0, one * one - 2 * correlation * one * other + other * other))


def wilson_interval(right: int, samples: int) -> tuple[float, float]:
    """Return the 95 % limits of a share (Wilson, J. Am. Stat. Assoc. 22, 1927)."""
    share, square = right / samples, Z_95**2 / samples
    centre = share + square / 2
    reach = Z_95 * math.sqrt(share * (1 - share) / samples + square / (4 * samples))
    return max(0.0, (centre - reach) / (1 + square)), min(1.0, (centre + reach) / (1 + square))


def smallest_visible_change(block_medians: Sequence[float], margin: float = 0.02) -> float | None:
    """Return the smallest relative change that ten interleaved pairs of such blocks would see: two stages, 90 % power in all.

    It is margin + (t_false_alarm + t_power) * s_d / sqrt(pairs), s_d: spread of a log ratio. None below three blocks.
    """
    if len(block_medians) < 3 or min(block_medians) <= 0:
        return None
    spread = math.sqrt(2) * float(np.std(np.log(block_medians), ddof=1))
    return margin + (T9_FALSE_ALARM + T9_POWER) * spread / math.sqrt(10)
