"""Writes small models of every kind into a folder: what users bring, and what must be refused. Run as a program."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tf_keras


class Twice(keras.Model):
    """A subclassed model: its forward pass is code."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = keras.layers.Dense(3)

    def call(self, x: object) -> object:
        return self.dense(x) * 2


def randomise(model: object) -> None:
    """Give every weight a value that matters, so that a wrong copy is noticed."""
    random = np.random.default_rng(7)
    weights = [random.normal(0, 0.3, w.shape).astype("float32") for w in model.get_weights()]  # type: ignore[attr-defined]
    named = zip(model.weights, weights, strict=True)  # type: ignore[attr-defined]
    model.set_weights([np.abs(w) + 0.5 if "variance" in variable.name else w for variable, w in named])  # type: ignore[attr-defined]


def cnn(k: object) -> object:
    """A network of the usual layers, in either Keras."""
    layers = k.layers  # type: ignore[attr-defined]
    pixels = layers.Input((8, 8, 1), name="pixels")
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="conv")(pixels)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.ReLU(name="relu")(x)
    kept = x
    x = layers.SeparableConv2D(8, 3, padding="same", activation="relu", name="separable")(x)
    x = layers.Add(name="add")([x, kept])
    x = layers.MaxPooling2D(name="pool")(x)
    x = layers.Dropout(0.1, name="drop")(x)
    x = layers.Flatten(name="flat")(x)
    return k.Model(pixels, layers.Dense(10, activation="softmax", name="digit")(x))  # type: ignore[attr-defined]


def two_inputs(*, turned: bool = False) -> object:
    """Two inputs of the same shape that must not be swapped."""
    left = keras.layers.Input((4,), name="left")
    right = keras.layers.Input((4,), name="right")
    x = keras.layers.Concatenate()([keras.layers.Dense(6, activation="relu")(left), right])
    inputs = [right, left] if turned else [left, right]
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x))


def dense(outputs: int, activation: str) -> object:
    """One layer on four numbers."""
    return keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(outputs, activation=activation)])


def two_outputs() -> object:
    """A class and a number from the same layer."""
    four = keras.layers.Input((4,))
    return keras.Model(four, [keras.layers.Dense(3, activation="softmax")(four), keras.layers.Dense(1)(four)])


LOSSES = {"one_sigmoid": "binary_crossentropy", "one_hot": "categorical_crossentropy", "number": "mse"}


def main(folder: Path) -> None:
    """Write the zoo."""
    for name, model in (
        ("keras3", cnn(keras)),
        ("keras2", cnn(tf_keras)),
        ("two_inputs", two_inputs()),
        ("two_inputs_turned", two_inputs(turned=True)),
        ("two_outputs", two_outputs()),
        ("one_sigmoid", dense(1, "sigmoid")),
        ("words", keras.Sequential([keras.layers.Input((4,)), keras.layers.Embedding(9, 3), keras.layers.Flatten()])),
        ("one_hot", dense(3, "softmax")),
        ("number", dense(8, "linear")),
        ("normalised", keras.Sequential([keras.layers.Input((4,)), keras.layers.LayerNormalization(), keras.layers.Dense(3)])),
        (
            "sequential",
            keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(5, "tanh"), keras.layers.Dense(3, "softmax")]),
        ),
        ("lambda", keras.Sequential([keras.layers.Input((4,)), keras.layers.Lambda(lambda x: x * 2), keras.layers.Dense(3)])),
        ("open", keras.Sequential([keras.layers.Input((None, 4)), keras.layers.Dense(3)])),
        ("no_weights", keras.Sequential([keras.layers.Input((8, 8, 1)), keras.layers.GlobalAveragePooling2D()])),
    ):
        randomise(model)
        model.compile("adam", LOSSES.get(name, "sparse_categorical_crossentropy") if name != "two_outputs" else None)
        model.save(folder / f"{name}.keras")
    compiled = dense(3, "softmax")
    randomise(compiled)
    compiled.save(folder / "not_compiled.keras")
    schedule = keras.optimizers.schedules.CosineDecay(0.05, 100)
    compiled.compile(
        keras.optimizers.SGD(schedule, momentum=0.9, clipnorm=1.0),
        keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
        metrics=["accuracy", keras.metrics.TopKCategoricalAccuracy(2)],
    )
    compiled.save(folder / "compiled.keras")
    diverged = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3)])
    diverged.set_weights([np.full_like(weight, np.nan) for weight in diverged.get_weights()])
    diverged.save(folder / "diverged.keras")
    twice = Twice()
    twice(np.zeros((1, 4), "float32"))
    twice.save(folder / "subclassed.keras")
    saved = cnn(tf_keras)
    randomise(saved)
    saved.save(folder / "saved_model", save_format="tf")
    saved.save(folder / "old.h5")
    random = np.random.default_rng(3)
    np.savez(folder / "digits_like.npz", x=random.random((64, 8, 8, 1), dtype="float32"), y=np.arange(64) % 10)
    np.savez(
        folder / "pairs.npz",
        left=random.random((64, 4), dtype="float32"),
        right=random.random((64, 4), dtype="float32"),
        y=np.arange(64) % 3,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
