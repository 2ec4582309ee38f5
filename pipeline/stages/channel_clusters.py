"""Clusters of each output channel of a convolution, for all channels at once: TF-MOT's own go through them one by one, in minutes.

Its training with quantisation also loses them: where two channels hold different numbers of values it puts all values of the layer
in one table, and above 1,024 of these gives up in silence. Runs in the worker only.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def all_channels(table: Any) -> Any:
    """Return TF-MOT's clustering algorithm over a variable of centroids [channels, clusters] and kernels [h, w, in, channels]."""
    import tensorflow as tf
    from tensorflow_model_optimization.python.core.clustering.keras.clustering_algorithm import ClusteringAlgorithm

    class AllChannels(ClusteringAlgorithm):  # type: ignore[misc]
        """Each weight takes the nearest centroid of its own channel."""

        def get_pulling_indices(self, weight: Any, centroids: Any = None) -> Any:
            nearest = self.cluster_centroids if centroids is None else centroids
            return tf.argmin(tf.abs(weight[..., tf.newaxis] - nearest), axis=-1)

        def get_clustered_weight(self, pulling_indices: Any, original_weight: Any) -> Any:
            values = tf.gather(self.cluster_centroids, tf.transpose(pulling_indices, (3, 0, 1, 2)), axis=1, batch_dims=1)
            return self.add_gradient_to_original_weight(tf.transpose(values, (1, 2, 3, 0)), tf.identity(original_weight))

    return AllChannels(table)


def wrapper() -> Any:
    """Return TF-MOT's wrapper of a layer whose weights are clustered, as a class for convolutions with clusters of each channel."""
    import tensorflow as tf
    from tensorflow_model_optimization.python.core.clustering.keras.cluster_wrapper import ClusterWeights

    class ClusterEachChannel(ClusterWeights):  # type: ignore[misc]
        """Takes the arguments of ClusterWeights."""

        def __init__(self, layer: Any, number_of_clusters: int, **settings: Any) -> None:
            super().__init__(layer, number_of_clusters, cluster_per_channel=True, **settings)

        def build(self, input_shape: Any) -> None:
            super().build(input_shape)
            self.clustering_algorithms = {name: all_channels(table) for name, table in self.cluster_centroids.items()}

        def update_clustered_weights_associations(self) -> None:
            for name, original in self.original_clusterable_weights.items():
                if self.preserve_sparsity:
                    table = self.cluster_centroids[name]
                    table.assign(table * (1.0 - tf.one_hot(self.zero_idx[name], table.shape[-1])))
                    original = original * self.sparsity_masks[name]
                indices = self.clustering_algorithms[name].get_pulling_indices(original)
                self.pulling_indices[name].assign(indices)
                self.set_weight_to_layer(name, self.clustering_algorithms[name].get_clustered_weight(indices, original))

    return ClusterEachChannel


def quantizer(preserve_sparsity: bool) -> Any:
    """Return a quantiser of a convolution's weights that keeps the values of each channel, and its zeros where asked."""
    import tf_keras
    from tensorflow_model_optimization.python.core.quantization.keras.collab_opts.cluster_preserve import (
        cluster_preserve_quantize_registry as tfmot,
    )
    from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import default_8bit_quantizers

    class KeepEachChannel(tfmot.ClusterPreserveDefault8BitConvWeightsQuantizer):  # type: ignore[misc]
        """TF-MOT's quantiser with a table of centroids for each channel, whatever number of values each of them holds."""

        def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
            kernel = tf_keras.backend.get_value(getattr(layer.layer, name))
            values = _table(kernel)

            def variable(label: str, value: Any, *, trainable: bool = True) -> Any:
                start = tf_keras.initializers.Constant(value=value)
                return layer.add_weight(label, shape=value.shape, initializer=start, dtype=value.dtype, trainable=trainable)

            table = variable(tfmot.CLUSTER_CENTROIDS, values)
            algorithm = all_channels(table)
            indices = algorithm.get_pulling_indices(kernel).numpy()
            return {
                tfmot.CLUSTER_CENTROIDS: table,
                tfmot.ORIGINAL_WEIGHTS: variable(tfmot.ORIGINAL_WEIGHTS, kernel),
                tfmot.PULLING_INDICES: variable(tfmot.PULLING_INDICES, indices, trainable=False),
                tfmot.WEIGHT_NAME: name,
                tfmot.CLUSTERING_IMPL: algorithm,
                tfmot.CENTROIDS_MASK: (values != 0).astype(values.dtype),
                tfmot.SPARSITY_MASK: (kernel != 0).astype(kernel.dtype),
                **default_8bit_quantizers.Default8BitConvWeightsQuantizer.build(self, tensor_shape, name, layer),
            }

    return KeepEachChannel(preserve_sparsity)


def _table(kernel: Any) -> Any:
    """Return the distinct values of each output channel [channels, most]; one with fewer repeats its first."""
    rows = [np.unique(kernel[..., channel]) for channel in range(kernel.shape[-1])]
    most = max(len(row) for row in rows)
    return np.stack([np.concatenate([row, np.repeat(row[:1], most - len(row))]) for row in rows])
