"""Cluster: let all weights of a layer share a few values (TF-MOT weight clustering; Han et al. 2016, arXiv:1510.00149)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from edgepipe.errors import UnsupportedModel
from edgepipe.facts import Claim, ClaimKind
from edgepipe.pipeline.stages.protocol import Form, Product, layers_claimed, schedule_problems

if TYPE_CHECKING:
    from edgepipe.pipeline.training import KerasModel, Workbench

CLUSTERABLE = ("Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose", "Dense")


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Few distinct values: the file compresses better. Zeros of an earlier pruning stay zero."""

    gives: ClassVar[Form] = Form.KERAS
    needs_data: ClassVar[bool] = True

    clusters: int = 16
    """Distinct values in each layer, zero among them where the layer was pruned before."""
    epochs: int | None = None
    """Passes over the training data; the recipe's `train.epochs` by default."""
    learning_rate: float | None = None
    """Highest learning rate; a tenth of the recipe's `train.learning_rate` by default."""

    def check(self) -> list[str]:
        """Return what is wrong with the parameters, one line each."""
        problems = [] if 2 <= self.clusters <= 256 else [f"clusters is {self.clusters}; it must lie between 2 and 256"]
        return problems + schedule_problems(self.epochs, self.learning_rate)

    def apply(self, model: KerasModel, bench: Workbench) -> Product:
        """Return the clustered model. Raises UnsupportedModel where no layer has weights to cluster."""
        import tensorflow_model_optimization as tfmot
        from tensorflow_model_optimization.python.core.clustering.keras.experimental import cluster as experimental

        sparse = set(layers_claimed(bench.claims, ClaimKind.SPARSITY))
        clustered: list[str] = []
        skipped: list[str] = []

        def wrap(layer: object) -> object:
            name: str = layer.name  # type: ignore[attr-defined]
            if type(layer).__name__ not in CLUSTERABLE:
                return layer
            if _values(layer, zeros=name not in sparse) <= self.clusters:
                skipped.append(name)
                if name in sparse:  # nothing else would keep its zeros
                    layer.trainable = False  # type: ignore[attr-defined]
                return layer
            clustered.append(name)
            return experimental.cluster_weights(
                layer,
                number_of_clusters=self.clusters,
                cluster_centroids_init=tfmot.clustering.keras.CentroidInitialization.KMEANS_PLUS_PLUS,
                preserve_sparsity=name in sparse,
            )

        wrapped = bench.clone(model, wrap)
        if not clustered:
            raise UnsupportedModel(
                "the model has no layer that can be clustered",
                cause=f"clustering works on {', '.join(CLUSTERABLE)} with more weights than clusters",
                todo="Leave the stage out.",
            )
        bench.fit(
            wrapped, "cluster", epochs=bench.epochs(self.epochs), learning_rate=self.learning_rate or bench.learning_rate / 10
        )
        for layer in model.layers:
            layer.trainable = layer.trainable or layer.name in skipped
        stripped = tfmot.clustering.keras.strip_clustering(wrapped)
        claim = Claim(kind=ClaimKind.CLUSTERS, stage="cluster", wanted=self.clusters, layers=tuple(clustered))
        return Product(tflite=bench.tflite(stripped, "float32"), model=stripped, claims=(claim,), skipped_layers=tuple(skipped))


def _values(layer: Any, *, zeros: bool) -> int:
    """Return how many weights a layer has to share values among: TF-MOT finds no more clusters than that."""
    import numpy as np

    kernel = layer.kernel.numpy()
    return int(kernel.size if zeros else np.count_nonzero(kernel))
