"""What samples do to ranges: whether more of them would move these, and which one sets a range alone."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest

from edgepipe.events import silent
from edgepipe.facts import CalibrationFacts
from edgepipe.pipeline.calibration import Extremes, judge, observe, samples_in_order, warnings
from edgepipe.pipeline.data import Dataset


def data(samples: int, **inputs: Any) -> Dataset:
    random = np.random.default_rng(1)
    given = inputs or {"x": random.random((samples, 4), np.float32)}
    return Dataset(inputs=given, labels=np.arange(samples) % 10, source="made here")


def seen(lows: Any, highs: Any) -> Extremes:
    lows, highs = np.asarray(lows, float), np.asarray(highs, float)
    names = tuple(f"net/layer{column}/out" for column in range(highs.shape[1]))
    return Extremes(tensors=names, layers=tuple(f"layer{column}" for column in range(highs.shape[1])), lows=lows, highs=highs)


def steady(samples: int = 100, tensors: int = 3) -> Extremes:
    random = np.random.default_rng(2)
    return seen(-random.uniform(0.9, 1, (samples, tensors)), random.uniform(1.9, 2, (samples, tensors)))


def test_the_change_is_the_average_over_every_way_to_halve_the_samples() -> None:
    random = np.random.default_rng(5)
    lows, highs = -random.exponential(size=(8, 1)), random.exponential(size=(8, 1))
    whole = highs.max() - lows.min()
    halves = [highs[list(half)].max() - lows[list(half)].min() for half in combinations(range(8), 4)]

    found = judge(seen(lows, highs), data(8))

    assert found.range_change == pytest.approx(1 - np.mean(halves) / whole)


def test_the_order_of_the_samples_plays_no_part() -> None:
    found = steady()
    turned = seen(found.lows[::-1], found.highs[::-1])

    assert judge(found, data(100)).range_change == pytest.approx(judge(turned, data(100)).range_change)


def test_ranges_that_every_sample_fills_have_settled() -> None:
    found = judge(steady(), data(100))

    assert found.converged
    assert found.range_change < 0.01
    assert list(warnings(found)) == []


def test_a_range_that_still_grows_names_its_layer_and_asks_for_more_samples() -> None:
    extremes = steady()
    extremes.highs[:, 1] = np.random.default_rng(3).exponential(size=100) ** 2

    found = judge(extremes, data(100))

    assert (found.converged, found.worst_layer) == (False, "layer1")
    assert 'range of "layer1"' in next(iter(warnings(found)))
    assert "{samples: 400}" in next(iter(warnings(found)))


def test_the_sample_that_sets_a_range_alone_is_named_with_what_the_others_need() -> None:
    extremes = steady()
    extremes.highs[37, 2] = 50.0

    (lone,) = judge(extremes, data(100)).lone_samples

    assert (lone.layer, lone.sample, lone.label, lone.high) == ("layer2", 37, 7, 50.0)
    assert 1.9 < lone.high_without <= 2.0


def test_a_loud_sample_that_is_one_of_two_is_not_alone() -> None:
    extremes = steady()
    extremes.highs[[5, 37], 2] = 50.0

    assert judge(extremes, data(100)).lone_samples == ()


def test_samples_of_one_value_throughout_are_counted() -> None:
    x = np.random.default_rng(0).random((10, 4, 4, 1), np.float32)
    x[[2, 7]] = 0.25
    found = judge(steady(10), data(10, x=x))

    assert found.constant_samples == 2
    assert any("2 of 10 calibration samples hold one value throughout" in text for text in warnings(found))


@pytest.mark.parametrize("samples", [1, 2, 3])
def test_a_handful_of_samples_never_counts_as_settled(samples: int) -> None:
    assert not judge(steady(samples), data(samples)).converged


def test_a_tensor_that_is_zero_throughout_moves_nothing() -> None:
    found = judge(seen(np.zeros((10, 1)), np.zeros((10, 1))), data(10))

    assert (found.converged, found.range_change) == (True, 0.0)


def test_no_tensor_with_a_range_is_a_model_whose_ranges_were_trained() -> None:
    found = judge(seen(np.zeros((10, 0)), np.zeros((10, 0))), data(10))

    assert found == CalibrationFacts(
        samples=10,
        data_sha256=data(10).sha256,
        converged=True,
        worst_layer="",
        worst_tensor="",
        range_change=0.0,
    )


def test_each_input_gets_the_array_of_its_name_in_the_order_of_the_file() -> None:
    left, right = np.full((2, 3), 1.0), np.full((2, 3), 9.0)
    turned = data(2, right=right, left=left)

    first = next(samples_in_order({"serving_default_left:0": "float32", "serving_default_right:0": "float32"}, turned))

    assert [array[0, 0] for array in first] == [1.0, 9.0]
    assert first[0].shape == (1, 3)


@pytest.mark.parametrize("dtype", ["uint8", "float64", "float16"])
def test_samples_come_in_the_dtype_of_the_file_whatever_the_data_has(dtype: str) -> None:
    (first,) = next(samples_in_order({"x": "float32"}, data(2, x=np.full((2, 3), 7, dtype))))

    assert (first.dtype, first.tolist()) == (np.float32, [[7, 7, 7]])


def test_what_the_tensors_held_is_seen_sample_by_sample(tiny: Any) -> None:
    weights = np.array([[1, 2, 3, 4], [-1, 0, 0, 1]], np.float32)
    given = data(6)

    found = observe(tiny.dense(weights, "float32"), given, ["answer"], silent)

    answers = given.inputs["x"].astype(float) @ weights.T
    assert found.layers == ("", "answer")
    np.testing.assert_allclose(found.highs[:, 0], given.inputs["x"].max(axis=1), rtol=1e-6)
    np.testing.assert_allclose(found.highs[:, 1], answers.max(axis=1), rtol=1e-6)
    np.testing.assert_allclose(found.lows[:, 1], answers.min(axis=1), rtol=1e-6)
