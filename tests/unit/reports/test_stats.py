"""Statistics are held against theory, published examples and simulations with a known truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepipe.reports import stats

FLOATS = st.floats(-1e6, 1e6)
ANSWERS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=200)


@given(st.lists(FLOATS, min_size=1, max_size=50))
def test_median_and_mad_ignore_order_and_the_mad_is_never_negative(values: list[float]) -> None:
    assert stats.median(values) == stats.median(sorted(values, reverse=True))
    assert min(values) <= stats.median(values) <= max(values)
    assert stats.mad(values) >= 0


def test_the_mad_of_one_outlier_is_not_moved_by_it() -> None:
    assert stats.mad([1, 2, 3, 4, 1e9]) == 1


def test_the_median_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing"):
        stats.median([])


@pytest.mark.parametrize(("share", "needed"), [(0.90, 29), (0.95, 59), (0.99, 299), (0.5, 5)])
def test_a_tail_quantile_needs_samples(share: float, needed: int) -> None:
    assert stats.samples_needed(share) == needed
    assert stats.quantile(list(range(needed - 1)), share) is None
    assert stats.quantile(list(range(needed)), share) == pytest.approx(share * (needed - 1))


@given(st.lists(FLOATS, min_size=6, max_size=13), FLOATS)
def test_the_sign_flip_interval_moves_with_the_data_and_holds_their_mean(values: list[float], shift: float) -> None:
    found = stats.sign_flip_interval(values)
    moved = stats.sign_flip_interval([value + shift for value in values])
    assert found and moved
    slack = 1e-9 * (1 + abs(shift) + max(map(abs, values)))
    assert found.low - slack <= found.estimate <= found.high + slack
    assert moved.low == pytest.approx(found.low + shift, abs=10 * slack)
    assert moved.high == pytest.approx(found.high + shift, abs=10 * slack)


@given(st.lists(st.floats(-10, 10), min_size=6, max_size=10))
def test_the_interval_is_the_test_turned_round(values: list[float]) -> None:
    """Just outside the lower limit the one-sided test rejects, just inside it does not."""
    found = stats.sign_flip_interval(values)
    assert found
    step = 1e-6 * (1 + max(map(abs, values)))
    assert stats.sign_flip_p(values, found.low - step) <= 0.025
    assert stats.sign_flip_p(values, found.low + step) > 0.025


def test_too_few_pairs_have_no_interval() -> None:
    assert stats.sign_flip_interval([0.1, 0.2, 0.3, 0.1, 0.2]) is None
    assert stats.sign_flip_interval([0.1, 0.2, 0.3, 0.1, 0.2, 0.3]) is not None


def test_the_smallest_p_is_one_over_all_flips() -> None:
    assert stats.sign_flip_p([1.0] * 10) == 2**-10


def test_the_sampled_flips_agree_with_the_exact_ones() -> None:
    values = np.random.default_rng(1).normal(0.02, 0.02, 13)
    exact = stats.sign_flip_interval(list(values))
    many = stats.sign_flip_interval([*values, float(values.mean())])
    assert exact and many
    assert many.low == pytest.approx(exact.low, abs=0.003)
    assert many == stats.sign_flip_interval([*values, float(values.mean())])


@pytest.mark.parametrize("pairs", [7, 10, 14])
def test_the_sign_flip_interval_covers_what_it_says(pairs: int) -> None:
    """Symmetric heavy-tailed differences around a known truth; 400 of them, so 95 % +- 2.2 % at two standard errors."""
    random = np.random.default_rng(pairs)
    covered = 0
    for _ in range(400):
        found = stats.sign_flip_interval(list(0.03 + 0.01 * random.standard_t(3, pairs)))
        assert found
        covered += found.low <= 0.03 <= found.high
    assert covered / 400 > 0.925


@pytest.mark.parametrize(
    ("table", "low", "high"),
    [
        ((36, 12, 2, 0), 0.0569, 0.3404),  # Newcombe 1998, as are the next two
        ((18, 12, 2, 18), 0.0562, 0.3290),
        ((53, 0, 0, 1), -0.0729, 0.0729),
        ((59, 6, 16, 80), -0.1186, -0.0046),  # Cavo et al. 2012, in Fagerland, Lydersen and Laake, chapter 8
    ],
)
def test_the_paired_interval_agrees_with_published_examples(table: tuple[int, int, int, int], low: float, high: float) -> None:
    both, gained, lost, neither = table
    found = stats.newcombe_interval(both=both, gained=gained, lost=lost, samples=both + gained + lost + neither)
    assert found == pytest.approx((low, high), abs=1e-4)


@given(ANSWERS)
def test_swapping_the_models_mirrors_the_difference(answers: list[tuple[bool, bool]]) -> None:
    first, second = zip(*answers, strict=True)
    there, back = stats.paired_difference(first, second), stats.paired_difference(second, first)
    assert there.points == -back.points
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    assert -100 - 1e-9 <= there.low <= there.points <= there.high <= 100 + 1e-9


def test_two_models_without_a_mistake_still_have_an_interval() -> None:
    found = stats.paired_difference([True] * 300, [True] * 300)
    assert found.points == 0
    assert found.low == -found.high
    assert 0.5 < found.high < 2


@pytest.mark.parametrize(("first", "second"), [([], []), ([True], [True, False])])
def test_answers_to_other_questions_are_refused(first: list[bool], second: list[bool]) -> None:
    with pytest.raises(ValueError, match="same samples"):
        stats.paired_difference(first, second)


@pytest.mark.parametrize(("lost", "gained", "right"), [(0.010, 0.005, 0.975), (0.03, 0.01, 0.90), (0.002, 0.002, 0.99)])
def test_the_paired_interval_covers_what_it_says(lost: float, gained: float, right: float) -> None:
    random = np.random.default_rng(3)
    counts = random.multinomial(540, [right, gained, lost, 1 - right - gained - lost], size=1500)
    limits = [stats.newcombe_interval(both=both, gained=up, lost=down, samples=540) for both, up, down, _ in counts.tolist()]
    covered = np.mean([low <= gained - lost <= high for low, high in limits])
    assert covered > 0.94


def test_a_noisier_device_sees_less() -> None:
    quiet = stats.smallest_visible_change([100, 100.5, 99.5, 100.2, 99.8])
    noisy = stats.smallest_visible_change([100, 105, 95, 102, 98])
    assert quiet and noisy
    assert 0.02 < quiet < 0.03 < noisy
    assert stats.smallest_visible_change([100, 100, 100]) == pytest.approx(0.02)
    assert stats.smallest_visible_change([100, 101]) is None


def test_the_smallest_visible_change_is_seen_nine_times_in_ten() -> None:
    """Both stages at 5 %, ten pairs each, an effect of exactly the printed size, the spread known."""
    random = np.random.default_rng(5)
    spread, margin = 0.01, 0.02
    effect = math.log1p(margin + (stats.T9_FALSE_ALARM + stats.T9_POWER) * spread / math.sqrt(10))
    seen = 0
    for _ in range(300):
        stages = random.normal(effect, spread, (2, 10))
        seen += all(stats.sign_flip_p(list(stage), math.log1p(margin)) <= 0.05 for stage in stages)
    assert seen / 300 > 0.84
