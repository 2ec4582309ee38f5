"""Small random .tflite files by seed, one operator each or a chain: shapes, paddings, strides, dilations, scales, zero points."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.firmware.graph import FLOAT32, INT8, Array, Graph, dims, one_of
from tests.firmware.random_filters import convolution, depthwise, fully_connected, large_factors, pool


def softmax(graph: Graph, source: int | None = None) -> int:
    """SOFTMAX over the last axis; returns its output."""
    if source is None:
        source = graph.input((*dims(graph, one_of(graph, 0, 1, 2), 4), int(graph.rng.integers(1, 40))))
    target = graph.tensor(graph.shape(source), scales=[1 / 256], zero_point=-128)
    graph.step("SOFTMAX", [source], [target], version=2, of="SoftmaxOptions", beta=one_of(graph, 1.0, 1.0, 0.5, 3.0))
    return target


def reshaped(name: str) -> Callable[[Graph], int]:
    """Return a maker of RESHAPE, SQUEEZE or EXPAND_DIMS."""

    def make(graph: Graph) -> int:
        height, width, channels = dims(graph, 3)
        source = graph.input((1, height, 1, width, channels))
        if name == "RESHAPE":
            target = graph.like(source, (1, height * width, channels))
            graph.step(name, [source, graph.numbers(graph.shape(target))], [target])
        elif name == "SQUEEZE":
            target = graph.like(source, (1, height, width, channels))
            graph.step(name, [source], [target], of="SqueezeOptions", squeezeDims=[2])
        else:
            target = graph.like(source, (1, height, 1, 1, width, channels))
            graph.step(name, [source, graph.numbers([2])], [target])
        return target

    return make


def unary(name: str) -> Callable[[Graph], int]:
    """Return a maker of an operator of one number, run over all 256 of them."""

    def make(graph: Graph) -> int:
        source = graph.input(dims(graph, one_of(graph, 1, 2, 3, 4), 8))
        shape, options = graph.shape(source), {}
        near = graph.scale_of(source) * graph.rng.uniform(0.4, 3)
        fixed = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}.get(name)
        target = graph.tensor(shape, scales=[fixed[0] if fixed else near], zero_point=fixed[1] if fixed else graph.zero_point())
        if name == "RELU6":
            target = graph.like(source, shape)
        if name == "HARD_SWISH":
            graph.tensors[target].quantization.scale = [graph.scale_of(source) * graph.rng.uniform(0.2, 1)]
        if name == "LEAKY_RELU":
            options = {"of": "LeakyReluOptions", "alpha": float(np.float32(graph.rng.uniform(0.01, 0.9)))}
        graph.step(name, [source], [target], **options)
        return target

    return make


def binary(name: str) -> Callable[[Graph], int]:
    """Return a maker of an operator of two numbers, with equal shapes or one repeated over the other."""

    def make(graph: Graph) -> int:
        shape = dims(graph, one_of(graph, 1, 2, 3, 4))
        smaller = tuple(one_of(graph, size, 1) for size in shape)[one_of(graph, 0, 0, -1) :]
        pair = one_of(graph, (shape, shape), (shape, smaller), (smaller, shape))
        a = graph.input(pair[0])
        choice = name in ("MAXIMUM", "MINIMUM")
        b = graph.like(a, pair[1]) if choice else graph.tensor(pair[1])
        graph.inputs.append(b)
        scale = graph.scale_of(a) * (graph.scale_of(b) * 90 if name == "MUL" else 1.5) * graph.rng.uniform(0.5, 2)
        target = graph.like(a, shape) if choice else graph.tensor(shape, scales=[scale], zero_point=graph.zero_point())
        table = {"ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions"}.get(name, "MaximumMinimumOptions")
        options = {} if choice else {"fusedActivationFunction": one_of(graph, 0, 0, 1, 3)}
        graph.step(name, [a, b], [target], version=2, of=table, **options)
        return target

    return make


def mean(graph: Graph) -> int:
    """MEAN over one axis or several; returns its output."""
    rank = one_of(graph, 2, 3, 4)
    source = graph.input(dims(graph, rank, 8))
    shape, keep = graph.shape(source), bool(graph.rng.integers(2))
    count = int(graph.rng.integers(1, rank))
    axes = sorted(int(axis) for axis in graph.rng.choice(rank, count, replace=False))
    if rank == 4 and graph.rng.random() < 0.5:
        axes = [1, 2]
    out = [1 if axis in axes else size for axis, size in enumerate(shape) if keep or axis not in axes]
    target = graph.tensor(out, scales=[graph.scale_of(source) * graph.rng.uniform(0.3, 1.2)], zero_point=graph.zero_point())
    graph.step("MEAN", [source, graph.numbers(axes)], [target], version=2, of="ReducerOptions", keepDims=keep)
    return target


def pad(name: str) -> Callable[[Graph], int]:
    """Return a maker of PAD or PADV2."""

    def make(graph: Graph) -> int:
        source = graph.input(dims(graph, one_of(graph, 2, 3, 4)))
        widths = graph.rng.integers(0, 3, (len(graph.shape(source)), 2))
        target = graph.like(source, np.array(graph.shape(source)) + widths.sum(axis=1))
        inputs = [source, graph.numbers(widths)]
        if name == "PADV2":
            of = graph.tensors[source].quantization
            fill = np.array([graph.rng.integers(-128, 128)], np.int8)
            inputs.append(graph.constant(fill, scales=[of.scale[0]], zero_point=of.zeroPoint[0]))
        graph.step(name, inputs, [target], version=2)
        return target

    return make


def concatenation(graph: Graph) -> int:
    """CONCATENATION of two to four tensors along any axis; returns its output."""
    rank = one_of(graph, 1, 2, 3, 4)
    axis, shape = int(graph.rng.integers(rank)), list(dims(graph, rank))
    first = graph.input(shape)
    parts = [first]
    for _ in range(int(graph.rng.integers(1, 4))):
        shape[axis] = int(graph.rng.integers(1, 6))
        parts.append(graph.like(first, shape))
        graph.inputs.append(parts[-1])
    shape[axis] = sum(graph.shape(part)[axis] for part in parts)
    target = graph.like(first, shape)
    graph.step("CONCATENATION", parts, [target], version=2, of="ConcatenationOptions", axis=one_of(graph, axis, axis - rank))
    return target


def split(graph: Graph) -> list[int]:
    """SPLIT into two or three; returns its outputs."""
    rank, count = one_of(graph, 1, 2, 3, 4), one_of(graph, 2, 3)
    axis, shape = int(graph.rng.integers(rank)), list(dims(graph, rank))
    part = list(shape)
    shape[axis] *= count
    source = graph.input(shape)
    outputs = [graph.like(source, part) for _ in range(count)]
    graph.step("SPLIT", [graph.numbers([axis]), source], outputs, version=2, of="SplitOptions", numSplits=count)
    return outputs


def sliced(graph: Graph) -> int:
    """SLICE; returns its output."""
    source = graph.input(dims(graph, one_of(graph, 1, 2, 3, 4), 7))
    shape = np.array(graph.shape(source))
    begin = graph.rng.integers(0, shape)
    size = graph.rng.integers(1, shape - begin + 1)
    given = np.where((graph.rng.random(len(shape)) < 0.3) & (begin + size == shape), -1, size)
    target = graph.like(source, size)
    graph.step("SLICE", [source, graph.numbers(begin), graph.numbers(given)], [target], version=2)
    return target


def strided_slice(graph: Graph) -> int:
    """STRIDED_SLICE with masks, negative strides and dropped axes; returns its output."""
    rank = one_of(graph, 1, 2, 3, 4)
    source = graph.input(dims(graph, rank, 7))
    shape = graph.shape(source)
    begins, ends, strides, out, masks = [], [], [], [], [0, 0, 0]
    for axis, size in enumerate(shape):
        begin, stop = sorted(int(edge) for edge in graph.rng.choice(size + 1, 2, replace=False))
        stride, shrinks = one_of(graph, 1, 1, 2, 3, -1, -2), graph.rng.random() < 0.2 and axis > 0
        cut = slice(begin, stop, stride)
        if stride < 0:
            cut = slice(stop - 1, begin - 1 if begin else None, stride)
        if shrinks:
            cut, stride = slice(begin, begin + 1, 1), 1
            masks[2] |= 1 << axis
        if not shrinks and graph.rng.random() < 0.2:
            masks[0] |= 1 << axis
            cut = slice(None, cut.stop, stride)
        if cut.stop is None or (not shrinks and graph.rng.random() < 0.2):
            masks[1] |= 1 << axis
            cut = slice(cut.start, None, stride)
        kept = len(range(size)[cut])
        if not kept:
            masks = [mask & ~(1 << axis) | (0 if which == 2 else 1 << axis) for which, mask in enumerate(masks)]
            cut, kept = slice(None, None, stride), len(range(size)[::stride])
        begins.append(cut.start or 0)
        ends.append(size if cut.stop is None else cut.stop)
        strides.append(stride)
        out += [] if shrinks else [kept]
    inputs = [source, graph.numbers(begins), graph.numbers(ends), graph.numbers(strides)]
    target = graph.like(source, out)
    options = dict(zip(("beginMask", "endMask", "shrinkAxisMask"), masks, strict=True))
    graph.step("STRIDED_SLICE", inputs, [target], version=2, of="StridedSliceOptions", **options)
    return target


def transpose(graph: Graph) -> int:
    """TRANSPOSE in any order; returns its output."""
    rank = one_of(graph, 1, 2, 3, 4)
    source = graph.input(dims(graph, rank))
    order = graph.rng.permutation(rank)
    target = graph.like(source, [graph.shape(source)[axis] for axis in order])
    graph.step("TRANSPOSE", [source, graph.numbers(order)], [target], version=2)
    return target


def resize(graph: Graph) -> int:
    """RESIZE_NEAREST_NEIGHBOR to any size; returns its output."""
    source = graph.input((one_of(graph, 1, 2), *dims(graph, 2, 7), one_of(graph, 1, 3)))
    size = dims(graph, 2, 15)
    shape = graph.shape(source)
    target = graph.like(source, (shape[0], *size, shape[3]))
    corners = bool(graph.rng.random() < 0.3)
    half = bool(not corners and graph.rng.random() < 0.5)
    options = {"alignCorners": corners, "halfPixelCenters": half}
    name = "RESIZE_NEAREST_NEIGHBOR"
    graph.step(name, [source, graph.numbers(size)], [target], version=3, of="ResizeNearestNeighborOptions", **options)
    return target


def quantize(graph: Graph) -> int:
    """QUANTIZE from float32 or from another int8 scale; returns its output."""
    dtype = one_of(graph, FLOAT32, INT8)
    source = graph.input(dims(graph, one_of(graph, 1, 2, 4), 8), dtype=dtype)
    scale = graph.scale_of(source) * graph.rng.uniform(0.3, 3) if dtype == INT8 else graph.rng.uniform(0.01, 0.2)
    target = graph.tensor(graph.shape(source), scales=[scale], zero_point=graph.zero_point())
    graph.step("QUANTIZE", [source], [target], version=2)
    return target


def dequantize(graph: Graph) -> int:
    """DEQUANTIZE; returns its output."""
    source = graph.input(dims(graph, one_of(graph, 1, 2, 4), 8))
    target = graph.tensor(graph.shape(source), dtype=FLOAT32)
    graph.step("DEQUANTIZE", [source], [target], version=2)
    return target


def batch_matmul(graph: Graph) -> int:
    """BATCH_MATMUL, either matrix turned or not, the second repeated where it has fewer; returns its output."""
    rows, depth, columns = dims(graph, 3, 9)
    batches = dims(graph, one_of(graph, 0, 1, 2), 3)
    turn_a, turn_b = bool(graph.rng.integers(2)), bool(graph.rng.integers(2))
    a = graph.input((*batches, *((depth, rows) if turn_a else (rows, depth))))
    fewer = tuple(one_of(graph, size, size, 1) for size in batches)
    b = graph.input((*fewer, *((columns, depth) if turn_b else (depth, columns))))
    scale = graph.scale_of(a) * graph.scale_of(b) * np.sqrt(depth) * 74 * 120 / 127 * graph.rng.uniform(0.3, 2)
    target = graph.tensor((*batches, rows, columns), scales=[scale], zero_point=graph.zero_point())
    graph.step("BATCH_MATMUL", [a, b], [target], version=2, of="BatchMatMulOptions", adjX=turn_a, adjY=turn_b)
    return target


def chain(graph: Graph) -> int:
    """A small network: convolutions, a pool, a dense layer, shares; its plan of memory counts as much as its numbers."""
    last = convolution(graph)
    for _ in range(int(graph.rng.integers(1, 5))):
        last = one_of(graph, convolution, depthwise, pool("MAX_POOL_2D"))(graph, last)
    shape = graph.shape(last)
    flat = graph.like(last, (shape[0], int(np.prod(shape[1:]))))
    graph.step("RESHAPE", [last, graph.numbers(graph.shape(flat))], [flat])
    return softmax(graph, fully_connected(graph, flat))


MAKERS: dict[str, Callable[[Graph], int | list[int]]] = {
    "CONV_2D": convolution,
    "DEPTHWISE_CONV_2D": depthwise,
    "FULLY_CONNECTED": fully_connected,
    "SOFTMAX": softmax,
    "MEAN": mean,
    "CONCATENATION": concatenation,
    "SPLIT": split,
    "SLICE": sliced,
    "STRIDED_SLICE": strided_slice,
    "TRANSPOSE": transpose,
    "RESIZE_NEAREST_NEIGHBOR": resize,
    "QUANTIZE": quantize,
    "DEQUANTIZE": dequantize,
    "BATCH_MATMUL": batch_matmul,
    "a chain": chain,
    "large factors": large_factors,
    **{name: pool(name) for name in ("AVERAGE_POOL_2D", "MAX_POOL_2D")},
    **{name: reshaped(name) for name in ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")},
    **{name: unary(name) for name in ("RELU", "RELU6", "LEAKY_RELU", "LOGISTIC", "TANH", "HARD_SWISH")},
    **{name: binary(name) for name in ("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM")},
    **{name: pad(name) for name in ("PAD", "PADV2")},
}


def random_model(name: str, seed: int, rows: int = 4) -> tuple[bytes, tuple[tuple[Array, ...], ...]]:
    """Return a model with the operator `name` and random inputs for it, both by seed."""
    graph = Graph(np.random.default_rng([seed, *name.encode()]))
    made = MAKERS[name](graph)
    return graph.finish(made if isinstance(made, list) else [made]), graph.rows(rows)
