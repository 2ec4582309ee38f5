"""Why a layer loses accuracy when it is quantised, in words with a remedy, from what its tensors and its weights show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgepipe.losses import WeightLoss
from edgepipe.pipeline.inspect.graph import Op, Subgraph, Tensor
from edgepipe.pipeline.inspect.losses.pairs import Pair
from edgepipe.pipeline.inspect.losses.tally import Seen

# Which axis of an operator's weights counts its output channels.
CHANNEL_AXIS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0, "TRANSPOSE_CONV": 0, "CONV_3D": 4}
WEIGHT_INPUT = {"TRANSPOSE_CONV": 1}
BIAS_INPUT = {"TRANSPOSE_CONV": 3}
FIXED = frozenset({"SOFTMAX", "LOGISTIC", "TANH", "LOG_SOFTMAX", "L2_NORMALIZATION"})  # the schema fixes their output's scale
SHARED_RANGE = frozenset({"ADD", "SUB", "CONCATENATION", "MUL"})
TRAINED_STEPS = 3.0  # rounding makes half a step, folding a BatchNormalization on both sides a little more
WIDE = 8.0  # three of eight bits
OUTLIER = 16.0  # largest over root mean square; 10,000 weights from a normal distribution reach 4
FEW = 0.02  # share of the weights


@dataclass(frozen=True, kw_only=True)
class Constants:
    """An operator's float weights [outputs, rest] beside those that the quantised file stores, both as real numbers.

    `bias_error` is the bias' largest error in real numbers.
    """

    real: NDArray[np.float64]
    stored: NDArray[np.float64]
    steps: NDArray[np.float64]
    per_channel: bool
    inputs: NDArray[np.float64]
    bias_error: float

    @property
    def loss(self) -> WeightLoss:
        """What rounding did to the weights."""
        off = self.stored - self.real
        noise, power = (off**2).sum(1), (self.real**2).sum(1)
        alive = power > 0
        peaks = np.abs(self.real).max(1)
        middle = float(np.median(peaks[peaks > 0])) if (peaks > 0).any() else 0.0
        return WeightLoss(
            sqnr_db=decibels(float(noise.sum()), float(power.sum())),
            worst_channel_db=min((decibels(n, p) or np.inf for n, p in zip(noise[alive], power[alive], strict=True)), default=None),
            steps_off=float((np.abs(off) / self.steps[:, None]).max(initial=0)),
            spread=float(peaks.max()) / middle if middle else 1.0,
            per_channel=self.per_channel,
        )

    @property
    def others(self) -> bool:
        """Whether more than a few weights are further off than rounding can explain, as after training."""
        off = np.abs(self.stored - self.real) / self.steps[:, None]
        return bool(off.max(initial=0) > TRAINED_STEPS and np.mean(off > 1) >= FEW)

    @property
    def outlier(self) -> float:
        """Of the worst output channel: its largest weight over the root mean square of the others."""
        sizes = np.abs(self.real)
        peaks = sizes.max(1)
        rest = np.sqrt(np.maximum((sizes**2).sum(1) - peaks**2, 0) / max(sizes.shape[1] - 1, 1))
        return float((peaks[rest > 0] / rest[rest > 0]).max(initial=0)) if sizes.shape[1] > 1 else 0.0

    @property
    def faded(self) -> float:
        """The middle input channel's largest weight over the smallest one's that is not all zero."""
        peaks = np.abs(self.inputs)
        peaks = peaks[peaks > 0]
        return float(np.median(peaks) / peaks.min()) if peaks.size > 1 else 1.0


def decibels(noise: float, signal: float) -> float | None:
    """Return 10 log10(signal / noise); None without noise, -99 where there is noise and no signal."""
    if noise <= 0:
        return None
    return round(float(10 * np.log10(signal / noise)), 2) if signal > 0 else -99.0


def constants(wide: Subgraph, narrow: Subgraph, pair: Pair) -> Constants | None:
    """Return the weights that both files give the operator behind `pair`; None where it has none, or they differ in shape."""
    if pair.float_op is None or pair.quant_op is None or pair.op not in CHANNEL_AXIS:
        return None
    ours, theirs = wide.ops[pair.float_op], narrow.ops[pair.quant_op]
    if theirs.name != pair.op:
        return None
    real, stored = _values(wide, ours, 1), _values(narrow, theirs, 1)
    tensor = _source(narrow, theirs, 1)
    if real is None or stored is None or tensor is None or real.shape != stored.shape or not tensor.quantised:
        return None
    axis = CHANNEL_AXIS[pair.op]
    channels = real.shape[axis]
    biases = [_values(graph, op, BIAS_INPUT.get(pair.op, 2)) for graph, op in ((wide, ours), (narrow, theirs))]
    bias_error = 0.0
    if biases[0] is not None and biases[1] is not None and biases[0].shape == biases[1].shape:
        bias_error = float(np.abs(biases[0] - biases[1]).max(initial=0))
    last = real.ndim - 1 if axis != real.ndim - 1 else 0
    return Constants(
        real=np.moveaxis(real, axis, 0).reshape(channels, -1),
        stored=np.moveaxis(stored, axis, 0).reshape(channels, -1),
        steps=np.broadcast_to(np.maximum(tensor.scales.astype(np.float64), 1e-30), channels).copy(),
        per_channel=tensor.scales.size > 1,
        inputs=np.abs(np.moveaxis(real, last, 0).reshape(real.shape[last], -1)).max(1),
        bias_error=bias_error,
    )


def _source(graph: Subgraph, op: Op, position: int) -> Tensor | None:
    index = op.inputs[position] if position < len(op.inputs) else -1
    tensor = graph.tensors[graph.unpacked().get(index, index)] if index >= 0 else None
    return tensor if tensor is not None and tensor.data is not None and not tensor.sparse else None


def _values(graph: Subgraph, op: Op, position: int) -> NDArray[np.float64] | None:
    """Return a stored constant as real numbers; None for what is packed in another way than one number a byte or more."""
    tensor = _source(graph, op, position)
    kinds = {"float32": "<f4", "float16": "<f2", "int8": "i1", "int16": "<i2", "int32": "<i4", "int64": "<i8", "uint8": "u1"}
    if tensor is None or tensor.data is None or tensor.dtype not in kinds:
        return None
    values = tensor.data.view(np.dtype(kinds[tensor.dtype])).reshape(tensor.shape).astype(np.float64)
    if not tensor.quantised:
        return values
    shape = [1] * values.ndim
    if tensor.scales.size > 1:
        if not 0 <= tensor.axis < values.ndim or values.shape[tensor.axis] != tensor.scales.size:
            return None
        shape[tensor.axis] = -1
    result: NDArray[np.float64] = (values - tensor.zero_points.reshape(shape)) * tensor.scales.astype(np.float64).reshape(shape)
    return result


def explain(pair: Pair, seen: Seen, held: Constants | None, wide: Subgraph) -> tuple[str, str]:
    """Return (cause, remedy) of a layer that hurts, of what weighs most in its own error.

    Where the weights are others, nothing else can be said: ranges and biases belong to those.
    """
    if held is not None and held.others:
        return (
            f"its weights are others: they differ by up to {held.loss.steps_off:.0f} steps, rounding makes half a one",
            "Hold the file against the float model that it was made from; after training with quantisation this is no loss.",
        )
    parts = {"saturation": seen.saturation, "rounding": seen.rounding, "arithmetic": seen.arithmetic}
    largest = max(parts, key=lambda name: parts[name])
    found = {"saturation": _saturation, "rounding": _rounding}.get(largest)
    return found(pair, seen) if found else _arithmetic(pair, seen, held, wide)


def _saturation(pair: Pair, seen: Seen) -> tuple[str, str]:
    low, high = pair.codes.limits or (0.0, 0.0)
    stored, met = f"{low:.4g} to {high:.4g}", f"{seen.low:.4g} to {seen.high:.4g}"
    what = f"{seen.saturated:.1%} of the values saturate: it can store {stored}, the data has {met}"
    return what, "Calibrate with more data, and with data like this."


def _rounding(pair: Pair, seen: Seen) -> tuple[str, str]:
    if pair.op in FIXED:
        return (
            f"the format fixes the range of {pair.op}, and the answers use little of it",
            "Leave it out and take what it is given, or int16x8.",
        )
    used = range_used(pair, seen)
    if used is not None and used < 1 / WIDE:
        what = f"the data fills {used:.1%} of the range that was calibrated"
        return what, "Calibrate with data like this, and without outliers."
    if seen.peak_ratio > WIDE:
        what = f"one channel reaches {seen.peak_ratio:.0f} times as far as the middle one, and one step serves them all"
        return what, "Clip it (ReLU6), train with quantisation (mode: qat), or take 16 bits for activations (mode: int16x8)."
    rms = seen.signal_power**0.5
    if max(abs(seen.low), abs(seen.high)) > OUTLIER * rms:
        what = "a few values dwarf the rest, and one step serves them all"
        return what, "Clip it (ReLU6), or take 16 bits for activations (mode: int16x8)."
    return (
        "256 levels are few for these values",
        "mode: int16x8 gives activations 65,536; or leave this layer in float (float_layers).",
    )


def _arithmetic(pair: Pair, seen: Seen, held: Constants | None, wide: Subgraph) -> tuple[str, str]:
    if held is None:
        return _without_weights(pair, wide)
    return next(
        _weights(pair, held),
        (
            "its weights lose too much in eight bits",
            "Train with quantisation (mode: qat), or leave this layer in float (float_layers).",
        ),
    )


def _weights(pair: Pair, held: Constants) -> Iterator[tuple[str, str]]:
    loss = held.loss
    if pair.codes.scale is not None and held.bias_error > pair.codes.scale:
        yield (
            "its bias does not fit: input and weight steps are too small for it",
            "Take large constants out of the bias, or leave this layer in float.",
        )
    if not held.per_channel and loss.spread > WIDE:
        yield (
            f"one channel's weights are {loss.spread:.0f} times those of the middle one, and one step serves them all",
            "Give each channel a step of its own (per_channel: true).",
        )
    if held.outlier > OUTLIER:
        yield (
            f"one weight is {held.outlier:.0f} times as large as the others of its channel, whose steps it widens",
            "Clip the weight and train on, or train with quantisation (mode: qat).",
        )
    if held.faded > WIDE**2:
        yield (
            f"the weights of one input channel are {held.faded:.0f} times smaller than the others' and vanish in one step",
            "The layer before scales that channel up: scale both back, or train with quantisation (mode: qat).",
        )


def _without_weights(pair: Pair, wide: Subgraph) -> tuple[str, str]:
    op = wide.ops[pair.float_op] if pair.float_op is not None else None
    constant = op is not None and any(wide.tensors[each].data is not None for each in op.inputs if each >= 0)
    if op is not None and op.name in SHARED_RANGE and constant:
        return (
            "a scale or shift of its own, as of a BatchNormalization after an activation: it could not be folded into weights",
            "Put the BatchNormalization before the activation, directly after the convolution.",
        )
    if op is not None and op.name in SHARED_RANGE:
        return "it joins tensors of different ranges in one", "Bring the branches to like ranges, or take mode: int16x8."
    return (
        "its integer arithmetic is coarser than the float one",
        "Leave this layer in float (float_layers), or take mode: int16x8.",
    )


def range_used(pair: Pair, seen: Seen) -> float | None:
    """Return which share of what the tensor can store the float values fill, at most 1; None where nothing is quantised."""
    if pair.codes.limits is None:
        return None
    low, high = pair.codes.limits
    return max(0.0, min(seen.high, high) - max(seen.low, low)) / (high - low)
