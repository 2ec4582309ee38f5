"""The demo's network: a small CNN that is trained on the bundled digits. Runs in the worker only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgepipe.events import Emit
from edgepipe.pipeline.data import Dataset
from edgepipe.pipeline.recipe import TrainSpec
from edgepipe.pipeline.training import Workbench

EPOCHS = 30


def network() -> Any:
    """Return the untrained network: 8x8 pixels in, ten digits out, 68,506 parameters."""
    import tf_keras

    layers = tf_keras.layers
    return tf_keras.Sequential(
        [
            layers.Input((8, 8, 1), name="pixels"),
            layers.Conv2D(32, 3, padding="same", activation="relu", name="strokes"),
            layers.Conv2D(64, 3, padding="same", activation="relu", name="shapes"),
            layers.MaxPooling2D(name="pool"),
            layers.Flatten(name="flat"),
            layers.Dense(48, activation="relu", name="mix"),
            layers.Dense(10, activation="softmax", name="digit"),
        ],
        name="digits",
    )


def train(to: Path, splits: dict[str, Dataset], *, seed: int, emit: Emit, epochs: int = EPOCHS) -> None:
    """Train the network on the splits "train" and "validation" and save it as a `.keras` file."""
    import tf_keras

    loss = "sparse_categorical_crossentropy"
    tf_keras.utils.set_random_seed(seed)
    model = network()
    bench = Workbench(splits=splits, train=TrainSpec(loss=loss), seed=seed, claims=(), emit=emit)
    bench.fit(model, "the digits network", epochs=epochs)
    model.compile(tf_keras.optimizers.Adam(1e-3), loss)  # what users save: a plain learning rate, no schedule
    model.save(to)
