"""Small random .tflite files by seed, one operator each or a chain: shapes, paddings, strides, dilations, scales, zero points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

Rng = np.random.Generator
Array = npt.NDArray[Any]
INT8, INT32, FLOAT32 = schema.TensorType.INT8, schema.TensorType.INT32, schema.TensorType.FLOAT32
TYPES = {INT8: np.int8, INT32: np.int32, FLOAT32: np.float32}


class Graph:
    """A .tflite being written: tensors by number, operators in order."""

    def __init__(self, rng: Rng) -> None:
        self.rng = rng
        self.tensors: list[schema.TensorT] = []
        self.steps: list[tuple[int, int, schema.OperatorT]] = []
        self.contents: list[bytes] = [b""]
        self.inputs: list[int] = []

    def tensor(
        self, shape: Sequence[int], dtype: int = INT8, scales: Sequence[float] = (), zero_point: int = 0, axis: int = 0
    ) -> int:
        """Add a tensor and return its number; int8 without scales gets a random one, and a random zero point."""
        made = schema.TensorT()
        made.name, made.shape, made.type = f"t{len(self.tensors)}", [int(size) for size in shape], dtype
        if dtype == INT8 and len(scales) == 0:
            scales, zero_point = [self.scale()], self.zero_point()
        made.quantization = schema.QuantizationParametersT()
        if len(scales):
            made.quantization.scale = [float(np.float32(scale)) for scale in scales]
            made.quantization.zeroPoint = [int(zero_point)] * len(scales)
            made.quantization.quantizedDimension = axis
        self.tensors.append(made)
        return len(self.tensors) - 1

    def scale(self) -> float:
        """Return a scale from 0.002 to 0.5."""
        return float(np.exp(self.rng.uniform(np.log(0.002), np.log(0.5))))

    def zero_point(self) -> int:
        """Return a zero point, often one of the ends."""
        return int(self.rng.choice([-128, 0, 127, *self.rng.integers(-128, 128, 6)]))

    def input(self, shape: Sequence[int], **settings: Any) -> int:
        """Add an input of the model and return its number."""
        self.inputs.append(self.tensor(shape, **settings))
        return self.inputs[-1]

    def constant(self, values: Array, **settings: Any) -> int:
        """Add a constant and return its number."""
        dtype = next(number for number, kind in TYPES.items() if kind == values.dtype)
        number = self.tensor(values.shape, dtype=dtype, **settings)
        self.tensors[number].buffer = len(self.contents)
        self.contents.append(values.tobytes())
        return number

    def numbers(self, values: Sequence[int] | Array) -> int:
        """Add a constant of int32 and return its number."""
        return self.constant(np.array(values, np.int32))

    def step(self, name: str, inputs: Sequence[int], outputs: Sequence[int], version: int = 1, **options: Any) -> None:
        """Add an operator; options are fields of its table in the schema, whose name follows from the first keyword `of`."""
        operator = schema.OperatorT()
        operator.inputs, operator.outputs = list(inputs), list(outputs)
        of = options.pop("of", None)
        if of is not None:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, of)
            operator.builtinOptions = getattr(schema, f"{of}T")()
            for field, value in options.items():
                assert hasattr(operator.builtinOptions, field), field
                setattr(operator.builtinOptions, field, value)
        self.steps.append((getattr(schema.BuiltinOperator, name), version, operator))

    def shape(self, number: int) -> tuple[int, ...]:
        """Return a tensor's shape."""
        return tuple(self.tensors[number].shape)

    def scale_of(self, number: int) -> float:
        """Return a tensor's scale, as the file has it."""
        return float(self.tensors[number].quantization.scale[0])

    def like(self, number: int, shape: Sequence[int]) -> int:
        """Add an int8 tensor on the scale of another."""
        of = self.tensors[number].quantization
        return self.tensor(shape, scales=[of.scale[0]], zero_point=of.zeroPoint[0])

    def finish(self, outputs: Sequence[int]) -> bytes:
        """Return the file."""
        model, graph = schema.ModelT(), schema.SubGraphT()
        codes = sorted({(code, version) for code, version, _ in self.steps})
        model.version, model.subgraphs, model.operatorCodes, model.buffers = 3, [graph], [], []
        for builtin, version in codes:
            code = schema.OperatorCodeT()
            code.builtinCode, code.deprecatedBuiltinCode, code.version = builtin, min(builtin, 127), version
            model.operatorCodes.append(code)
        for content in self.contents:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(content, np.uint8) if content else None
            model.buffers.append(buffer)
        graph.tensors, graph.inputs, graph.outputs, graph.operators = self.tensors, self.inputs, list(outputs), []
        for builtin, version, operator in self.steps:
            operator.opcodeIndex = codes.index((builtin, version))
            graph.operators.append(operator)
        builder = flatbuffers.Builder(4096)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def rows(self, count: int) -> tuple[tuple[Array, ...], ...]:
        """Return `count` random inputs of the model."""
        return tuple(tuple(self._values(number) for number in self.inputs) for _ in range(count))

    def _values(self, number: int) -> Array:
        shape, dtype = self.shape(number), self.tensors[number].type
        if dtype == FLOAT32:
            return self.rng.normal(0, 4, shape).astype(np.float32)
        return self.rng.integers(-128, 128, shape, np.int8)


def one_of(graph: Graph, *choices: Any) -> Any:
    """Return one of the choices."""
    return choices[int(graph.rng.integers(len(choices)))]


def dims(graph: Graph, rank: int, most: int = 6) -> tuple[int, ...]:
    """Return a random shape."""
    return tuple(int(size) for size in graph.rng.integers(1, most + 1, rank))


def _weights(graph: Graph, shape: Sequence[int], axis: int) -> tuple[int, Array]:
    values = graph.rng.integers(-127, 128, shape, np.int8)
    count = shape[axis] if graph.rng.random() < 0.7 else 1
    scales = np.exp(graph.rng.uniform(np.log(0.001), np.log(0.05), count)).astype(np.float32)
    return graph.constant(values, scales=list(scales), axis=axis), scales


def _biases(graph: Graph, source: int, scales: Array, count: int, reach: int) -> list[int]:
    if graph.rng.random() < 0.2:
        return []
    values = graph.rng.integers(-reach * 4000, reach * 4000, count, np.int32)
    return [graph.constant(values, scales=list(scales * graph.scale_of(source)))]


def _summed(graph: Graph, source: int, scales: Array, reach: int, shape: Sequence[int]) -> int:
    """Return an output whose scale makes good use of int8 for sums over `reach` products."""
    typical = graph.scale_of(source) * float(np.median(scales)) * np.sqrt(reach) * 74 * 90
    return graph.tensor(shape, scales=[typical / 127 * graph.rng.uniform(0.3, 2)], zero_point=graph.zero_point())


def _window(graph: Graph, size: int, kernel: int, stride: int, dilation: int, padding: int) -> int:
    covered = size if padding == 0 else size - (kernel - 1) * dilation
    return -(-covered // stride)


def convolution(graph: Graph, source: int | None = None) -> int:
    """CONV_2D with groups, dilation or strides; returns its output."""
    side = graph.rng.integers(5, 10, 2)
    if source is None:
        source = graph.input((one_of(graph, 1, 1, 2), *side, one_of(graph, 1, 3, 4, 8)))
    batch, height, width, channels = graph.shape(source)
    groups = one_of(graph, 1, 1, 1, 2) if channels % 2 == 0 else 1
    outputs = groups * int(graph.rng.integers(1, 7))
    kernel = graph.rng.integers(1, min(height, width, 4) + 1, 2)
    padding, dilated = one_of(graph, 0, 1), graph.rng.random() < 0.3 and min(height, width) >= 7
    stride, dilation = (np.ones(2, int), graph.rng.integers(1, 3, 2)) if dilated else (graph.rng.integers(1, 4, 2), np.ones(2, int))
    weights, scales = _weights(graph, (outputs, *kernel, channels // groups), 0)
    reach = int(kernel.prod()) * channels // groups
    out = [_window(graph, *map(int, sizes), padding) for sizes in zip((height, width), kernel, stride, dilation, strict=True)]
    target = _summed(graph, source, scales, reach, (batch, *out, outputs))
    graph.step(
        "CONV_2D",
        [source, weights, *_biases(graph, source, scales, outputs, reach)],
        [target],
        version=3,
        of="Conv2DOptions",
        padding=padding,
        strideH=int(stride[0]),
        strideW=int(stride[1]),
        dilationHFactor=int(dilation[0]),
        dilationWFactor=int(dilation[1]),
        fusedActivationFunction=one_of(graph, 0, 0, 1, 2, 3),
    )
    return target


def depthwise(graph: Graph, source: int | None = None) -> int:
    """DEPTHWISE_CONV_2D with a depth multiplier, dilation or strides; returns its output."""
    if source is None:
        source = graph.input((one_of(graph, 1, 1, 2), *graph.rng.integers(5, 10, 2), one_of(graph, 1, 2, 5, 8)))
    batch, height, width, channels = graph.shape(source)
    multiplier, padding = one_of(graph, 1, 1, 2, 3), one_of(graph, 0, 1)
    kernel = graph.rng.integers(1, min(height, width, 4) + 1, 2)
    dilated = graph.rng.random() < 0.3 and min(height, width) >= 7
    stride = 1 if dilated else one_of(graph, 1, 2, 3)
    dilation = graph.rng.integers(1, 3, 2) if dilated else np.ones(2, int)
    outputs = channels * multiplier
    weights, scales = _weights(graph, (1, *kernel, outputs), 3)
    reach = int(kernel.prod())
    out = [
        _window(graph, int(size), int(taps), stride, int(factor), padding)
        for size, taps, factor in zip((height, width), kernel, dilation, strict=True)
    ]
    target = _summed(graph, source, scales, reach, (batch, *out, outputs))
    graph.step(
        "DEPTHWISE_CONV_2D",
        [source, weights, *_biases(graph, source, scales, outputs, reach)],
        [target],
        version=3,
        of="DepthwiseConv2DOptions",
        padding=padding,
        strideH=stride,
        strideW=stride,
        depthMultiplier=multiplier,
        dilationHFactor=int(dilation[0]),
        dilationWFactor=int(dilation[1]),
        fusedActivationFunction=one_of(graph, 0, 0, 1, 3),
    )
    return target


def fully_connected(graph: Graph, source: int | None = None) -> int:
    """FULLY_CONNECTED on one row or several, one scale or one per output; returns its output."""
    if source is None:
        source = graph.input((one_of(graph, 1, 1, 3), int(graph.rng.integers(1, 70))))
    rows, inputs = graph.shape(source)[0], int(np.prod(graph.shape(source)[1:]))
    outputs = int(graph.rng.integers(1, 20))
    weights, scales = _weights(graph, (outputs, inputs), 0)
    target = _summed(graph, source, scales, inputs, (rows, outputs))
    biases = _biases(graph, source, scales, outputs, inputs)
    activation = one_of(graph, 0, 0, 1, 3)
    graph.step(
        "FULLY_CONNECTED",
        [source, weights, *(biases or [-1])],
        [target],
        version=12 if len(scales) > 1 else 4,
        of="FullyConnectedOptions",
        fusedActivationFunction=activation,
    )
    return target


def pool(name: str) -> Callable[[Graph], int]:
    """Return a maker of AVERAGE_POOL_2D or MAX_POOL_2D."""

    def make(graph: Graph, source: int | None = None) -> int:
        if source is None:
            source = graph.input((one_of(graph, 1, 2), *graph.rng.integers(3, 10, 2), int(graph.rng.integers(1, 9))))
        batch, height, width, channels = graph.shape(source)
        size = [int(graph.rng.integers(1, min(side, 4) + 1)) for side in (height, width)]
        stride, padding = graph.rng.integers(1, 4, 2), one_of(graph, 0, 1)
        out = [
            _window(graph, side, taps, int(pace), 1, padding)
            for side, taps, pace in zip((height, width), size, stride, strict=True)
        ]
        target = graph.like(source, (batch, *out, channels))
        graph.step(
            name,
            [source],
            [target],
            version=2,
            of="Pool2DOptions",
            padding=padding,
            strideH=int(stride[0]),
            strideW=int(stride[1]),
            filterHeight=size[0],
            filterWidth=size[1],
            fusedActivationFunction=one_of(graph, 0, 0, 1, 3),
        )
        return target

    return make


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
