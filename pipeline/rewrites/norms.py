"""A BatchNormalization behind an activation, written otherwise: TF-MOT folds one only into the linear layer right before it.

At inference it is `scale * x + shift` for each channel: scale = gamma / sqrt(variance + epsilon), shift = beta - mean * scale
(Ioffe and Szegedy 2015, arXiv:1502.03167). That can be multiplied into the next layer with weights where nothing in between mixes
it with other values; padding with zeros does, since a shifted border would not be zero. Else it is a depthwise 1x1 convolution.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgepipe.pipeline.rewrites.graph import Layer, Unmovable, rebuilt, take_weights, twin

ACTIVATIONS = ("Activation", "ELU", "LeakyReLU", "PReLU", "ReLU")
PRODUCTS = ("Conv2D", "Conv2DTranspose", "Dense", "DepthwiseConv2D", "SeparableConv2D")
# What lets a scale and a shift of each channel pass: means, copies and choices of values of the same channel.
TRANSPARENT = ("AveragePooling2D", "Dropout", "Flatten", "GlobalAveragePooling2D", "SpatialDropout2D")
GROWING = ("GlobalMaxPooling2D", "MaxPooling2D")  # pass it too where the scale keeps the order of values
TAKERS = ("Conv2D", "Dense", "DepthwiseConv2D")
PICTURES = 4  # dimensions of what a 2-D convolution takes, the batch among them


@dataclass(frozen=True, kw_only=True)
class _Affine:
    """A BatchNormalization with what it computes, and the layer that takes it over; None for a layer of its own."""

    norm: Layer
    scale: NDArray[np.float64]
    shift: NDArray[np.float64]
    taker: Layer | None


def without_late_norms(model: Any) -> tuple[Any, tuple[str, ...]]:
    """Return (the model without BatchNormalization behind activations, one line for each); the model itself where there is none."""
    wiring = _Wiring(model)
    found = [affine for layer in model.layers if (affine := _late_norm(layer, wiring)) is not None]
    if not found:
        return model, ()
    gone = {affine.norm.name: affine for affine in found}
    takers = {affine.taker.name: affine for affine in found if affine.taker is not None}
    pairs: list[tuple[Layer, Layer]] = []

    def make(layer: Layer, name: str) -> Layer | None:
        if name in gone and gone[name].taker is not None:
            return None
        fresh = _depthwise(name) if name in gone else twin(layer, name, **({"use_bias": True} if name in takers else {}))
        pairs.append((fresh, layer))
        return fresh

    try:
        new = rebuilt(model, make)
    except Unmovable:
        return model, ()
    for fresh, old in pairs:
        if fresh.name in takers:
            fresh.set_weights(_taken_over(takers[fresh.name], old))
        elif fresh.name in gone:
            fresh.set_weights([gone[fresh.name].scale.reshape(1, 1, -1, 1), gone[fresh.name].shift])
        else:
            take_weights(fresh, old)
    return new, tuple(_line(affine) for affine in found)


def _depthwise(name: str) -> Layer:
    import tf_keras

    return tf_keras.layers.DepthwiseConv2D(1, name=name)


class _Wiring:
    """Which layer comes before and after another one, where that is exactly one."""

    def __init__(self, model: Any) -> None:
        self._into: defaultdict[int, list[Any]] = defaultdict(list)
        self._out_of: defaultdict[int, list[Any]] = defaultdict(list)
        self._outputs = set(model.output_names)
        for nodes in model._nodes_by_depth.values():
            for node in nodes:
                self._into[id(node.layer)].append(node)
                for parent in node.parent_nodes:
                    self._out_of[id(parent.layer)].append(node.layer)

    def before(self, layer: Layer) -> Layer | None:
        """Return the layer that alone feeds this one, which is used once."""
        nodes = self._into[id(layer)]
        parents = nodes[0].parent_nodes if len(nodes) == 1 else []
        return parents[0].layer if len(parents) == 1 else None

    def after(self, layer: Layer) -> Layer | None:
        """Return the layer that alone takes this one's values, and takes nothing else."""
        users = self._out_of[id(layer)]
        alone = len(users) == 1 and layer.name not in self._outputs
        return users[0] if alone and self.before(users[0]) is layer else None


def _line(affine: _Affine) -> str:
    into = "a depthwise 1x1 convolution" if affine.taker is None else f'part of "{affine.taker.name}"'
    return f'"{affine.norm.name}": a BatchNormalization behind an activation, now {into}'


def _late_norm(layer: Layer, wiring: _Wiring) -> _Affine | None:
    """Return what to do with this layer; None where it is none of these or has to stay."""
    if type(layer).__name__ != "BatchNormalization" or not _behind_activation(layer, wiring):
        return None
    rank = layer.input_spec.ndim
    if list(layer.axis) != [rank - 1]:
        return None
    deviation = np.sqrt(layer.moving_variance.numpy().astype(np.float64) + layer.epsilon)
    scale = (layer.gamma.numpy() if layer.scale else 1.0) / deviation
    shift = (layer.beta.numpy() if layer.center else 0.0) - layer.moving_mean.numpy() * scale
    taker = _taker(layer, scale, shift, wiring)
    if taker is None and rank != PICTURES:
        return None
    return _Affine(norm=layer, scale=scale, shift=shift, taker=taker)


def _behind_activation(norm: Layer, wiring: _Wiring) -> bool:
    """Whether its values come out of the activation of a layer with weights, which is where TF-MOT cannot fold it."""
    before = wiring.before(norm)
    if type(before).__name__ in ACTIVATIONS:
        return type(wiring.before(before)).__name__ in (*PRODUCTS, "BatchNormalization")
    activation = getattr(getattr(before, "activation", None), "__name__", "linear")
    return type(before).__name__ in PRODUCTS and activation != "linear"


def _taker(norm: Layer, scale: NDArray[np.float64], shift: NDArray[np.float64], wiring: _Wiring) -> Layer | None:
    """Return the next layer with weights, where it can multiply the scale into its kernel and add the shift to its bias."""
    layer = wiring.after(norm)
    while layer is not None and not _channels_first(layer):
        kind = type(layer).__name__
        if kind in TAKERS:
            padded = kind != "Dense" and layer.padding != "valid" and bool(shift.any())
            grouped = kind == "Conv2D" and layer.groups != 1
            return None if padded or grouped else layer
        passes = kind in TRANSPARENT or (kind in GROWING and bool((scale > 0).all()))
        if not passes or (kind == "AveragePooling2D" and layer.padding != "valid"):
            return None
        layer = wiring.after(layer)
    return None


def _channels_first(layer: Layer) -> bool:
    return getattr(layer, "data_format", "channels_last") != "channels_last"


def _taken_over(affine: _Affine, taker: Layer) -> list[NDArray[np.float64]]:
    """Return [kernel, bias] of a layer that is fed `x` and was fed `scale * x + shift`.

    Kernels: [h, w, in, out], depthwise [h, w, in, multiplier], dense [in, out], where `in` repeats the channels for each position.
    """
    weights = [weight.astype(np.float64) for weight in taker.get_weights()]
    kernel, bias = weights[0], weights[1] if taker.use_bias else 0.0
    inputs = kernel.shape[-2]
    scale, shift = (np.tile(values, inputs // len(values)) for values in (affine.scale, affine.shift))
    added = kernel * shift[:, np.newaxis]
    if type(taker).__name__ == "DepthwiseConv2D":
        extra = added.sum(axis=(0, 1)).reshape(-1)
    else:
        extra = added.reshape(-1, kernel.shape[-1]).sum(axis=0)
    return [kernel * scale[:, np.newaxis], extra + bias]
