"""Which operators the Edge TPU takes, and within which limits: the published table, one check each.

Sources: "TensorFlow models on the Edge TPU", model requirements and supported operations (https://coral.ai/docs/edgetpu/models-intro/),
as of compiler 16.0 and runtime 14, the last ones; the same table at
https://developer.axis.com/computer-vision/on-device/system-on-chip/artpec-7/supported-ops/. TRANSPOSE is in it since compiler 16
(https://github.com/google-coral/edgetpu/issues/193). What the table leaves open ("might not be mapped") stands in DOUBTS.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from edgepipe.pipeline.inspect.flatbuffer import SHAPE_INPUTS
from edgepipe.pipeline.inspect.graph import Op, Subgraph, Tensor

EIGHT_BITS = frozenset({"int8", "uint8"})
CONSTANT_DTYPES = EIGHT_BITS | {"int32"}  # weights; biases, shapes, axes
INNERMOST = 3
LARGEST_SOFTMAX = 16_000
NO_ACTIVATION = 0

INT8_FIX = "Convert with int8 input, output and representative data: `edgepipe quantize --mode int8`."
FIXED_FIX = "Convert with a fixed batch: `edgepipe convert` does."
BATCH_FIX = "Work on the other dimensions; a board runs one sample at a time."


@dataclass(frozen=True, kw_only=True)
class Objection:
    """Why an operator does not go to the Edge TPU, and what may help."""

    reason: str
    fix: str


Rule = Callable[[Subgraph, Op], Objection | None]


def objection(graph: Subgraph, op: Op) -> Objection | None:
    """Return why the Edge TPU does not take `op`, None where the published rules know no reason."""
    if op.custom:
        return Objection(reason="a custom operator", fix="Replace the layer, or let it be the last: it runs on the CPU.")
    rule = RULES.get(op.name)
    if rule is None:
        return Objection(reason="the Edge TPU does not have it", fix=REPLACEMENTS.get(op.name, "Replace the layer."))
    return next(_general(graph, op), None) or rule(graph, op)


def _general(graph: Subgraph, op: Op) -> Iterator[Objection]:
    """Yield what breaks the rules that hold for every operator: 8 bits, fixed sizes, three dimensions, constant parameters."""
    tensors = [graph.tensors[index] for index in (*op.inputs, *op.outputs) if index >= 0]
    refused = {each.dtype for each in tensors if each.dtype not in (EIGHT_BITS if each.data is None else CONSTANT_DTYPES)}
    if refused:
        yield Objection(reason=f"computes in {', '.join(sorted(refused))}; the Edge TPU takes int8 and uint8 only", fix=INT8_FIX)
    computed = [each for each in tensors if each.data is None]
    if any(not each.quantised for each in computed):
        yield Objection(reason="its integers stand for no real numbers: they have no scale", fix=INT8_FIX)
    shape = graph.input_of(op, SHAPE_INPUTS[op.name]) if op.name in SHAPE_INPUTS else None
    if any(-1 in each.shape for each in computed) or (shape is not None and shape.data is None):
        yield Objection(reason="its sizes are not fixed when it is compiled", fix=FIXED_FIX)
    if any(math.prod(each.shape[:-INNERMOST]) > 1 for each in computed):
        shapes = ", ".join(str(list(each.shape)) for each in computed if math.prod(each.shape[:-INNERMOST]) > 1)
        fix = "Keep the batch at 1 and at most height, width and channels beside it."
        yield Objection(reason=f"more than the {INNERMOST} innermost dimensions are larger than 1 ({shapes})", fix=fix)
    if op.name in WEIGHTED and (weights := graph.input_of(op, 1)) is not None and weights.data is None:
        yield Objection(reason="its weights are computed, not constants of the file", fix="Use a layer with weights of its own.")


def _free(graph: Subgraph, op: Op) -> None:
    """No limit is published."""


def _no_fused_activation(graph: Subgraph, op: Op) -> Objection | None:
    if op.settings.get("FusedActivationFunction", NO_ACTIVATION) == NO_ACTIVATION:
        return None
    return Objection(
        reason="an activation is fused into it", fix="Put the activation behind another layer, such as a 1x1 convolution."
    )


def _even_dilation(graph: Subgraph, op: Op) -> Objection | None:
    if op.settings.get("DilationHFactor", 1) == op.settings.get("DilationWFactor", 1):
        return None
    return Objection(reason="its dilation differs between height and width", fix="Dilate both alike.")


def _concatenation(graph: Subgraph, op: Op) -> Objection | None:
    constants = [tensor for tensor in _inputs(graph, op) if tensor.data is not None]
    if constants and (len(op.inputs) != 2 or not all(map(_all_zero, constants))):
        reason = "it joins a constant that is no plain padding of zeros"
        return Objection(reason=reason, fix="Pad with zeros, one side at a time, or compute the values.")
    return _no_fused_activation(graph, op)


def _dense(graph: Subgraph, op: Op) -> Objection | None:
    if op.settings.get("WeightsFormat", 0):
        return Objection(reason="its weights are shuffled, not in the default format", fix="Convert again without that format.")
    return _one_dimensional(
        graph.tensors[op.outputs[0]] if op.outputs else None, "output", "Flatten in front of it, or use Conv1D(1)."
    )


def _softmax(graph: Subgraph, op: Op) -> Objection | None:
    tensor = graph.input_of(op, 0)
    if tensor is not None and tensor.elements > LARGEST_SOFTMAX:
        fix = "End the model before it and compute it on the CPU, or use fewer classes."
        return Objection(reason=f"{tensor.elements:,} elements; at most {LARGEST_SOFTMAX:,} fit", fix=fix)
    return _one_dimensional(tensor, "input", "End the model before it and compute it on the CPU.")


def _one_dimensional(tensor: Tensor | None, side: str, fix: str) -> Objection | None:
    if tensor is None or math.prod(tensor.shape[:-1]) <= 1:
        return None
    return Objection(reason=f"its {side} {list(tensor.shape)} has more than one dimension", fix=fix)


def _prelu(graph: Subgraph, op: Op) -> Objection | None:
    return _one_dimensional(graph.input_of(op, 1), "alpha", "Use PReLU(shared_axes=[1, 2]).")


def _reduction(graph: Subgraph, op: Op) -> Objection | None:
    if 0 not in _axes(graph, op):
        return None
    return Objection(reason="it reduces the batch dimension", fix=BATCH_FIX)


def _mean(graph: Subgraph, op: Op) -> Objection | None:
    tensor = graph.input_of(op, 0)
    if tensor is not None and tensor.shape and len(tensor.shape) - 1 in _axes(graph, op) and tensor.shape[-1] % 4:
        reason = f"it reduces {tensor.shape[-1]} channels; their number must be a multiple of 4"
        return Objection(reason=reason, fix="Give the layer before it a multiple of 4 channels.")
    return _reduction(graph, op)


def _pad(graph: Subgraph, op: Op) -> Objection | None:
    pads = _integers(graph.input_of(op, 1))
    return Objection(reason="it pads the batch dimension", fix=BATCH_FIX) if any(pads[:2]) else None


def _pack(graph: Subgraph, op: Op) -> Objection | None:
    return Objection(reason="it stacks along the batch dimension", fix=BATCH_FIX) if op.settings.get("Axis", 0) == 0 else None


def _split(graph: Subgraph, op: Op) -> Objection | None:
    source = graph.input_of(op, 1)
    axes = {axis % max(len(source.shape), 1) for axis in _integers(graph.input_of(op, 0))} if source is not None else set()
    return Objection(reason="it splits the batch dimension", fix=BATCH_FIX) if 0 in axes else None


def _strided_slice(graph: Subgraph, op: Op) -> Objection | None:
    if any(stride != 1 for stride in _integers(graph.input_of(op, 3))):
        return Objection(
            reason="it leaves elements out: only strides of 1 are taken", fix="Use a pooling layer or a strided convolution."
        )
    if op.settings.get("EllipsisMask", 0) or op.settings.get("NewAxisMask", 0):
        return Objection(reason="it uses `...` or a new axis", fix="Spell all dimensions out; use Reshape for a new one.")
    return None


def _inputs(graph: Subgraph, op: Op) -> list[Tensor]:
    return [graph.tensors[index] for index in op.inputs if index >= 0]


def _axes(graph: Subgraph, op: Op) -> set[int]:
    source = graph.input_of(op, 0)
    return {axis % max(len(source.shape), 1) for axis in _integers(graph.input_of(op, 1))} if source is not None else set()


def _integers(tensor: Tensor | None) -> list[int]:
    """Return the values of a constant of int32; nothing for anything else."""
    return tensor.data.view(np.int32).tolist() if tensor is not None and tensor.data is not None and tensor.dtype == "int32" else []


def _all_zero(tensor: Tensor) -> bool:
    """Whether a quantised constant is 0 everywhere: its integers equal the zero point."""
    zero = int(tensor.zero_points[0]) if tensor.zero_points.size else 0
    return tensor.data is not None and bool((tensor.data.view(np.dtype(tensor.dtype)) == zero).all())


WEIGHTED = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "PRELU"})
RULES: dict[str, Rule] = {
    **dict.fromkeys(
        (
            *("ADD", "EXPAND_DIMS", "L2_NORMALIZATION", "LOGISTIC", "MAXIMUM", "MINIMUM", "MUL", "QUANTIZE", "RELU", "RELU6"),
            *("RELU_N1_TO_1", "RESHAPE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "RSQRT", "SLICE", "SPACE_TO_DEPTH"),
            *("SQUARED_DIFFERENCE", "SQUEEZE", "SUB", "TANH", "TRANSPOSE", "TRANSPOSE_CONV", "UNIDIRECTIONAL_SEQUENCE_LSTM"),
        ),
        _free,
    ),
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D"), _no_fused_activation),
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D"), _even_dilation),
    **dict.fromkeys(("REDUCE_MAX", "REDUCE_MIN", "SUM"), _reduction),
    "CONCATENATION": _concatenation,
    "FULLY_CONNECTED": _dense,
    "MEAN": _mean,
    "PACK": _pack,
    "PAD": _pad,
    "PRELU": _prelu,
    "SOFTMAX": _softmax,
    "SPLIT": _split,
    "STRIDED_SLICE": _strided_slice,
}
REPLACEMENTS = {
    "LEAKY_RELU": "Use ReLU, or PReLU(shared_axes=[1, 2]).",
    "ELU": "Use ReLU, or PReLU(shared_axes=[1, 2]).",
    "HARD_SWISH": "Use ReLU6, as MobileNetV2 and the EdgeTPU variants of the EfficientNets do.",
    "GELU": "Use ReLU, or sigmoid and a multiplication.",
    "BATCH_MATMUL": "Use layers with weights of their own; attention stays on the CPU.",
    "DIV": "Multiply by the reciprocal.",
    "ARG_MAX": "End the model before it and take the largest on the CPU.",
    "DEQUANTIZE": "Convert with int8 outputs: `edgepipe quantize --mode int8`.",
    "WHILE": "Unroll the recurrence: LSTM(unroll=True).",
    "MIRROR_PAD": "Pad with zeros.",
    "PADV2": "Pad with zeros.",
    "SPLIT_V": "Split into parts of one size.",
    "UNPACK": "Slice instead.",
    "DEPTH_TO_SPACE": "Use UpSampling2D or Conv2DTranspose.",
}
DOUBTS = {
    "RESHAPE": "certain reshapes of large tensors are not mapped",
    "RESIZE_BILINEAR": "depending on the sizes it is not mapped, to avoid a loss of precision",
    "RESIZE_NEAREST_NEIGHBOR": "depending on the sizes it is not mapped, to avoid a loss of precision",
}
# The compiler reads the file with the TensorFlow Lite of 2021 and refuses it whole where an operator is newer. These were reported:
# https://github.com/google-coral/edgetpu/issues/631 and /845, https://github.com/google-coral/libedgetpu/issues/71.
NEWEST_VERSIONS = {"CONV_2D": 5, "TRANSPOSE_CONV": 3, "EXP": 1}
