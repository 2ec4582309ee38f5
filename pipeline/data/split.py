"""Parts of a dataset, drawn by seed so that every class keeps its share.

The draw is documented and does not change with NumPy's version: sample i gets the i-th raw 64-bit output of PCG64(seed), and
samples are taken in ascending order of these numbers. (NumPy's NEP 19 keeps the raw stream stable, not `Generator.permutation`.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgepipe.errors import DataError
from edgepipe.pipeline.data.dataset import Dataset

Integers = NDArray[np.int64]


def split(dataset: Dataset, fraction: float, *, seed: int) -> tuple[Dataset, Dataset]:
    """Return (rest, part): `part` holds `fraction` of the samples, each class its share; both keep the samples' order.

    Where labels are classes, none loses its last sample to `part`. Raises DataError where either side would be empty.
    """
    if not 0 < fraction < 1:
        raise DataError(f"{fraction} is not a fraction between 0 and 1", todo="0.15 takes 15 % of the samples.")
    classes = _classes(dataset)
    counts = np.bincount(classes)
    high = counts - 1 if len(counts) > 1 else counts
    chosen = _draw(classes, _quotas(counts, round(dataset.samples * fraction), 0 * counts, high), seed)
    if not 0 < chosen.sum() < dataset.samples:
        raise DataError(f"{dataset.source} has too few samples ({dataset.samples}) to split off {fraction:g} of them")
    return dataset.take(np.flatnonzero(~chosen)), dataset.take(np.flatnonzero(chosen))


def calibration(dataset: Dataset, samples: int, *, seed: int) -> Dataset:
    """Return `samples` of the dataset (all, where it has fewer), each class its share and, where they suffice, at least one."""
    if samples < 1:
        raise DataError(f"calibration needs at least one sample, not {samples}")
    if samples >= dataset.samples:
        return dataset
    classes = _classes(dataset)
    counts = np.bincount(classes)
    low = np.ones_like(counts) if samples >= len(counts) else 0 * counts
    return dataset.take(np.flatnonzero(_draw(classes, _quotas(counts, samples, low, counts), seed)))


def _classes(dataset: Dataset) -> Integers:
    """Return each sample's class, 0.. without gaps; one class for all where the labels are not classes."""
    one = np.zeros(dataset.samples, dtype=np.int64)
    labels = dataset.labels
    arrays = [*dataset.inputs.values(), *([] if labels is None else [labels])]
    if any(not array.ndim or len(array) != len(one) for array in arrays):
        raise DataError(f"{dataset.source}: inputs and labels differ in length, so they cannot be split")
    if labels is None or labels.shape != one.shape or labels.dtype.kind not in "biuf":
        return one
    if labels.dtype.kind == "f" and not np.array_equal(labels, np.rint(labels)):
        return one
    names, classes = np.unique(labels, return_inverse=True)
    # Whole numbers of which hardly two are equal are measurements, not classes.
    return np.asarray(classes, dtype=np.int64) if 2 * len(names) <= len(labels) else one


def _quotas(counts: Integers, total: int, low: Integers, high: Integers) -> Integers:
    """Return how many samples each class gives: by largest remainder, within `low` and `high`, `total` in all if these let it."""
    ideal = counts * (total / max(1, counts.sum()))
    quotas: Integers = np.clip(np.floor(ideal).astype(np.int64), low, high)
    while (missing := total - int(quotas.sum())) != 0:
        towards = 1 if missing > 0 else -1
        free = np.flatnonzero(quotas < high) if missing > 0 else np.flatnonzero(quotas > low)
        if not len(free):
            break
        worst_first = free[np.argsort(-towards * (ideal - quotas)[free], kind="stable")]
        quotas[worst_first[: abs(missing)]] += towards
    return quotas


def _draw(classes: Integers, quotas: Integers, seed: int) -> NDArray[np.bool_]:
    """Return which samples are taken: the first `quotas[c]` of each class c in the drawn order."""
    order = np.argsort(np.random.PCG64(seed).random_raw(len(classes)), kind="stable")
    by_class = order[np.argsort(classes[order], kind="stable")]
    starts = np.cumsum(np.bincount(classes)) - np.bincount(classes)
    rank = np.arange(len(classes)) - starts[classes[by_class]]
    chosen = np.zeros(len(classes), dtype=np.bool_)
    chosen[by_class[rank < quotas[classes[by_class]]]] = True
    return chosen
