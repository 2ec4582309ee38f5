"""Samples as a model file takes them, and how well its answers match the labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from edgepipe.errors import DataError, InfrastructureError, UnsupportedModel
from edgepipe.facts import ModelFacts, TensorPort
from edgepipe.pipeline.data.dataset import Array, Dataset
from edgepipe.pipeline.data.meaning import Meaning, classes, meaning
from edgepipe.pipeline.data.ports import ordered
from edgepipe.records import Accuracy

THRESHOLD = 0.5  # of a single sigmoid output, as Keras's binary accuracy has it


def encode(values: Array, port: TensorPort) -> Array:
    """Return real values in the port's dtype: q = round(x / scale) + zero_point, half away from zero as TFLite does, clipped.

    Values that have a quantised port's own dtype already are taken for codes and stay as they are.
    """
    wanted = np.dtype(port.dtype)
    if port.scale is None or wanted.kind == "f" or values.dtype == wanted:
        same: Array = values.astype(wanted)
        return same
    scaled = (values.astype(np.float32) / np.float32(port.scale)).astype(np.float64)
    codes = np.copysign(np.floor(np.abs(scaled) + 0.5), scaled) + (port.zero_point or 0)
    limits = np.iinfo(wanted)
    clipped: Array = np.clip(codes, limits.min, limits.max).astype(wanted)
    return clipped


def decode(raw: bytes, port: TensorPort) -> NDArray[np.float64]:
    """Return a port's bytes as real values, flat."""
    codes = np.frombuffer(raw, np.dtype(port.dtype).newbyteorder("<")).astype(np.float64)
    return codes if port.scale is None else port.scale * (codes - (port.zero_point or 0))


def samples(dataset: Dataset, facts: ModelFacts, *, start: int = 0) -> Iterator[tuple[bytes, ...]]:
    """Return an iterator over the samples' bytes from number `start` on, each one entry an input, in the model's order.

    Raises DataError at once for inputs that the model does not have or that are of another shape.
    """
    arrays = ordered(dataset, facts.inputs)
    problems = [problem for array, port in zip(arrays, facts.inputs, strict=True) if (problem := _misfit(array, port))]
    if problems:
        raise DataError(f"{dataset.source} does not fit the model's inputs", problems=problems)
    return (
        tuple(encode(array[row], port).tobytes() for array, port in zip(arrays, facts.inputs, strict=True))
        for row in range(start, dataset.samples)
    )


def _misfit(array: Array, port: TensorPort) -> str:
    if port.shape and port.shape[0] not in (1, -1):
        return f'"{port.name}" takes {port.shape[0]} samples at once; convert the model with a batch of 1'
    wanted = [length if length > 0 else 1 for length in port.shape[1:]]
    if int(np.prod(array.shape[1:], dtype=np.int64)) != int(np.prod(wanted, dtype=np.int64)):
        return f'"{port.name}" takes samples of the shape {tuple(wanted)}, these have {array.shape[1:]}'
    return ""


def score(answers: Iterable[Sequence[bytes]], dataset: Dataset, facts: ModelFacts) -> Accuracy:
    """Return the share of right answers for labels that are classes, the mean squared error for targets that are real numbers.

    Classes are numbers or one-hot; with several labels a sample, each over a threshold of its own, all must be right, as
    scikit-learn's `accuracy_score` has it. Raises DataError where the labels do not fit the output, UnsupportedModel for a model
    with several, InfrastructureError for answers of another size than the output, which would be judged as something else.
    """
    port, labels, kind = _judged(dataset, facts)
    outputs = (_whole(decode(answer[0], port), port) for answer in answers)
    if kind is Meaning.NUMBERS:
        errors = [float(np.mean((output - np.ravel(label)) ** 2)) for output, label in zip(outputs, labels, strict=True)]
        return Accuracy(metric="mse", value=float(np.mean(errors)), samples=len(errors), data_sha256=dataset.sha256)
    if kind is Meaning.MULTI_LABEL:
        correct = tuple(bool(np.array_equal(output > THRESHOLD, label)) for output, label in zip(outputs, labels == 1, strict=True))
    else:
        numbers = classes(labels, kind)
        assert numbers is not None  # `_judged` has looked
        correct = tuple(_decision(output) == int(number) for output, number in zip(outputs, numbers, strict=True))
    value = sum(correct) / len(correct)
    return Accuracy(metric="accuracy", value=value, samples=len(correct), data_sha256=dataset.sha256, correct=correct)


def check_labels(dataset: Dataset, facts: ModelFacts) -> None:
    """Raise what `score` would raise, before anything has run."""
    _judged(dataset, facts)


def _judged(dataset: Dataset, facts: ModelFacts) -> tuple[TensorPort, Array, Meaning]:
    """Return the output that is judged, what it is judged by, and how that is meant."""
    if len(facts.outputs) != 1:
        raise UnsupportedModel(f"the model has {len(facts.outputs)} outputs; which one is right or wrong cannot be told")
    port, labels = facts.outputs[0], dataset.labels
    if labels is None or not dataset.samples:
        raise DataError(
            f"{dataset.source} has no {'samples' if labels is not None else 'labels'}", todo="Give data with labels to judge by."
        )
    size = int(np.prod([length for length in port.shape if length > 0], dtype=np.int64))
    kind = meaning(dataset, size)
    if kind is Meaning.NUMBERS:
        if int(np.prod(labels.shape[1:], dtype=np.int64)) != size:
            raise DataError(f"{dataset.source} has targets of the shape {labels.shape[1:]}; the model answers {size} numbers")
    elif kind is Meaning.CLASS and labels.size != dataset.samples:
        raise DataError(f"{dataset.source} has {labels.size} labels for {dataset.samples} samples")
    elif int(labels.min()) < 0 or int(labels.max()) >= max(2, size):
        raise DataError(
            f"{dataset.source} has labels from {labels.min()} to {labels.max()}; the model knows {max(2, size)} classes"
        )
    return port, labels, kind


def _whole(output: NDArray[np.float64], port: TensorPort) -> NDArray[np.float64]:
    size = int(np.prod(port.shape, dtype=np.int64))
    if min(port.shape, default=1) > 0 and output.size != size:
        raise InfrastructureError(
            f"the board answers with {output.size} numbers of {port.dtype}, where the model's output has {size}",
            cause="it runs another model, or tells scores as decimals and not as the model gives them",
        )
    return output


def _decision(output: NDArray[np.float64]) -> int:
    return int(np.argmax(output)) if output.size > 1 else int(output[0] > THRESHOLD)
