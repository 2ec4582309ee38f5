"""A .tflite being written for a test: tensors, constants and operators, with random values by seed."""

from __future__ import annotations

from collections.abc import Sequence
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
