"""Whether labels are what the model can answer, and mean the same in every split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from edgepipe.pipeline.data.dataset import Array, Dataset
from edgepipe.pipeline.data.problem import DataProblem
from edgepipe.pipeline.data.scan import NUMERIC_KINDS

_SHOWN = 5


def check_labels(split: str, dataset: Dataset, classes: int | None) -> list[DataProblem]:
    """Return what is wrong with the labels of one split; whether they are classes only where `classes` or their names are known."""

    def error(message: str, index: int | None = None) -> DataProblem:
        return DataProblem(severity="error", split=split, input="labels", index=index, message=message)

    labels = dataset.labels
    if labels is None or not dataset.samples:
        return []
    problems = []
    if not labels.ndim or len(labels) != dataset.samples:
        problems.append(error(f"there are {labels.size if not labels.ndim else len(labels)} for {dataset.samples} samples"))
    if labels.dtype.kind not in NUMERIC_KINDS:
        return [*problems, error(f"they are {labels.dtype}, not numbers")]
    odd = np.flatnonzero(~np.isfinite(labels.reshape(max(1, len(labels)) if labels.ndim else 1, -1)).all(axis=1))
    if len(odd):
        return [*problems, error(f"{len(odd)} of them are NaN or infinite; this is the first", int(odd[0]))]
    classes = classes or len(dataset.class_names) or None
    return problems + ([error(message, index) for message, index in _class_problems(labels, classes)] if classes else [])


def _class_problems(labels: Array, classes: int) -> list[tuple[str, int | None]]:
    """Return (message, index) of labels that are not classes 0..classes-1."""
    if labels.ndim != 1:
        hot = f": for one-hot labels of {classes} classes write y.argmax(axis=1)" if labels.shape[1:] == (classes,) else ""
        return [(f"they have the shape {labels.shape}, not one whole number a sample{hot}", None)]
    numbers = labels.astype(np.float64)
    fractions = np.flatnonzero(numbers != np.rint(numbers))
    if len(fractions):
        return [(f"{labels[fractions[0]]} is not a class: classes are whole numbers", int(fractions[0]))]
    outside = np.flatnonzero((numbers < 0) | (numbers >= classes))
    if not len(outside):
        return []
    first = int(outside[0])
    shifted = " (they start at 1: subtract 1)" if numbers.min() == 1 and numbers.max() == classes else ""
    return [(f"{len(outside)} lie outside 0..{classes - 1}; the first is {labels[first]}{shifted}", first)]


def compare_classes(splits: Mapping[str, Dataset], classes: int | None) -> list[DataProblem]:
    """Return the splits whose class names differ from train's, and the classes that train lacks."""
    train = splits.get("train")
    if train is None or train.labels is None:
        return []
    problems = []
    for split, dataset in splits.items():
        if dataset.class_names and train.class_names and dataset.class_names != train.class_names:
            names = f"{', '.join(dataset.class_names):.80} there, {', '.join(train.class_names):.80} in train"
            message = f"class names differ, so the numbers mean other classes: {names}"
            problems.append(DataProblem(severity="error", split=split, input="labels", index=None, message=message))
    known = _present(train)
    if known is not None:
        elsewhere = {c for dataset in splits.values() for c in _present(dataset) or ()}
        problems += _lacking(train, set(range(classes or len(train.class_names))) - known, elsewhere)
    return problems


def _lacking(train: Dataset, missing: set[int], elsewhere: set[int]) -> Iterator[DataProblem]:
    """Yield an error for each missing class that another split asks for, one warning for the rest."""

    def called(number: int) -> str:
        return f'{number} ("{train.class_names[number]}")' if number < len(train.class_names) else str(number)

    for number in sorted(missing & elsewhere):
        message = f"class {called(number)} has no sample, though other splits ask for it"
        yield DataProblem(severity="error", split="train", input="labels", index=None, message=message)
    if unasked := sorted(missing - elsewhere):
        some = ", ".join(map(called, unasked[:_SHOWN])) + (", …" if len(unasked) > _SHOWN else "")
        message = f"{len(unasked)} of the classes have no sample: {some}"
        yield DataProblem(severity="warning", split="train", input="labels", index=None, message=message)


def _present(dataset: Dataset) -> set[int] | None:
    labels = dataset.labels
    if labels is None or labels.ndim != 1 or labels.dtype.kind not in "biu":
        return None
    return {int(label) for label in np.unique(labels)}
