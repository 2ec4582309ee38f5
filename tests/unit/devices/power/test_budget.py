"""The spread of a few windows says how well their median is known: not as well as one would think."""

from __future__ import annotations

import numpy as np
import pytest

from edgepipe.devices.power.budget import median_factor, spread_of_median


@pytest.mark.parametrize("count", [5, 7, 9, 15])
def test_the_median_scatters_as_drawn_medians_do(count: int) -> None:
    values = np.random.default_rng(count).standard_normal((100_000, count))
    assert np.std(np.median(values, axis=1)) * np.sqrt(count) == pytest.approx(median_factor(count), rel=0.01)


def test_the_factor_of_many_is_the_one_of_the_textbooks() -> None:
    assert median_factor(2001) == pytest.approx(np.sqrt(np.pi / 2), rel=1e-3)
    assert median_factor(1) == pytest.approx(1.0, rel=1e-6)


def test_an_even_number_counts_as_the_odd_one_below() -> None:
    assert median_factor(6) == median_factor(5)


@pytest.mark.parametrize("count", [5, 7])
def test_twice_the_spread_holds_the_truth_19_times_in_20(count: int) -> None:
    random = np.random.default_rng(11)
    values = random.standard_normal((4000, count))
    within = [abs(np.median(row)) <= 2 * spread_of_median(row.tolist()) for row in values]
    assert 0.94 <= np.mean(within) <= 0.975


def test_three_values_say_nothing() -> None:
    with pytest.raises(ValueError, match="3 values"):
        spread_of_median([1.0, 2.0, 3.0])
