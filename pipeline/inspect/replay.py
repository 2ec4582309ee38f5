"""The first layers of a quantised network, computed in float for an input that is the same number everywhere.

Enough of an evaluator to ask "what would calibration on constant data have recorded?", and no more: the chain from the input
through convolutions, dense layers, pooling and reshapes, until something else comes or the work grows large.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from edgepipe.pipeline.inspect.graph import Op, Subgraph, Tensor
from edgepipe.pipeline.inspect.macs import op_macs

Array = NDArray[np.float32]
MOST_MACS = 20_000_000
MOST_ELEMENTS = 1_000_000
SAME = 0
# The schema's codes for activations that are fused into an operator.
FUSED: dict[int, Callable[[Array], Array]] = {
    0: lambda values: values,
    1: lambda values: np.maximum(values, 0),
    2: lambda values: np.clip(values, -1, 1),
    3: lambda values: np.clip(values, 0, 6),
}


def respond(graph: Subgraph, start: int, value: float, products: int) -> Iterator[tuple[Tensor, float, float]]:
    """Yield the output tensor of each of the first `products` convolutions and dense layers with its smallest and largest value.

    `start` is the tensor that holds `value` everywhere. Ends early where the graph, the work or a shape says so.
    """
    if graph.tensors[start].elements > MOST_ELEMENTS:
        return
    known = {start: np.full([max(size, 1) for size in graph.tensors[start].shape], value, np.float32)}
    work = 0
    for op in graph.ops:
        source = known.get(op.inputs[0]) if op.inputs else None
        kernel = KERNELS.get(op.name)
        work += op_macs(graph, op)
        if source is None or kernel is None or work > MOST_MACS or not op.outputs:
            continue
        try:
            with np.errstate(all="ignore"):
                result = kernel(graph, op, source)
        except (ValueError, LookupError, ArithmeticError):  # shapes, strides or options that do not fit each other: a damaged file
            return
        if result.size > MOST_ELEMENTS or not np.isfinite(result).all():
            return
        known[op.outputs[0]] = result
        if op.name in PRODUCTS:
            yield graph.tensors[op.outputs[0]], float(result.min()), float(result.max())
            products -= 1
            if not products:
                return


def _weights(graph: Subgraph, op: Op, axis: int) -> Array:
    tensor = graph.input_of(op, 1)
    if tensor is None or tensor.data is None or tensor.dtype != "int8" or not tensor.scales.size or tensor.sparse:
        raise ValueError("no int8 weights")
    shape = [1] * len(tensor.shape)
    shape[axis] = -1
    scales = tensor.scales.reshape(shape) if tensor.scales.size > 1 else tensor.scales[0]
    return (tensor.data.view(np.int8).reshape(tensor.shape) * scales).astype(np.float32)


def _bias(graph: Subgraph, op: Op) -> Array | float:
    tensor = graph.input_of(op, 2)
    if tensor is None:
        return 0.0
    if tensor.data is None or tensor.dtype != "int32" or not tensor.scales.size:
        raise ValueError("no int32 bias")
    return (tensor.data.view(np.int32) * tensor.scales).astype(np.float32)


def _fused(op: Op, values: Array) -> Array:
    activation = FUSED.get(op.settings.get("FusedActivationFunction", 0))
    if activation is None:
        raise ValueError("an activation that is not computed here")
    return activation(values)


def _windows(op: Op, source: Array, height: int, width: int, fill: float) -> Array:
    """Return [rows, columns, channels, height, width]: what each output position sees of a [1, h, w, channels] input."""
    _, rows, columns, _ = source.shape
    down, along = op.settings["StrideH"], op.settings["StrideW"]
    spread = [(size - 1) * op.settings.get(f"Dilation{axis}Factor", 1) + 1 for size, axis in ((height, "H"), (width, "W"))]
    pads = [(0, 0), (0, 0)]
    if op.settings["Padding"] == SAME:
        totals = [
            max((-(-size // stride) - 1) * stride + reach - size, 0)
            for size, stride, reach in ((rows, down, spread[0]), (columns, along, spread[1]))
        ]
        pads = [(total // 2, total - total // 2) for total in totals]
    if math.prod(size + sum(pad) for size, pad in zip((rows, columns), pads, strict=True)) > MOST_ELEMENTS:
        raise ValueError("more padding than data")
    padded = np.pad(source[0], [*pads, (0, 0)], constant_values=fill)
    seen = np.lib.stride_tricks.sliding_window_view(padded, spread, axis=(0, 1))
    steps = (op.settings.get("DilationHFactor", 1), op.settings.get("DilationWFactor", 1))
    return seen[::down, ::along, :, :: steps[0], :: steps[1]]


def _convolution(graph: Subgraph, op: Op, source: Array) -> Array:
    weights = _weights(graph, op, 0)
    outputs, height, width, depth = weights.shape
    seen = _windows(op, source, height, width, 0)
    groups = source.shape[3] // depth
    parts = [
        np.tensordot(
            seen[:, :, group * depth : (group + 1) * depth],
            weights[group * outputs // groups : (group + 1) * outputs // groups],
            axes=((2, 3, 4), (3, 1, 2)),
        )
        for group in range(groups)
    ]
    return _fused(op, np.concatenate(parts, axis=2)[None] + _bias(graph, op))


def _depthwise(graph: Subgraph, op: Op, source: Array) -> Array:
    weights = _weights(graph, op, 3)
    _, height, width, outputs = weights.shape
    seen = _windows(op, source, height, width, 0)
    repeated = np.repeat(seen, outputs // source.shape[3], axis=2)
    return _fused(op, np.einsum("rcohw,hwo->rco", repeated, weights[0])[None] + _bias(graph, op))


def _dense(graph: Subgraph, op: Op, source: Array) -> Array:
    weights = _weights(graph, op, 0)
    return _fused(op, source.reshape(-1, weights.shape[1]) @ weights.T + _bias(graph, op))


def _pooling(reduce: Callable[..., Array], fill: float) -> Callable[[Subgraph, Op, Array], Array]:
    def kernel(graph: Subgraph, op: Op, source: Array) -> Array:
        seen = _windows(op, source, op.settings["FilterHeight"], op.settings["FilterWidth"], fill)
        return _fused(op, reduce(seen, axis=(3, 4))[None])

    return kernel


def _mean(seen: Array, axis: tuple[int, ...]) -> Array:
    """Return the mean of what is not padding (NaN)."""
    total: Array = np.nansum(seen, axis=axis)
    mean: Array = total / np.maximum(np.count_nonzero(~np.isnan(seen), axis=axis), 1)
    return mean


def _reshape(graph: Subgraph, op: Op, source: Array) -> Array:
    return source.reshape(graph.tensors[op.outputs[0]].shape)


def _same(graph: Subgraph, op: Op, source: Array) -> Array:
    return source


PRODUCTS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})
KERNELS: dict[str, Callable[[Subgraph, Op, Array], Array]] = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _dense,
    "MAX_POOL_2D": _pooling(np.max, -math.inf),
    "AVERAGE_POOL_2D": _pooling(_mean, math.nan),
    "RESHAPE": _reshape,
    "QUANTIZE": _same,
}
