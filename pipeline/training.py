"""How a model is trained again after a change: the workbench that every stage gets. Runs in the worker only."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from edgepipe.errors import DataError
from edgepipe.events import Emit, Note, step
from edgepipe.facts import Claim
from edgepipe.pipeline.batches import batches, class_weights
from edgepipe.pipeline.cache import Cache
from edgepipe.pipeline.compiling import Setting, compile_for_saving, make_loss, make_metrics, make_optimizer
from edgepipe.pipeline.data import Dataset
from edgepipe.pipeline.data.meaning import Meaning, meaning
from edgepipe.pipeline.precision import mixed_twin
from edgepipe.pipeline.recipe import TrainSpec
from edgepipe.pipeline.trainer import Trainer, keeping_best, watching
from edgepipe.pipeline.user_code import importable
from edgepipe.records import TrainingHistory

KerasModel: TypeAlias = Any  # tf_keras.Model; TensorFlow has no types and is never imported outside the worker


@dataclass(frozen=True, kw_only=True)
class Workbench:
    """Data, training settings and converter for one stage.

    `claims` are those of all earlier stages: what must not be undone. `train` has loss, metrics, optimiser and learning rate filled
    in; `base` is where its `module:function`s are looked up. `histories` gets one entry for each call of `fit`.
    `layers` names the model's layers in their order, `cache` keeps what need not be computed twice.
    """

    splits: dict[str, Dataset]
    train: TrainSpec
    seed: int
    claims: tuple[Claim, ...]
    emit: Emit
    base: Path = Path()
    histories: list[TrainingHistory] = field(default_factory=list)
    layers: tuple[str, ...] = ()
    cache: Cache | None = None

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
        """Train `model`, by `train.fit` where the recipe has one, and keep the best epoch after `keep_best_from` of the training.

        Best is the lowest validation loss; without validation data the last epoch counts. Same seed, same weights. `callbacks` are
        what the stage cannot do without: a `train.fit` that does not pass them on is an error. The curves go to `histories`.
        """
        import tf_keras

        total = self.steps(epochs)
        trained = mixed_twin(model, stage) if self.train.mixed_precision else model
        tf_keras.utils.set_random_seed(self.seed)
        self._compile(trained, learning_rate or self.learning_rate, total)
        validation = self.splits.get("validation")
        with step(self.emit, f"train ({stage})", total, "batches") as advance, importable(self.base):
            watch = watching(advance, total, epochs)
            best = [keeping_best(watch, math.floor(keep_best_from * epochs))] if validation else []
            train = Trainer(spec=self.train, base=self.base, stage=stage)
            train(
                trained,
                self._batches(trained, train),
                batches(validation, self.train.batch_size) if validation else None,
                epochs=epochs,
                callbacks=[*callbacks, watch, *train.own_callbacks(), *best],
                watch=watch,
            )
        if trained is not model:
            model.set_weights(trained.get_weights())
        self.histories.append(watch.history())

    def _compile(self, model: KerasModel, rate: float, total: int) -> None:
        import tf_keras

        schedule = tf_keras.optimizers.schedules.CosineDecay(rate, total) if self.train.schedule == "cosine" else rate
        optimizer = "Adam" if self.train.optimizer == "from_model" else self.train.optimizer
        metrics = () if isinstance(self.train.metrics, str) else self.train.metrics
        model.compile(
            make_optimizer(optimizer, schedule, self.base),
            make_loss(self.train.loss, self.base),
            metrics=make_metrics(metrics, self.base),
        )

    def _batches(self, model: KerasModel, trainer: Trainer) -> Any:
        data, wanted = self._split("train"), self.train.class_weights
        weights = class_weights(data, model.output_shape[-1], wanted) if wanted else None
        return batches(data, self.train.batch_size, seed=self.seed, weights=weights, augment=trainer.augment())

    def keep_settings(self, model: KerasModel) -> None:
        """Compile a finished model with what it was trained with, so that its file says so to whoever opens it next."""
        metrics = () if isinstance(self.train.metrics, str) else self.train.metrics
        if self.train.loss != "from_model":
            compile_for_saving(model, self.train.loss, metrics, self.train.optimizer, self.learning_rate, self.base)

    def tflite(self, model: KerasModel, dtype: str) -> bytes:
        """Return the model as a `.tflite` of this dtype, its batch fixed to 1."""
        from edgepipe.pipeline.export.tflite import convert

        with step(self.emit, f"convert to {dtype}"):
            return convert(model, dtype, self.splits.get("calibration"))

    def _split(self, name: str) -> Dataset:
        if name not in self.splits:
            raise DataError(f"this stage needs {name} data", todo=f"Name it in the recipe: data: {{{name}: …}}; or pass --data.")
        return self.splits[name]


def loss_for(model: KerasModel, data: Dataset | None, own: Setting | None, emit: Emit) -> Setting:
    """Return the loss the model was compiled with, `own`; without one, the usual loss for the last layer and the labels."""
    if own is not None:
        return own
    activation = getattr(getattr(model.layers[-1], "activation", None), "__name__", "linear")
    outputs = math.prod(size for size in model.output_shape[1:] if size) if len(model.outputs) == 1 else 0
    kind = meaning(data, outputs) if data is not None and outputs else Meaning.NUMBERS
    if kind is Meaning.NUMBERS:
        guess: Setting = "mean_squared_error"
    elif kind is Meaning.MULTI_LABEL or model.output_shape[-1] == 1:
        guess = {"name": "BinaryCrossentropy", "from_logits": activation != "sigmoid"}
    else:
        sparse = "" if kind is Meaning.ONE_HOT else "Sparse"
        guess = {"name": f"{sparse}CategoricalCrossentropy", "from_logits": activation != "softmax"}
    name = guess if isinstance(guess, str) else f"{guess['name']}(from_logits={guess['from_logits']})"
    emit(Note(text=f"no loss came with the model; training uses {name}, from its last layer and the labels"))
    return guess
