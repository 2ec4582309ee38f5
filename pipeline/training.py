"""How a model is trained again after a change: the workbench that every stage gets. Runs in the worker only."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from edgepipe.errors import DataError
from edgepipe.events import Emit, Note, step
from edgepipe.facts import Claim
from edgepipe.pipeline.recipe import TrainSpec

if TYPE_CHECKING:
    from edgepipe.pipeline.data import Dataset

KerasModel: TypeAlias = Any  # tf_keras.Model; TensorFlow has no types and is never imported outside the worker


@dataclass(frozen=True, kw_only=True)
class Workbench:
    """Data, training settings and converter for one stage.

    `claims` are those of all earlier stages: what must not be undone. `train` has loss and learning rate filled in.
    """

    splits: dict[str, Dataset]
    train: TrainSpec
    seed: int
    claims: tuple[Claim, ...]
    emit: Emit

    @property
    def learning_rate(self) -> float:
        """The highest learning rate of a stage that does not name its own."""
        return self.train.learning_rate or 1e-3

    def epochs(self, own: int | None) -> int:
        """Return the stage's own number of epochs, else the recipe's."""
        return own if own is not None else self.train.epochs

    def steps(self, epochs: int) -> int:
        """Return the number of batches in `epochs` passes over the training data."""
        return epochs * math.ceil(self._split("train").samples / self.train.batch_size)

    def clone(self, model: KerasModel, wrap: Callable[[Any], Any]) -> KerasModel:
        """Return the model with each layer replaced by `wrap(layer)`; layers that come back as they are, are shared."""
        import tf_keras

        return tf_keras.models.clone_model(model, clone_function=wrap)

    def fit(
        self,
        model: KerasModel,
        stage: str,
        *,
        epochs: int,
        learning_rate: float | None = None,
        callbacks: Sequence[Any] = (),
        keep_best_from: float = 0.0,
    ) -> None:
        """Train `model` with a cosine schedule, and keep the weights of the best epoch after `keep_best_from` of the training.

        Best is the lowest validation loss; without validation data the last epoch counts. Same seed, same weights.
        """
        import tf_keras

        train = self._split("train")
        total = self.steps(epochs)
        rate = tf_keras.optimizers.schedules.CosineDecay(learning_rate or self.learning_rate, total)
        model.compile(tf_keras.optimizers.Adam(rate), self._loss(), metrics=None)
        validation = self.splits.get("validation")
        tf_keras.utils.set_random_seed(self.seed)
        with step(self.emit, f"train ({stage})", total, "batches") as advance:
            best = _best_weights(math.floor(keep_best_from * epochs))
            model.fit(
                _inputs(train),
                train.labels,
                epochs=epochs,
                batch_size=self.train.batch_size,
                validation_data=(_inputs(validation), validation.labels) if validation else None,
                verbose=0,
                callbacks=[*callbacks, _progress(advance, total, epochs), *([best] if validation else [])],
            )

    def tflite(self, model: KerasModel, dtype: str) -> bytes:
        """Return the model as a `.tflite` of this dtype, its batch fixed to 1."""
        from edgepipe.pipeline.export.tflite import convert

        with step(self.emit, f"convert to {dtype}"):
            return convert(model, dtype, self.splits.get("calibration"))

    def _split(self, name: str) -> Dataset:
        if name not in self.splits:
            raise DataError(f"this stage needs {name} data", todo=f"Name it in the recipe: data: {{{name}: …}}; or pass --data.")
        return self.splits[name]

    def _loss(self) -> Any:
        import tf_keras

        loss = self.train.loss
        try:
            return tf_keras.losses.get(loss)
        except ValueError as exc:
            raise DataError(
                f"there is no loss {loss!r}",
                cause="a typo, or a loss of your own",
                todo="Name a Keras loss in the recipe: train: {loss: …}.",
            ) from exc


def _inputs(data: Dataset) -> Any:
    return dict(data.inputs) if len(data.inputs) > 1 else next(iter(data.inputs.values()))


def _progress(advance: Callable[..., None], total: int, epochs: int) -> Any:
    import tf_keras

    class Show(tf_keras.callbacks.Callback):  # type: ignore[misc]
        """Batches done so far, with the epoch and its losses."""

        done, epoch, seen = 0, 0, ""

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.epoch = epoch + 1

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.done += 1
            if self.done % max(1, total // 100) == 0:
                advance(self.done, f"epoch {self.epoch}/{epochs}{self.seen}")

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.seen = "".join(f" {name} {value:.3f}" for name, value in (logs or {}).items() if isinstance(value, float))

    return Show()


def _best_weights(first_epoch: int) -> Any:
    import tf_keras

    class KeepBest(tf_keras.callbacks.Callback):  # type: ignore[misc]
        """Puts the weights of the epoch with the lowest validation loss back at the end."""

        lowest, weights = math.inf, None

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            loss = (logs or {}).get("val_loss", math.inf)
            if epoch >= first_epoch and loss < self.lowest:
                self.lowest, self.weights = loss, self.model.get_weights()

        def on_train_end(self, logs: Any = None) -> None:
            if self.weights is not None:
                self.model.set_weights(self.weights)

    return KeepBest()


def loss_for(model: KerasModel, labels: Any, emit: Emit) -> Any:
    """Return the compiled loss as Keras serialises it; without one, the usual loss for the last layer and the labels."""
    import numpy as np
    import tf_keras

    if isinstance(loss := getattr(model, "loss", None), str):
        return loss
    if loss is not None and not isinstance(loss, list | dict):
        return tf_keras.losses.serialize(loss)
    whole = labels is not None and np.issubdtype(labels.dtype, np.integer)
    units = model.output_shape[-1]
    activation = getattr(getattr(model.layers[-1], "activation", None), "__name__", "linear")
    if not whole:
        guess: Any = "mean_squared_error"
    elif units == 1:
        guess = {"class_name": "BinaryCrossentropy", "config": {"from_logits": activation != "sigmoid"}}
    else:
        guess = {"class_name": "SparseCategoricalCrossentropy", "config": {"from_logits": activation != "softmax"}}
    name = guess if isinstance(guess, str) else f"{guess['class_name']}({guess['config']})"
    emit(Note(text=f"the model was saved without a loss; training uses {name}, from its last layer and the labels"))
    return guess
