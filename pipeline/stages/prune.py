"""Prune: set the smallest weights to zero while training on (TF-MOT magnitude pruning; Zhu and Gupta 2017, arXiv:1710.01878)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from edgepipe.errors import UnsupportedModel
from edgepipe.facts import Claim, ClaimKind
from edgepipe.pipeline.stages.protocol import Form, Product, schedule_problems

if TYPE_CHECKING:
    from edgepipe.pipeline.training import KerasModel, Workbench

# Layers whose kernels hold most of a network's weights. A depthwise kernel has few, and losing them costs most.
PRUNABLE = ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "Conv3DTranspose", "Dense")


@dataclass(frozen=True, kw_only=True)
class Prune:
    """Zeros: the file compresses better, and runtimes with sparse kernels run faster."""

    gives: ClassVar[Form] = Form.KERAS
    needs_data: ClassVar[bool] = True

    sparsity: float = 0.8
    """Share of the weights to set to zero, 0 to 1, in each pruned layer."""
    begin_percent: float = 0.0
    """When pruning starts, in percent of this stage's training."""
    end_percent: float = 60.0
    """When the full sparsity is reached, in percent of this stage's training; the rest lets the network recover."""
    epochs: int | None = None
    """Passes over the training data; the recipe's `train.epochs` by default."""
    learning_rate: float | None = None
    """Highest learning rate; the recipe's `train.learning_rate` by default."""

    def check(self) -> list[str]:
        """Return what is wrong with the parameters, one line each."""
        problems = []
        if not 0 < self.sparsity < 1:
            problems.append(f"sparsity is {self.sparsity}; it must lie between 0 and 1 (0.8 is 80 %)")
        if not 0 <= self.begin_percent < self.end_percent <= 100:
            problems.append("0 <= begin_percent < end_percent <= 100 does not hold")
        return problems + schedule_problems(self.epochs, self.learning_rate)

    def apply(self, model: KerasModel, bench: Workbench) -> Product:
        """Return the pruned model. Raises UnsupportedModel where no layer has weights to prune."""
        import tensorflow_model_optimization as tfmot

        epochs = bench.epochs(self.epochs)
        steps = bench.steps(epochs)
        schedule = tfmot.sparsity.keras.PolynomialDecay(
            initial_sparsity=0.0,
            final_sparsity=self.sparsity,
            begin_step=int(steps * self.begin_percent / 100),
            end_step=max(1, int(steps * self.end_percent / 100)),
            frequency=max(1, steps // 100),
        )
        pruned: list[str] = []

        def wrap(layer: object) -> object:
            if type(layer).__name__ not in PRUNABLE:
                return layer
            pruned.append(layer.name)  # type: ignore[attr-defined]
            return tfmot.sparsity.keras.prune_low_magnitude(layer, pruning_schedule=schedule)

        wrapped = bench.clone(model, wrap)
        if not pruned:
            raise UnsupportedModel(
                "the model has no layer that can be pruned",
                cause=f"pruning works on {', '.join(PRUNABLE)}",
                todo="Leave the stage out.",
            )
        bench.fit(
            wrapped,
            "prune",
            epochs=epochs,
            learning_rate=self.learning_rate,
            callbacks=[tfmot.sparsity.keras.UpdatePruningStep()],
            keep_best_from=self.end_percent / 100,
        )
        stripped = tfmot.sparsity.keras.strip_pruning(wrapped)
        claim = Claim(kind=ClaimKind.SPARSITY, stage="prune", wanted=self.sparsity, layers=tuple(pruned))
        return Product(tflite=bench.tflite(stripped, "float32"), model=stripped, claims=(claim,))
