"""A split as shuffled batches of (inputs, labels) or (inputs, labels, weights). Runs in the worker only."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from edgepipe.errors import DataError
from edgepipe.pipeline.augment import Augment
from edgepipe.pipeline.data.dataset import Array, Dataset
from edgepipe.pipeline.data.meaning import classes, meaning

BATCHES_AHEAD = 2


def batches(
    data: Dataset, size: int, *, seed: int | None = None, weights: Array | None = None, augment: Augment | None = None
) -> Any:
    """Return a `tf.data.Dataset` of batches of at most `size`; the same seed gives the same batches, epoch by epoch.

    Inputs are one array, or a map by name where there are several. `seed` None: in order. `weights` is float32, one a sample.
    `augment` changes the inputs of each batch; what it raises comes out as an error of TensorFlow's.
    """
    import tensorflow as tf

    if data.labels is None:
        raise DataError(f"{data.source} has no labels to train with")
    inputs = {name: tf.constant(_narrow(array)) for name, array in data.inputs.items()}
    alone = next(iter(inputs.values())) if len(inputs) == 1 else inputs
    whole = (alone, tf.constant(_narrow(data.labels)), *([tf.constant(weights)] if weights is not None else []))
    order = tf.data.Dataset.range(data.samples)
    if seed is not None:
        order = order.shuffle(data.samples, seed=seed, reshuffle_each_iteration=True)
    made = order.batch(size).map(lambda chosen: tf.nest.map_structure(lambda array: tf.gather(array, chosen), whole))
    if augment is not None:
        made = made.map(_changed(augment, np.random.default_rng(seed)))
    return made.prefetch(BATCHES_AHEAD)


def class_weights(data: Dataset, outputs: int, wanted: Literal["balanced"] | dict[int, float]) -> Array:
    """Return each sample's weight, float32: that of its class.

    `balanced` is samples / (classes * samples of the class), as in scikit-learn (King and Zeng 2001, Political Analysis 9). A class
    that a map leaves out weighs 1. Raises DataError where labels are no classes, or a class has no samples.
    """
    labels = data.labels
    numbers = None if labels is None else classes(labels, meaning(data, outputs))
    if numbers is None:
        raise DataError(
            f"{data.source} has no classes to weigh",
            cause="its labels are numbers, or several a sample",
            todo="Leave train.class_weights out; weigh in a loss of your own: train: {loss: module:function}.",
        )
    present, counts = np.unique(numbers, return_counts=True)
    if wanted == "balanced":
        weights = dict(zip(present.tolist(), (data.samples / (len(present) * counts)).tolist(), strict=True))
    else:
        weights = dict(wanted)
        if unknown := [str(number) for number in weights if number not in present]:
            raise DataError(f"train.class_weights names classes without samples: {', '.join(unknown)}")
    table: Array = np.array([weights.get(int(number), 1.0) for number in present], np.float32)
    return table[np.searchsorted(present, numbers)]


def _narrow(array: Array) -> Array:
    """Return floats in float32, as Keras takes them."""
    return np.asarray(array, np.float32) if array.dtype.kind == "f" else np.asarray(array)


def _changed(augment: Augment, random: np.random.Generator) -> Any:
    import tensorflow as tf

    def change(inputs: Any, *rest: Any) -> Any:
        flat = tf.nest.flatten(inputs)

        def run(*arrays: Array) -> list[Array]:
            result = augment(tf.nest.pack_sequence_as(inputs, list(arrays)), random)
            return [np.asarray(new, old.dtype) for new, old in zip(tf.nest.flatten(result), arrays, strict=True)]

        changed = tf.numpy_function(run, flat, [tensor.dtype for tensor in flat])
        for new, old in zip(changed, flat, strict=True):
            new.set_shape(old.shape)
        return (tf.nest.pack_sequence_as(inputs, list(changed)), *rest)

    return change
