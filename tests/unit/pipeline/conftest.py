"""What the tests of inspection and export share: a writer of tiny .tflite files."""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema


class Tiny:
    """Writes a .tflite tensor by tensor, with the schema's own writer."""

    def __init__(self) -> None:
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.buffers = [schema.BufferT()]
        self.model.operatorCodes = []
        self.model.subgraphs = []
        self.graph = self.subgraph()

    def subgraph(self) -> Any:
        """Begin another subgraph; tensors and operators go there from now on."""
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.graph.inputs, self.graph.outputs = [], []
        self.model.subgraphs.append(self.graph)
        return self.graph

    def tensor(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: str = "int8",
        *,
        data: Any = None,
        scale: float | list[float] | None = None,
        zero_point: int = 0,
        axis: int = 0,
        signature: tuple[int, ...] | None = None,
    ) -> int:
        """Add a tensor and return its index; `data` makes it a constant."""
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = (
            name.encode(),
            list(shape),
            getattr(schema.TensorType, dtype.upper()),
            0,
        )
        tensor.shapeSignature = None if signature is None else list(signature)
        if scale is not None:
            scales = scale if isinstance(scale, list) else [scale]
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = scales, [zero_point] * len(scales)
            tensor.quantization.quantizedDimension = axis
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.asarray(data).tobytes(), np.uint8)
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def op(
        self, name: str, inputs: list[int], outputs: list[int], *, options: Any = None, version: int = 1, custom: str | None = None
    ) -> None:
        """Add an operator with a code of its own."""
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), version
        code.customCode = custom.encode() if custom else None
        self.model.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = len(self.model.operatorCodes) - 1, inputs, outputs
        if options is not None:
            operator.builtinOptions = options
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        self.graph.operators.append(operator)

    def ports(self, inputs: list[int], outputs: list[int]) -> None:
        """Name the subgraph's inputs and outputs."""
        self.graph.inputs, self.graph.outputs = inputs, outputs

    def build(self) -> bytes:
        """Return the file."""
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    @classmethod
    def dense(cls, weights: Any, dtype: str = "int8", name: str = "model/answer/MatMul", **quantisation: Any) -> bytes:
        """Return a network of one dense layer with these weights [out, in]."""
        tiny = cls()
        rows, columns = np.asarray(weights).shape
        activation = "float32" if dtype.startswith("float") else dtype
        quantised = {} if activation == "float32" else {"scale": 0.1}
        x = tiny.tensor("x", (1, columns), activation, **quantised)
        w = tiny.tensor(name, (rows, columns), dtype, data=weights, **quantisation)
        y = tiny.tensor("model/answer/BiasAdd", (1, rows), activation, **quantised)
        tiny.op("FULLY_CONNECTED", [x, w, -1], [y])
        tiny.ports([x], [y])
        return tiny.build()


@pytest.fixture
def tiny() -> type[Tiny]:
    """The writer of tiny .tflite files."""
    return Tiny
