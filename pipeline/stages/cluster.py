"""Cluster: let all weights of a layer share a few values (TF-MOT weight clustering; Han et al. 2016, arXiv:1510.00149)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from edgepipe.errors import RecipeError, UnsupportedModel
from edgepipe.events import Note
from edgepipe.facts import Claim, ClaimKind
from edgepipe.pipeline.stages import channel_clusters
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

CLUSTERABLE = ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "Dense")
PER_CHANNEL = ("Conv2D",)  # where TF-MOT knows how
FEWEST, MOST = 2, 256
FEWEST_WITH_ZERO = 3  # TF-MOT's limit where zero is one of the values


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Few distinct values: the file compresses better. Zeros of an earlier pruning stay zero."""

    gives: ClassVar[Form] = Form.KERAS
    needs_data: ClassVar[bool] = True

    clusters: int = 16
    """Distinct values in each layer, zero among them where the layer was pruned before."""
    init: Literal["linear", "random", "density", "kmeans++"] = "kmeans++"
    """Where the values start: `linear` from smallest to largest weight, at `random` between them, by `density` of the weights, or
    by `kmeans++`."""
    per_channel: bool = False
    """Convolutions: values of its own for each output channel, as int8 has scales of its own; more values in all, more accuracy."""
    layers: dict[str, int] = field(default_factory=dict)
    """Clusters of single layers, by name or glob, such as `{"conv*": 32, head: 0}`; the first that fits counts, 0 leaves one."""
    epochs: int | None = None
    """Passes over the training data; the recipe's `train.epochs` by default."""
    learning_rate: float | None = None
    """Highest learning rate; a tenth of the recipe's `train.learning_rate` by default."""

    def check(self) -> list[str]:
        """Return what is wrong with the parameters, one line each."""
        allowed = f"it must lie between {FEWEST} and {MOST}"
        problems = [] if FEWEST <= self.clusters <= MOST else [f"clusters is {self.clusters}; {allowed}"]
        problems += [
            f'layers: "{glob}" is {number}; {allowed}, or be 0 (leave it)'
            for glob, number in self.layers.items()
            if number and not FEWEST <= number <= MOST
        ]
        return problems + schedule_problems(self.epochs, self.learning_rate)

    def apply(self, model: KerasModel, bench: Workbench) -> Product:
        """Return the clustered model. Raises UnsupportedModel where no layer has weights to cluster, RecipeError for lost names."""
        import tensorflow_model_optimization as tfmot
        from tensorflow_model_optimization.python.core.clustering.keras.cluster_wrapper import ClusterWeights

        sparse = set(sparse_layers(bench.claims))
        candidates = {layer.name: layer for layer in model.layers if type(layer).__name__ in CLUSTERABLE}
        own = per_layer(self.layers, self.clusters, list(candidates), stage="cluster")
        wanted = {name: number for name, number in own.items() if number}
        _check_zero_has_room(wanted, sparse)
        skipped = tuple(name for name in wanted if _values(candidates[name], zeros=name not in sparse) <= wanted[name])
        clustered = {name: number for name, number in wanted.items() if name not in skipped}
        if not clustered:
            raise UnsupportedModel(
                "the model has no layer that can be clustered",
                cause=f"clustering works on {', '.join(CLUSTERABLE)} with more weights than clusters",
                todo="Leave the stage out.",
            )
        by_channel = self._by_channel({name: candidates[name] for name in clustered}, clustered, sparse, bench)

        def wrap(layer: Any) -> Any:
            if layer.name not in clustered:
                return layer
            # Not cluster_weights(): that leaves a convolution without bias alone, in silence.
            wrapper = channel_clusters.wrapper() if layer.name in by_channel else ClusterWeights
            return wrapper(
                layer,
                number_of_clusters=clustered[layer.name],
                cluster_centroids_init=_centroids(self.init),
                preserve_sparsity=layer.name in sparse,
            )

        wrapped = bench.clone(model, wrap)
        with frozen(model, {*sparse, *clustered_layers(bench.claims), *skipped} - clustered.keys()):
            bench.fit(
                wrapped, "cluster", epochs=bench.epochs(self.epochs), learning_rate=self.learning_rate or bench.learning_rate / 10
            )
        stripped = tfmot.clustering.keras.strip_clustering(wrapped)
        claims = tuple(
            Claim(
                kind=ClaimKind.CLUSTERS,
                stage="cluster",
                wanted=number,
                layers=tuple(name for name, own in clustered.items() if own == number),
            )
            for number in dict.fromkeys(clustered.values())
        )
        return Product(tflite=bench.tflite(stripped, "float32"), model=stripped, claims=claims, skipped_layers=skipped)

    def _by_channel(self, layers: dict[str, Any], clusters: dict[str, int], sparse: set[str], bench: Workbench) -> set[str]:
        """Return the layers whose every channel has enough weights for clusters of its own; the others share theirs."""
        if not self.per_channel:
            return set()
        convolutions = {name: layer for name, layer in layers.items() if type(layer).__name__ in PER_CHANNEL}
        able = {
            name
            for name, layer in convolutions.items()
            if layer.data_format == "channels_last" and _values(layer, zeros=name not in sparse, each_channel=True) > clusters[name]
        }
        if small := [name for name in convolutions if name not in able]:
            bench.emit(Note(text=f"cluster: the channels of {', '.join(small)} have too few weights; they share their clusters"))
        return able


def _check_zero_has_room(wanted: dict[str, int], sparse: set[str]) -> None:
    if crowded := [name for name, number in wanted.items() if name in sparse and number < FEWEST_WITH_ZERO]:
        raise RecipeError(
            f"pruned layers need at least {FEWEST_WITH_ZERO} clusters, since zero is one of them",
            problems=[f'"{name}" has {wanted[name]}' for name in crowded],
        )


def _centroids(init: str) -> Any:
    import tensorflow_model_optimization as tfmot

    known = tfmot.clustering.keras.CentroidInitialization
    return {
        "linear": known.LINEAR,
        "random": known.RANDOM,
        "density": known.DENSITY_BASED,
        "kmeans++": known.KMEANS_PLUS_PLUS,
    }[init]


def _values(layer: Any, *, zeros: bool, each_channel: bool = False) -> int:
    """Return how many weights a layer, or its poorest output channel, has to share values among: there are no more clusters."""
    import numpy as np

    kernel = layer.kernel.numpy()
    kernel = kernel.reshape(-1, kernel.shape[-1] if each_channel else 1)
    counts = np.full(kernel.shape[1], len(kernel)) if zeros else np.count_nonzero(kernel, axis=0)
    return int(counts.min())
