"""What each sample counts in the loss follows from its class."""

from __future__ import annotations

import numpy as np
import pytest

from edgepipe.errors import DataError
from edgepipe.pipeline.batches import class_weights
from edgepipe.pipeline.data import Dataset

NUMBERS = np.array([0, 0, 0, 1])


def dataset(labels: object) -> Dataset:
    return Dataset(inputs={"x": np.zeros((len(np.asarray(labels)), 2), np.float32)}, labels=np.asarray(labels), source="here")


@pytest.mark.parametrize("labels", [NUMBERS, NUMBERS[:, None], NUMBERS.astype(np.float32), np.eye(2, dtype=np.float32)[NUMBERS]])
def test_balanced_classes_count_the_same_in_all_however_they_are_written(labels: object) -> None:
    weights = class_weights(dataset(labels), 2, "balanced")
    assert weights.dtype == np.float32
    assert weights.tolist() == pytest.approx([4 / 6] * 3 + [2.0])


def test_a_map_names_some_and_the_others_count_one() -> None:
    assert class_weights(dataset(NUMBERS), 2, {1: 3.0}).tolist() == [1, 1, 1, 3]


@pytest.mark.parametrize(("labels", "outputs"), [([0.5, 1.5], 1), ([[1, 1], [0, 1]], 2)])
def test_numbers_and_several_labels_have_no_classes_to_weigh(labels: object, outputs: int) -> None:
    with pytest.raises(DataError, match="no classes to weigh"):
        class_weights(dataset(labels), outputs, "balanced")


def test_a_class_without_samples_is_a_mistake() -> None:
    with pytest.raises(DataError, match="without samples: 5"):
        class_weights(dataset(NUMBERS), 2, {5: 2.0})
