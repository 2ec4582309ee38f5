"""Models written by hand, for figures and tests that need a known amount of work: a convolution, a loop or a pit without an end."""

from __future__ import annotations

from collections.abc import Sequence

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

FLOAT, BOOL = schema.TensorType.FLOAT32, schema.TensorType.BOOL
LIMIT = 1e9  # a loop goes on while its number is below


def convolution(side: int, channels: int, seed: int = 0, dtype: str = "float32") -> bytes:
    """Return a .tflite of one 3x3 convolution from `channels` to `channels` on a `side` x `side` picture.

    `dtype` float32; or int8 for the weights alone, as dynamic range quantisation has them.
    """
    rng, shape = np.random.default_rng(seed), (channels, 3, 3, channels)
    integers = dtype == "int8"
    weights = rng.integers(-127, 128, shape, np.int8) if integers else rng.standard_normal(shape, "f4").astype("<f4", copy=False)
    picture = (1, side, side, channels)
    options = schema.Conv2DOptionsT()
    options.strideW = options.strideH = 1
    tensors = [
        _tensor("input", picture),
        _tensor("weights", weights.shape, schema.TensorType.INT8 if integers else FLOAT, buffer=1, scales=channels * integers),
        _tensor("bias", (channels,), buffer=2),
        _tensor("output", picture),
    ]
    graph = _graph(tensors, _operator(0, [0, 1, 2], [3], schema.BuiltinOptions.Conv2DOptions, options), [0], [3])
    return _model([schema.BuiltinOperator.CONV_2D], [graph], [weights.tobytes(), bytes(4 * channels)])


def for_edge_tpu(side: int = 4, channels: int = 2, *, compiled: bool = True) -> bytes:
    """Return a .tflite of two 3x3 convolutions in int8; `compiled`: the first is Google's own operator."""
    options = schema.Conv2DOptionsT()
    options.strideW = options.strideH = 1
    picture, weights = (1, side, side, channels), np.ones((channels, 3, 3, channels), np.int8)
    int8, int32 = schema.TensorType.INT8, schema.TensorType.INT32
    tensors = [
        _tensor("input", picture, int8, scales=1),
        _tensor("between", picture, int8, scales=1),
        _tensor("weights", weights.shape, int8, buffer=1, scales=1),
        _tensor("bias", (channels,), int32, buffer=2, scales=1),
        _tensor("output", picture, int8, scales=1),
    ]
    first = _operator(1, [0, 2, 3], [1], schema.BuiltinOptions.Conv2DOptions, options)
    if compiled:
        first = _operator(0, [0], [1], schema.BuiltinOptions.NONE, None)
    graph = _graph(tensors, first, [0], [4])
    graph.operators.append(_operator(1, [1, 2, 3], [4], schema.BuiltinOptions.Conv2DOptions, options))
    return _model(["edgetpu-custom-op", schema.BuiltinOperator.CONV_2D], [graph], [weights.tobytes(), bytes(4 * channels)])


def endless() -> bytes:
    """Return a .tflite that loads and never answers: a WHILE whose condition, x < 1e9, always holds."""
    return _loop(_plus(), step=0.0)


def slow(steps: int) -> bytes:
    """Return a .tflite of one number, below 1, that takes its time: a WHILE of so many steps."""
    return _loop(_plus(), step=LIMIT / steps)


def bottomless() -> bytes:
    """Return a .tflite at which LiteRT crashes with SIGSEGV, whatever memory it has: a WHILE whose body is that WHILE again."""
    return _loop(_while())


def _loop(body: schema.OperatorT, step: float = 0.0) -> bytes:
    compare = _operator(1, [0, 1], [2], schema.BuiltinOptions.LessOptions, schema.LessOptionsT())
    graphs = [
        _graph([_tensor("input", (1,)), _tensor("output", (1,))], _while(), [0], [1]),
        _graph([_tensor("x", (1,)), _tensor("limit", (1,), buffer=1), _tensor("holds", (1,), BOOL)], compare, [0], [2]),
        _graph([_tensor("x", (1,)), _tensor("again", (1,)), _tensor("step", (1,), buffer=2)], body, [0], [1]),
    ]
    operators = [schema.BuiltinOperator.WHILE, schema.BuiltinOperator.LESS, schema.BuiltinOperator.ADD]
    return _model(operators, graphs, [np.array([number], "<f4").tobytes() for number in (LIMIT, step)])


def _plus() -> schema.OperatorT:
    return _operator(2, [0, 2], [1], schema.BuiltinOptions.AddOptions, schema.AddOptionsT())


def _while() -> schema.OperatorT:
    options = schema.WhileOptionsT()
    options.condSubgraphIndex, options.bodySubgraphIndex = 1, 2
    return _operator(0, [0], [1], schema.BuiltinOptions.WhileOptions, options)


def _tensor(name: str, shape: Sequence[int], dtype: int = FLOAT, buffer: int = 0, scales: int = 0) -> schema.TensorT:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type, tensor.buffer = name, list(shape), dtype, buffer
    if scales:
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale, tensor.quantization.zeroPoint = [0.01] * scales, [0] * scales
    return tensor


def _operator(code: int, inputs: list[int], outputs: list[int], kind: int, options: object) -> schema.OperatorT:
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = code, inputs, outputs
    operator.builtinOptionsType, operator.builtinOptions = kind, options
    return operator


def _graph(tensors: list[schema.TensorT], operator: schema.OperatorT, inputs: list[int], outputs: list[int]) -> schema.SubGraphT:
    graph = schema.SubGraphT()
    graph.tensors, graph.operators, graph.inputs, graph.outputs = tensors, [operator], inputs, outputs
    return graph


def _model(operators: Sequence[int | str], graphs: list[schema.SubGraphT], contents: list[bytes]) -> bytes:
    model = schema.ModelT()
    model.version, model.subgraphs, model.operatorCodes, model.buffers = 3, graphs, [], [schema.BufferT()]
    for operator in operators:
        code = schema.OperatorCodeT()
        custom = isinstance(operator, str)
        number = schema.BuiltinOperator.CUSTOM if custom else int(operator)
        code.customCode = operator if custom else None
        code.builtinCode, code.deprecatedBuiltinCode, code.version = number, min(number, 127), 1
        model.operatorCodes.append(code)
    for content in contents:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(content, np.uint8)
        model.buffers.append(buffer)
    builder = flatbuffers.Builder(sum(map(len, contents)) + 4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
