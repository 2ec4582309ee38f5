"""Prune: set the smallest weights to zero while training on (TF-MOT magnitude pruning; Zhu and Gupta 2017, arXiv:1710.01878)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from edgepipe.errors import UnsupportedModel
from edgepipe.events import Note
from edgepipe.facts import Claim, ClaimKind
from edgepipe.pipeline.stages.layer_choice import per_layer
from edgepipe.pipeline.stages.protocol import (
    Form,
    Product,
    clustered_layers,
    frozen,
    schedule_problems,
    sparse_layers,
)

if TYPE_CHECKING:
    from edgepipe.pipeline.training import KerasModel, Workbench

# Layers whose kernels hold most of a network's weights. A depthwise kernel has few, and losing them costs most.
PRUNABLE = ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "Conv3DTranspose", "Dense")
# TF-MOT knows patterns in kernels of two or four dimensions; those of a transposed convolution lie across its file's rows.
IN_PATTERN = ("Conv2D", "Dense")
PATTERN_GROUP, PATTERN_SPARSITY = 4, 0.5


@dataclass(frozen=True, kw_only=True)
class Prune:
    """Zeros: the file compresses better, and runtimes with sparse kernels run faster."""

    gives: ClassVar[Form] = Form.KERAS
    needs_data: ClassVar[bool] = True

    sparsity: float = 0.8
    """Share of the weights to set to zero, 0 to 1, in each pruned layer."""
    block: tuple[int, int] | None = None
    """Zeros come in blocks of `[inputs, outputs]`, such as `[4, 1]`, from the first weight on; dense layers only."""
    pattern: Literal["2:4"] | None = None
    """`2:4`: two of any four weights along a layer's inputs are zero, from the first step on; in place of `sparsity`."""
    layers: dict[str, float] = field(default_factory=dict)
    """Sparsity of single layers, by name or glob, such as `{"conv*": 0.9, head: 0}`; the first that fits counts, 0 leaves one."""
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
        if self.block is not None and (min(self.block) < 1 or self.block == (1, 1)):
            problems.append(f"block is {list(self.block)}; it must be [inputs, outputs], such as [1, 4]")
        if self.block is not None and self.pattern is not None:
            problems.append("block and pattern are two ways to place the zeros: name one of them")
        for glob, share in self.layers.items():
            if not 0 <= share < 1:
                problems.append(f'layers: "{glob}" is {share}; it must lie between 0 (leave it) and 1')
            elif self.pattern is not None and share:
                problems.append(f'layers: "{glob}" is {share}; with pattern {self.pattern} a layer can only be left, by 0')
        if not 0 <= self.begin_percent < self.end_percent <= 100:
            problems.append("0 <= begin_percent < end_percent <= 100 does not hold")
        return problems + schedule_problems(self.epochs, self.learning_rate)

    def apply(self, model: KerasModel, bench: Workbench) -> Product:
        """Return the pruned model. Raises UnsupportedModel where no layer has weights to prune, RecipeError for lost names."""
        import tensorflow_model_optimization as tfmot

        epochs = bench.epochs(self.epochs)
        candidates = {layer.name: layer for layer in model.layers if type(layer).__name__ in PRUNABLE}
        default = PATTERN_SPARSITY if self.pattern else self.sparsity
        wanted = {name: share for name, share in per_layer(self.layers, default, list(candidates), stage="prune").items() if share}
        skipped = tuple(name for name in wanted if not self._fits(candidates[name]))
        pruned = {name: share for name, share in wanted.items() if name not in skipped}
        if not pruned:
            raise self._nothing_to_prune(skipped)
        if skipped:
            bench.emit(Note(text=f"prune: {self._layout()} is not for {', '.join(skipped)}, which stay as they are"))

        def wrap(layer: Any) -> Any:
            if layer.name not in pruned:
                return layer
            schedule = self._schedule(pruned[layer.name], bench.steps(epochs))
            placed = {"block_size": self.block} if self.block else {"sparsity_m_by_n": (2, 4)} if self.pattern else {}
            return tfmot.sparsity.keras.prune_low_magnitude(layer, pruning_schedule=schedule, **placed)

        wrapped = bench.clone(model, wrap)
        with frozen(model, {*sparse_layers(bench.claims), *clustered_layers(bench.claims)} - pruned.keys()):
            bench.fit(
                wrapped,
                "prune",
                epochs=epochs,
                learning_rate=self.learning_rate,
                callbacks=[tfmot.sparsity.keras.UpdatePruningStep()],
                keep_best_from=0.0 if self.pattern else self.end_percent / 100,
            )
        stripped = tfmot.sparsity.keras.strip_pruning(wrapped)
        return Product(
            tflite=bench.tflite(stripped, "float32"), model=stripped, claims=self._claims(pruned), skipped_layers=skipped
        )

    def _fits(self, layer: Any) -> bool:
        """Whether TF-MOT can place zeros in this layer as asked."""
        kind, shape = type(layer).__name__, layer.kernel.shape
        if self.pattern:  # of one or two inputs it would set none to zero
            return kind in IN_PATTERN and shape[-2] > PATTERN_GROUP // 2
        if self.block:  # a matrix with a single row or column is no matrix to TF-MOT
            return kind == "Dense" and min(shape) > 1
        return True

    def _layout(self) -> str:
        return f"pattern {self.pattern}" if self.pattern else f"block {list(self.block)}" if self.block else "pruning"

    def _nothing_to_prune(self, skipped: tuple[str, ...]) -> UnsupportedModel:
        able = {"pattern": IN_PATTERN, "block": ("Dense",)}.get(self._layout().split()[0], PRUNABLE)
        return UnsupportedModel(
            "the model has no layer that can be pruned" if self._layout() == "pruning" else f"no layer takes {self._layout()}",
            problems=[f'"{name}" does not' for name in skipped],
            cause=f"it works on {', '.join(able)}",
            todo="Leave the stage out, or prune without block and pattern.",
        )

    def _schedule(self, share: float, steps: int) -> Any:
        import tensorflow_model_optimization as tfmot

        return tfmot.sparsity.keras.PolynomialDecay(
            initial_sparsity=0.0,
            final_sparsity=share,
            begin_step=int(steps * self.begin_percent / 100),
            end_step=max(1, int(steps * self.end_percent / 100)),
            frequency=max(1, steps // 100),
        )

    def _claims(self, pruned: dict[str, float]) -> tuple[Claim, ...]:
        """Return one claim for each sparsity, about the layers that share it."""
        if self.pattern:
            return (Claim(kind=ClaimKind.PATTERN, stage="prune", wanted=self.pattern, layers=tuple(pruned)),)
        kind = ClaimKind.BLOCKS if self.block else ClaimKind.SPARSITY
        return tuple(
            Claim(
                kind=kind,
                stage="prune",
                wanted=share,
                layers=tuple(name for name, own in pruned.items() if own == share),
                shape=self.block,
            )
            for share in dict.fromkeys(pruned.values())
        )
