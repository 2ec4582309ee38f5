"""What labels say of a sample: one class, one of several columns, any of several, or numbers. Told by their values alone."""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from edgepipe.pipeline.data.dataset import Array, Dataset


class Meaning(StrEnum):
    """How labels are meant, and so how an answer is right."""

    CLASS = "class"  # a class number a sample; the largest output decides, a single one by its threshold
    ONE_HOT = "one-hot"  # a column a class, exactly one of them 1
    MULTI_LABEL = "multi-label"  # a column a label, any of them 1; a sample is right where all of them are
    NUMBERS = "numbers"  # targets to come close to


def meaning(dataset: Dataset, outputs: int) -> Meaning:
    """Return what the labels mean to a model of `outputs` numbers.

    0 and 1 in as many columns as there are outputs are classes or labels whatever their dtype, unless they are the input itself,
    as an autoencoder's are. Whole numbers stored as floats are classes where the model has several outputs.
    """
    labels = dataset.labels
    if labels is None or not labels.size:
        return Meaning.NUMBERS
    columns = int(np.prod(labels.shape[1:], dtype=np.int64))
    whole = labels.dtype.kind in "biu"
    if columns == 1:
        return Meaning.CLASS if whole or _binary(labels) or (outputs > 1 and _whole(labels)) else Meaning.NUMBERS
    if labels.ndim != 2 or columns != outputs or not _binary(labels) or _is_input(labels, dataset):
        return Meaning.CLASS if whole else Meaning.NUMBERS
    return Meaning.ONE_HOT if bool(np.all(labels.sum(axis=1) == 1)) else Meaning.MULTI_LABEL


def classes(labels: Array, kind: Meaning) -> Array | None:
    """Return the class number of each sample, int64, shape (samples,); None where the labels name no single class."""
    if kind is Meaning.ONE_HOT:
        numbers: Array = np.argmax(labels, axis=1)
        return numbers
    if kind is Meaning.CLASS and labels.size == len(labels):
        return np.ravel(labels).astype(np.int64)
    return None


def _binary(labels: Array) -> bool:
    return bool(np.all((labels == 0) | (labels == 1)))


def _whole(labels: Array) -> bool:
    numbers = labels.astype(np.float64)
    return bool(np.all((numbers == np.rint(numbers)) & (numbers >= 0)))


def _is_input(labels: Array, dataset: Dataset) -> bool:
    return any(
        array.size == labels.size and np.array_equal(array.reshape(labels.shape), labels) for array in dataset.inputs.values()
    )
