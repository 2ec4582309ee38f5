"""One training: Keras's own loop or the user's, with the callbacks that watch it and prove that they were passed on.

A `train.fit` of the user's is called as

    fit(model, train, validation, epochs, callbacks)

`model` is compiled; `train` and `validation` (or None) are `tf.data.Dataset`s of batches (inputs, labels) or (inputs, labels,
weights), shuffled, weighed and augmented; `callbacks` belong into `model.fit`, or into a `tf_keras.callbacks.CallbackList` that a
loop of one's own calls. What it returns is ignored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, Protocol

import numpy as np

from edgepipe.errors import RecipeError
from edgepipe.pipeline.augment import Augment, Inputs
from edgepipe.pipeline.recipe import TrainSpec
from edgepipe.pipeline.user_code import culprit, failed, load_code
from edgepipe.records import TrainingHistory

EPOCHS_KEPT = 200  # of a curve; beyond that every k-th
DIGITS_KEPT = 5


class Watch(Protocol):
    """The callback that sees every training: how far it is, how it went, and on which model."""

    model: Any
    done: int
    kept_epoch: int | None

    def history(self) -> TrainingHistory:
        """Return the curves so far."""


@dataclass(frozen=True, kw_only=True)
class Trainer:
    """The recipe's own code in one training: `train.fit`, `train.callbacks`, `train.augment`. `failures` are what they raised."""

    spec: TrainSpec
    base: Path
    stage: str
    failures: list[RecipeError] = field(default_factory=list)

    def __call__(self, model: Any, train: Any, validation: Any, *, epochs: int, callbacks: Sequence[Any], watch: Watch) -> None:
        """Train. Raises RecipeError where the user's code fails, does not pass on the callbacks, or trains another model."""
        spec = self.spec.fit
        fit = load_code(spec, self.base) if spec else _keras_fit
        try:
            fit(model, train, validation, epochs, list(callbacks))
        except Exception as exc:
            if self.failures:
                raise self.failures[0] from exc
            if spec and "UpdatePruningStep" in str(exc):  # TF-MOT's own complaint
                raise self._not_passed_on(spec) from exc
            if guilty := culprit(self.spec.code.values(), exc) or spec:
                raise failed(guilty, exc) from exc
            raise
        if spec and not watch.done:
            raise self._not_passed_on(spec)
        if spec and not {id(weight) for weight in watch.model.weights} & {id(weight) for weight in model.weights}:
            raise RecipeError(f"{spec} trained another model than the one it was given", todo="Train `model` itself, in place.")

    def augment(self) -> Augment | None:
        """Return the function that changes a batch; what it raises is kept in `failures`: TensorFlow tells it otherwise."""
        wanted = self.spec.augment
        if wanted is None:
            return None
        change: Augment = load_code(wanted, self.base) if isinstance(wanted, str) else wanted
        name = wanted if isinstance(wanted, str) else "train.augment"

        def changed(inputs: Inputs, random: np.random.Generator) -> Inputs:
            try:
                return _of_the_same_form(change(inputs, random), inputs)
            except Exception as exc:
                self.failures.append(failed(name, exc))
                raise

        return changed

    def own_callbacks(self) -> list[Any]:
        """Return the recipe's callbacks, fresh. Raises RecipeError for what is no callback of Keras 2."""
        import tf_keras

        made: list[Any] = []
        for spec in self.spec.callbacks:
            function = load_code(spec, self.base)
            try:
                given = function()
            except Exception as exc:  # the user's own code may raise anything
                raise failed(spec, exc) from exc
            made += given if isinstance(given, list | tuple) else [given]
            for callback in made:
                if not isinstance(callback, tf_keras.callbacks.Callback):
                    kind = f"{type(callback).__module__}.{type(callback).__name__}"
                    raise RecipeError(f"{spec} gave a {kind}, no callback of Keras 2", todo="from tf_keras import callbacks")
        return made

    def _not_passed_on(self, spec: str) -> RecipeError:
        return RecipeError(
            f"{spec} trained without the callbacks of the stage ({self.stage})",
            cause="without them nothing is pruned, no epoch is chosen and no progress shown",
            todo="Pass them on: model.fit(train, validation_data=validation, epochs=epochs, callbacks=callbacks).",
        )


def _of_the_same_form(changed: Inputs, inputs: Inputs) -> Inputs:
    if isinstance(inputs, dict):
        if not isinstance(changed, dict) or set(changed) != set(inputs):
            raise ValueError(f"it must return a map with the inputs {', '.join(inputs)}")
        return {name: _of_the_same_form(changed[name], values) for name, values in inputs.items()}
    if np.shape(changed) != inputs.shape:
        raise ValueError(f"it returned the shape {np.shape(changed)} for a batch of the shape {inputs.shape}")
    return changed


def _keras_fit(model: Any, train: Any, validation: Any, epochs: int, callbacks: list[Any]) -> None:
    model.fit(train, validation_data=validation, epochs=epochs, callbacks=callbacks, verbose=0)


def watching(advance: Callable[..., None], total: int, epochs: int) -> Watch:
    """Return the callback that shows progress and keeps the curves; `total` is in batches."""
    import tf_keras

    class Watching(tf_keras.callbacks.Callback):  # type: ignore[misc]
        """Batches done so far, with the epoch and its losses."""

        done, epoch, seen = 0, 0, ""
        kept_epoch: int | None = None

        def __init__(self) -> None:
            super().__init__()
            self.curves: dict[str, list[float]] = {}
            self.began = monotonic()

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.epoch = epoch + 1

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.done += 1
            if self.done % max(1, total // 100) == 0:
                advance(self.done, f"epoch {self.epoch}/{epochs}{self.seen}")

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            values = {name: float(value) for name, value in (logs or {}).items() if np.ndim(value) == 0}
            self.seen = "".join(f" {name} {value:.3f}" for name, value in values.items())
            for name, value in values.items():
                self.curves.setdefault(name, []).append(value)

        def history(self) -> TrainingHistory:
            return _history(self.curves, self.kept_epoch, monotonic() - self.began)

    watch: Watch = Watching()
    return watch


def _history(curves: dict[str, list[float]], kept_epoch: int | None, seconds: float) -> TrainingHistory:
    epochs = max(map(len, curves.values()), default=0)
    stride = max(1, -(-epochs // EPOCHS_KEPT))

    def short(value: float) -> float | None:
        return float(f"{value:.{DIGITS_KEPT}g}") if math.isfinite(value) else None

    return TrainingHistory(
        epochs=epochs,
        stride=stride,
        kept_epoch=kept_epoch,
        seconds=seconds,
        curves={name: tuple(map(short, values[::stride])) for name, values in curves.items()},
    )


def keeping_best(watch: Watch, first_epoch: int) -> Any:
    """Return the callback that puts the weights of the epoch with the lowest validation loss back at the end."""
    import tf_keras

    class KeepBest(tf_keras.callbacks.Callback):  # type: ignore[misc]
        """The weights of the best epoch so far, from `first_epoch` on."""

        lowest, weights = math.inf, None

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            loss = (logs or {}).get("val_loss", math.inf)
            if epoch >= first_epoch and loss < self.lowest:
                self.lowest, self.weights, watch.kept_epoch = loss, self.model.get_weights(), epoch + 1

        def on_train_end(self, logs: Any = None) -> None:
            if self.weights is not None:
                self.model.set_weights(self.weights)

    return KeepBest()
