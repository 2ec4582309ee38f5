"""One model with its data, stages on it, and Python that a user might have written beside the recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgepipe.pipeline.data import Dataset
from edgepipe.pipeline.inspect.flatbuffer import read_model
from edgepipe.pipeline.worker import Worker

SAMPLES = 96

CODE = """
import numpy as np
import tf_keras
from pathlib import Path

HERE = Path(__file__).parent


def fit(model, train, validation, epochs, callbacks):
    (HERE / "fit.txt").write_text(f"{epochs} epochs of {len(list(train))} batches")
    model.fit(train, validation_data=validation, epochs=epochs, callbacks=callbacks, verbose=0)


def loop(model, train, validation, epochs, callbacks):
    import tensorflow as tf

    watched = tf_keras.callbacks.CallbackList(callbacks, model=model)
    watched.on_train_begin()
    for epoch in range(epochs):
        watched.on_epoch_begin(epoch)
        for step, (x, y) in enumerate(train):
            watched.on_train_batch_begin(step)
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(model.loss(y, model(x, training=True)))
            model.optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables))
            watched.on_train_batch_end(step)
        watched.on_epoch_end(epoch, {"loss": float(loss), "val_loss": float(loss)})
    watched.on_train_end()


def forgetful(model, train, validation, epochs, callbacks):
    model.fit(train, epochs=epochs, verbose=0)


def elsewhere(model, train, validation, epochs, callbacks):
    copy = tf_keras.models.clone_model(model)
    copy.compile("adam", "mse")
    copy.fit(train, epochs=epochs, callbacks=callbacks, verbose=0)


def broken(model, train, validation, epochs, callbacks):
    return model.no_such_thing


def focal(y_true, y_pred):
    import tensorflow as tf

    (HERE / "focal.txt").write_text("called")
    p = tf.gather(y_pred, tf.cast(tf.reshape(y_true, [-1]), tf.int32), batch_dims=1)
    return -((1 - p) ** 2) * tf.math.log(p + 1e-7)


def wrong_loss(y_true, y_pred):
    return undefined_name


def optimizer(learning_rate):
    (HERE / "optimizer.txt").write_text(type(learning_rate).__name__)
    return tf_keras.optimizers.SGD(learning_rate)


def slow_optimizer(learning_rate):
    import keras

    return keras.optimizers.SGD(0.1)


def stop():
    class Stop(tf_keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 0

    return Stop()


def no_callback():
    return object()


def shuffled(x, random):
    (HERE / "augment.txt").open("a").write(f"{x.shape} {random.random():.6f}\\n")
    return x + random.normal(0, 0.01, x.shape)


def cropped(x, random):
    return x[:, :2]
"""


def thirds() -> Any:
    """Three classes that the four inputs tell apart."""
    x = np.random.default_rng(0).random((SAMPLES, 4), np.float32)
    return np.argmax(x[:, :3], axis=1)


class Bench:
    """One model with its data, stages on it, and a recipe's folder with the user's code in it."""

    def __init__(self, worker: Worker, folder: Path, model: Path, labels: Any, *, modules: tuple[str, ...] = ()) -> None:
        self.worker, self.base = worker, folder / "recipe"
        for name in ("recipe", "float"):
            (folder / name).mkdir()
        # A name of its own for each: the worker imports a name once.
        self.mine = "mine_" + "".join(c if c.isalnum() else "_" for c in folder.name)
        (self.base / f"{self.mine}.py").write_text(CODE)
        x = np.random.default_rng(0).random((SAMPLES, 4), np.float32)
        Dataset(inputs={"x": x}, labels=labels, source="made here").save(folder / "data")
        self.data = dict.fromkeys(("train", "validation", "calibration"), str(folder / "data"))
        self.loaded = self.load(model, *modules)

    def load(self, model: Path, *modules: str) -> dict[str, Any]:
        to = str(self.base.parent / "float")
        return self.worker.request(do="load", source=str(model), base="/", to=to, data=self.data, modules=modules)

    def stage(self, name: str = "prune", parameters: dict[str, Any] | None = None, **train: Any) -> dict[str, Any]:
        self.to = self.base.parent / f"{name}{len(list(self.base.parent.iterdir()))}"
        self.to.mkdir()
        settings = {"epochs": 1, "batch_size": 32, "learning_rate": 0.01, **{n: self.loaded[n] for n in ("loss", "optimizer")}}
        settings = {name: value for name, value in {**settings, **train}.items() if value is not None}
        return self.worker.request(
            do="stage",
            stage=name,
            parameters={"sparsity": 0.5} if parameters is None else parameters,
            source=str(self.base.parent / "float"),
            to=str(self.to),
            base=str(self.base),
            data=self.data,
            train=settings,
            seed=3,
            claims=[],
        )

    def weights(self) -> bytes:
        return (self.to / "model.tflite").read_bytes()

    def sparsity(self) -> list[float]:
        _, facts = read_model(self.to / "model.tflite")
        return [round(weight.sparsity, 2) for weight in facts.weights]
