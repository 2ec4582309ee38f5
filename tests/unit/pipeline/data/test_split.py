"""Splits are the same for ever, keep every class's share, and lose no sample."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepipe.errors import DataError
from edgepipe.pipeline.data import Dataset, calibration, split

labels_of_classes = st.lists(st.integers(0, 6), min_size=4, max_size=200)


def numbered(labels: list[float] | None, samples: int | None = None) -> Dataset:
    """A dataset whose only feature is the sample's own number."""
    count = len(labels) if labels is not None else samples or 0
    return Dataset(inputs={"x": np.arange(count)}, labels=None if labels is None else np.array(labels), source="made up")


def numbers(dataset: Dataset) -> list[int]:
    return [int(number) for number in dataset.inputs["x"]]


def test_the_draw_is_written_down_for_ever() -> None:
    rest, part = split(numbered([0, 1] * 10), 0.3, seed=7)
    assert numbers(part) == [3, 4, 6, 11, 12, 13]
    assert numbers(calibration(numbered(None, 20), 5, seed=7)) == [3, 4, 6, 11, 12]
    assert len(numbers(rest)) == 14


def test_seeds_draw_differently() -> None:
    parts = {tuple(numbers(split(numbered(None, 50), 0.3, seed=seed)[1])) for seed in range(20)}
    assert len(parts) == 20


@given(labels=labels_of_classes, fraction=st.floats(0.05, 0.6), seed=st.integers(0, 2**32))
def test_no_sample_is_lost_or_doubled_and_no_class_disappears_from_the_rest(
    labels: list[float], fraction: float, seed: int
) -> None:
    dataset = numbered(labels)
    try:
        rest, part = split(dataset, fraction, seed=seed)
    except DataError as exc:
        assert "too few samples" in str(exc)
        return
    assert sorted(numbers(rest) + numbers(part)) == list(range(len(labels)))
    assert numbers(part) == sorted(numbers(part))
    assert part.labels is not None and [labels[k] for k in numbers(part)] == part.labels.tolist()
    if 2 * len(set(labels)) <= len(labels):
        assert rest.labels is not None and set(rest.labels.tolist()) == set(labels)


@given(counts=st.lists(st.integers(2, 60), min_size=1, max_size=8), fraction=st.floats(0.1, 0.5), seed=st.integers(0, 1000))
def test_every_class_gives_its_share_to_the_sample(counts: list[int], fraction: float, seed: int) -> None:
    labels = [float(label) for label, count in enumerate(counts) for _ in range(count)]
    try:
        _, part = split(numbered(labels), fraction, seed=seed)
    except DataError:
        assert round(len(labels) * fraction) == 0
        return
    assert part.samples == round(len(labels) * fraction)
    for label, count in enumerate(counts):
        assert part.labels is not None
        assert abs(int((part.labels == label).sum()) - count * fraction) <= 1.5


@pytest.mark.parametrize("labels", [None, [k / 7 for k in range(40)], [float(k) for k in range(40)]])
def test_what_has_no_classes_is_drawn_as_a_whole(labels: list[float] | None) -> None:
    rest, part = split(numbered(labels, 40), 0.25, seed=3)
    assert (rest.samples, part.samples) == (30, 10)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 15, float("nan")])
def test_a_fraction_lies_between_0_and_1(fraction: float) -> None:
    with pytest.raises(DataError, match="not a fraction between 0 and 1"):
        split(numbered([0, 1, 0, 1]), fraction, seed=0)


def test_lengths_that_disagree_cannot_be_split() -> None:
    uneven = Dataset(inputs={"x": np.arange(9)}, labels=np.arange(8) % 2, source="uneven")
    with pytest.raises(DataError, match="uneven: inputs and labels differ in length"):
        split(uneven, 0.5, seed=0)
    with pytest.raises(DataError, match="differ in length"):
        calibration(uneven, 3, seed=0)


@pytest.mark.parametrize("samples", [0, 1, 2])
def test_too_few_samples_are_said_so(samples: int) -> None:
    with pytest.raises(DataError, match="too few samples"):
        split(numbered(None, samples), 0.1, seed=0)


@given(labels=labels_of_classes, samples=st.integers(1, 250), seed=st.integers(0, 1000))
def test_calibration_takes_as_many_as_asked_and_every_class(labels: list[float], samples: int, seed: int) -> None:
    chosen = calibration(numbered(labels), samples, seed=seed)
    assert chosen.samples == min(samples, len(labels))
    assert len(set(numbers(chosen))) == chosen.samples
    if samples >= len(set(labels)) and 2 * len(set(labels)) <= len(labels):
        assert chosen.labels is not None and set(chosen.labels.tolist()) == set(labels)


def test_calibration_includes_a_rare_class() -> None:
    chosen = calibration(numbered([0.0] * 300 + [1.0] * 2), 10, seed=0)
    assert chosen.labels is not None and chosen.labels.tolist() == [0] * 9 + [1]


def test_calibration_without_samples_is_refused() -> None:
    with pytest.raises(DataError, match="at least one sample"):
        calibration(numbered([0, 1]), 0, seed=0)


def test_a_hundred_thousand_samples_of_a_thousand_classes_are_split_exactly() -> None:
    rest, part = split(numbered([float(k % 1000) for k in range(100_000)]), 0.15, seed=1)
    assert (rest.samples, part.samples) == (85_000, 15_000)
    assert part.labels is not None and set(np.bincount(part.labels.astype(int))) == {15}
