"""Quantisation-aware training on the layers that TF-MOT can take; the others stay as they are and are quantised on conversion."""

from __future__ import annotations

from typing import Any

from edgepipe.errors import UnsupportedModel


def quantize_aware(model: Any, *, preserve_sparsity: bool, preserve_clusters: bool) -> tuple[Any, tuple[str, ...]]:
    """Return (a trainable model that rounds as int8 will, the names of layers that TF-MOT could not take).

    Zeros and clusters of earlier stages are kept where asked (PQAT, CQAT, PCQAT). Raises UnsupportedModel where no layer is left.
    """
    import tensorflow_model_optimization as tfmot
    import tf_keras
    from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import default_8bit_quantize_registry as registry

    known = registry.Default8BitQuantizeRegistry()
    skipped: list[str] = []
    taken: list[str] = []
    folded = _folded(model)

    def annotate(layer: Any) -> Any:
        if isinstance(layer, tf_keras.layers.InputLayer):
            return layer
        if layer.name not in folded and (isinstance(layer, tf_keras.Model) or not known.supports(layer)):
            skipped.append(layer.name)
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
        return tfmot.quantization.keras.quantize_apply(annotated, _scheme(preserve_sparsity, preserve_clusters)), tuple(skipped)
    except (ValueError, RuntimeError) as exc:
        raise UnsupportedModel(
            "TF-MOT cannot train this model with quantisation",
            cause=str(exc).splitlines()[0][:300],
            todo="Use mode: int8, which needs no training.",
        ) from exc


def _scheme(preserve_sparsity: bool, preserve_clusters: bool) -> Any:
    import tensorflow_model_optimization as tfmot

    combine = tfmot.experimental.combine
    if preserve_clusters:
        return combine.Default8BitClusterPreserveQuantizeScheme(preserve_sparsity=preserve_sparsity)
    if preserve_sparsity:
        return combine.Default8BitPrunePreserveQuantizeScheme()
    return tfmot.quantization.keras.default_8bit.Default8BitQuantizeScheme()


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
        elif isinstance(layer, linear) and getattr(getattr(layer, "activation", None), "__name__", "linear") == "linear":
            nodes = layer._outbound_nodes
            if len(nodes) == 1 and isinstance(nodes[0].outbound_layer, layers.BatchNormalization):
                names.add(nodes[0].outbound_layer.name)
    return names
