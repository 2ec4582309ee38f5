"""Quantisation-aware training on the layers that TF-MOT can take; the others stay as they are and are quantised on conversion.

What earlier stages promised is kept layer by layer: zeros (PQAT), clusters (CQAT) or both (PCQAT), each only where there is
something to keep. TF-MOT's own schemes are for whole models: the one for clusters stops to keep zeros at the first layer without
any.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgepipe.errors import UnsupportedModel
from edgepipe.facts import Claim
from edgepipe.pipeline.stages import channel_clusters
from edgepipe.pipeline.stages.protocol import cluster_numbers, sparse_layers

KEPT_IN_TRAINING = ("Conv2D", "Dense")  # whose zeros and clusters TF-MOT keeps while they train


def quantize_aware(
    model: Any, claims: Sequence[Claim] = (), *, float_layers: frozenset[str] = frozenset()
) -> tuple[Any, tuple[str, ...]]:
    """Return (a trainable model that rounds as int8 will, the names of layers that TF-MOT could not take).

    `claims` are those of earlier stages; `float_layers` are left as they are on purpose. A layer that holds a promise which
    training would break is frozen. Raises UnsupportedModel where no layer is left.
    """
    import tensorflow_model_optimization as tfmot
    import tf_keras

    sparse, clustered = frozenset(sparse_layers(claims)), cluster_numbers(claims)
    scheme = _scheme(sparse, clustered)
    known = scheme.get_quantize_registry()
    skipped: list[str] = []
    taken: list[str] = []
    folded = _folded(model)

    def annotate(layer: Any) -> Any:
        if isinstance(layer, tf_keras.layers.InputLayer):
            return layer
        promised = layer.name in sparse | clustered.keys()
        takes = layer.name in folded or (not isinstance(layer, tf_keras.Model) and known.supports(layer))
        takes = takes and (not promised or type(layer).__name__ in KEPT_IN_TRAINING)
        if not takes and layer.name not in float_layers:
            skipped.append(layer.name)
        if not takes or layer.name in float_layers:
            layer.trainable = layer.trainable and not promised
            return layer
        taken.append(layer.name)
        return tfmot.quantization.keras.quantize_annotate_layer(layer)

    annotated = tf_keras.models.clone_model(model, clone_function=annotate)
    if not taken:
        raise UnsupportedModel(
            "no layer of the model can be trained with quantisation",
            problems=[f"{name}: not among the layers TF-MOT quantises" for name in skipped],
            todo="Use mode: int8, which needs no training.",
        )
    try:
        return tfmot.quantization.keras.quantize_apply(annotated, scheme), tuple(skipped)
    except (ValueError, RuntimeError) as exc:
        raise UnsupportedModel(
            "TF-MOT cannot train this model with quantisation",
            cause=str(exc).splitlines()[0][:300],
            todo="Use mode: int8, which needs no training.",
        ) from exc


def _scheme(sparse: frozenset[str], clustered: Mapping[str, int]) -> Any:
    """Return TF-MOT's scheme for int8, with the quantiser of each layer's weights chosen by what the layer has to keep."""
    import numpy as np
    from tensorflow_model_optimization.python.core.quantization.keras.collab_opts.cluster_preserve import (
        cluster_preserve_quantize_registry as clusters,
    )
    from tensorflow_model_optimization.python.core.quantization.keras.collab_opts.prune_preserve import (
        prune_preserve_quantize_registry as zeros,
    )
    from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (
        default_8bit_quantize_registry,
        default_8bit_quantize_scheme,
    )
    from tensorflow_model_optimization.python.core.quantization.keras.quantize_aware_activation import (
        QuantizeAwareActivation as Rounds,
    )

    activations = {*Rounds._PRE_QUANT_ACTIVATIONS, *Rounds._POST_QUANT_ACTIVATIONS, *Rounds._NO_QUANTIZE_ACTIVATIONS}

    class LayerByLayer(default_8bit_quantize_registry.Default8BitQuantizeRegistry):  # type: ignore[misc]
        """The default registry, save for layers with something to keep; without those whose activation TF-MOT cannot round."""

        def supports(self, layer: Any) -> bool:
            return _activation(layer) in activations and bool(super().supports(layer))

        def get_quantize_config(self, layer: Any) -> Any:
            # A registry of its own for each layer: they share one quantiser, which forgets zeros for good where it once finds none.
            if type(layer).__name__ in KEPT_IN_TRAINING and layer.name in clustered:
                config = clusters.Default8bitClusterPreserveQuantizeRegistry(layer.name in sparse).get_quantize_config(layer)
                if len(np.unique(layer.kernel.numpy())) > clustered[layer.name]:  # then each channel has its own
                    config.weight_quantizer = channel_clusters.quantizer(layer.name in sparse)
                return config
            if type(layer).__name__ in KEPT_IN_TRAINING and layer.name in sparse:
                return zeros.Default8bitPrunePreserveQuantizeRegistry().get_quantize_config(layer)
            return super().get_quantize_config(layer)

    class Scheme(default_8bit_quantize_scheme.Default8BitQuantizeScheme):  # type: ignore[misc]
        """TF-MOT's layout of a quantised model with that registry."""

        def get_quantize_registry(self) -> Any:
            return LayerByLayer()

    return Scheme()


def _folded(model: Any) -> set[str]:
    """Return the names of layers that TF-MOT takes although its registry does not list them, since it rewrites them first.

    A BatchNormalization directly after a linear convolution or dense layer is folded into it; a SeparableConv2D is split in two.
    """
    import tf_keras

    layers = tf_keras.layers
    linear = (layers.Conv2D, layers.DepthwiseConv2D, layers.Dense)
    names = set()
    for layer in model.layers:
        if type(layer) is layers.SeparableConv2D:
            names.add(layer.name)
        elif isinstance(layer, linear) and _activation(layer) == "linear":
            nodes = layer._outbound_nodes
            if len(nodes) == 1 and isinstance(nodes[0].outbound_layer, layers.BatchNormalization):
                names.add(nodes[0].outbound_layer.name)
    return names


def _activation(layer: Any) -> str:
    """Return the name of the layer's own activation; TF-MOT knows few, and gives up the whole model over one that it does not."""
    return getattr(getattr(layer, "activation", None), "__name__", "linear")
