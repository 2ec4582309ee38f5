"""A `.tflite` as plain values, read with a bounded amount of work however broken or hostile the file is.

Only the flatbuffer accessors are used: no interpreter, no TensorFlow, no recursion. Every length is checked before anything is
allocated, and everything of variable length is paid from one budget that grows with the file, so that a file in which a thousand
tables point at the same megabyte is refused rather than read a thousand times.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgepipe.errors import ModelFileError

if TYPE_CHECKING:
    from ai_edge_litert import schema_py_generated as schema

T = TypeVar("T")
IDENTIFIER = b"TFL3"
ZIP = b"PK\3\4"  # what .keras files are
LARGEST_COUNT = 50_000  # of tensors, operators, buffers, over all subgraphs together; real models stay below 10,000
LARGEST_RANK = 16
LONGEST_NAME = 4096  # bytes; fused names reach a few hundred
LARGEST_ELEMENTS = 1 << 36  # of one tensor
STORED_BITS = {
    **dict.fromkeys(("float32", "int32", "uint32"), 32),
    **dict.fromkeys(("float16", "bfloat16", "int16", "uint16"), 16),
    **dict.fromkeys(("int8", "uint8", "bool", "float8_e4m3fn", "float8_e5m2"), 8),
    **dict.fromkeys(("float64", "int64", "uint64", "complex64"), 64),
    **dict.fromkeys(("int4", "uint4"), 4),
    "complex128": 128,
    "int2": 2,
}
FLOATS = frozenset({"float16", "bfloat16", "float32", "float64", "complex64", "complex128", "float8_e4m3fn", "float8_e5m2"})
UNPACKERS = frozenset({"DEQUANTIZE", "DENSIFY", "QUANTIZE"})  # what may stand between a stored constant and its consumer
WINDOW = ("Padding", "StrideH", "StrideW", "FusedActivationFunction")
DILATION = ("DilationHFactor", "DilationWFactor")
CALLS = ("CondSubgraphIndex", "BodySubgraphIndex", "ThenSubgraphIndex", "ElseSubgraphIndex")
# The options that are read: operator -> table of the schema, fields.
SETTINGS: dict[str, tuple[str, tuple[str, ...]]] = {
    "CONV_2D": ("Conv2DOptions", (*WINDOW, *DILATION)),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2DOptions", (*WINDOW, *DILATION)),
    "FULLY_CONNECTED": ("FullyConnectedOptions", ("FusedActivationFunction", "WeightsFormat")),
    "CONCATENATION": ("ConcatenationOptions", ("Axis", "FusedActivationFunction")),
    "PACK": ("PackOptions", ("Axis",)),
    "STRIDED_SLICE": ("StridedSliceOptions", ("EllipsisMask", "NewAxisMask")),
    "MAX_POOL_2D": ("Pool2DOptions", (*WINDOW, "FilterHeight", "FilterWidth")),
    "AVERAGE_POOL_2D": ("Pool2DOptions", (*WINDOW, "FilterHeight", "FilterWidth")),
    "WHILE": ("WhileOptions", CALLS[:2]),
    "IF": ("IfOptions", CALLS[2:]),
}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Tensor:
    """One tensor; `data` are the stored bytes of a constant, None for what is computed or fed. `signature` has -1 where open."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    buffer: int
    data: NDArray[np.uint8] | None
    scales: NDArray[np.float32]
    zero_points: NDArray[np.int64]
    axis: int
    sparse: bool

    @property
    def elements(self) -> int:
        """Number of elements; an open dimension counts as 1."""
        return math.prod(max(size, 1) if size < 0 else size for size in self.shape)

    @property
    def quantised(self) -> bool:
        """Whether integers stand for real numbers: real = scale * (q - zero_point)."""
        return self.scales.size > 0 and self.dtype not in FLOATS


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Op:
    """One operator; `inputs` and `outputs` index the subgraph's tensors, -1 in `inputs` is an optional one left out.

    `settings` are those of its options that SETTINGS names.
    """

    name: str
    custom: bool
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    settings: Mapping[str, int]

    @property
    def calls(self) -> tuple[int, ...]:
        """The subgraphs that it runs: (condition, body) of WHILE, (then, else) of IF."""
        return tuple(self.settings[field] for field in CALLS if field in self.settings)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Subgraph:
    """Tensors and the operators over them, in the order of execution."""

    tensors: tuple[Tensor, ...]
    ops: tuple[Op, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def input_of(self, op: Op, position: int) -> Tensor | None:
        """Return the op's input at this position; None where it has none."""
        index = op.inputs[position] if position < len(op.inputs) else -1
        return self.tensors[index] if index >= 0 else None

    def unpacked(self) -> dict[int, int]:
        """Return, for the output of each operator that only unpacks a constant, the tensor that it unpacks."""
        sources: dict[int, int] = {}
        for op in self.ops:
            if op.name in UNPACKERS and op.inputs and op.inputs[0] >= 0:
                source = sources.get(op.inputs[0], op.inputs[0])
                if self.tensors[source].data is not None:
                    sources.update(dict.fromkeys(op.outputs, source))
        return sources


def read_graph(content: bytes) -> tuple[Subgraph, ...]:
    """Return every subgraph of a `.tflite`, the main one first. Raises ModelFileError for what is not a whole, sane one."""
    if not content:
        raise _broken("the file is empty")
    if content.startswith(ZIP):
        raise ModelFileError(
            "a zip, as Keras models are, and not a .tflite", todo="`edgepipe quantize` makes a .tflite of a Keras model."
        )
    if len(content) < 8 or content[4:8] != IDENTIFIER:
        raise _broken(f"it does not carry the identifier {IDENTIFIER.decode()} at byte 4")
    from ai_edge_litert import schema_py_generated as schema

    try:
        return _Reader(content, schema.Model.GetRootAs(content, 0)).subgraphs()
    except (struct.error, IndexError, ValueError, TypeError, OverflowError, AttributeError) as exc:
        # What the accessors raise for an offset that leads nowhere.
        raise _broken(f"an offset points outside the file ({type(exc).__name__})") from exc


def _broken(what: str) -> ModelFileError:
    return ModelFileError(
        f"not a usable .tflite file: {what}",
        cause="the file was cut short, damaged on the way, or is no TensorFlow Lite model",
        todo="Convert the model again, or copy the file again and compare the hashes.",
    )


class _Reader:
    """Reads one model; `_left` is the budget in bytes for everything of variable length."""

    def __init__(self, content: bytes, model: schema.Model) -> None:
        self._content = content
        self._model = model
        self._left = 4 * len(content) + (1 << 20)
        self._rows_left = LARGEST_COUNT
        self._buffers: dict[int, NDArray[np.uint8] | None] = {}
        self._buffer_count = self._rows(model.BuffersLength(), "buffers")
        self._codes = tuple(self._code(code) for code in self._each(model.OperatorCodes, model.OperatorCodesLength(), "op codes"))

    def subgraphs(self) -> tuple[Subgraph, ...]:
        read = tuple(self._subgraph(each) for each in self._each(self._model.Subgraphs, self._model.SubgraphsLength(), "subgraphs"))
        if not read:
            raise _broken("it holds no graph")
        return read

    def _pay(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise _broken("its tables point at the same bytes over and over")

    def _rows(self, count: int, what: str) -> int:
        self._rows_left -= count
        if self._rows_left < 0:
            raise _broken(f"{count} {what}; more than {LARGEST_COUNT} entries in all are not read")
        return count

    def _each(self, item: Callable[[int], T | None], count: int, what: str) -> Iterator[T]:
        for index in range(self._rows(count, what)):
            each = item(index)
            if each is None:
                raise _broken(f"one of its {what} is missing")
            yield each

    def _text(self, raw: bytes | None) -> str:
        """Return a name without what a terminal would obey."""
        self._pay(len(raw or b""))
        text = (raw or b"")[:LONGEST_NAME].decode("utf-8", errors="replace")
        return text if text.isprintable() else "".join(each if each.isprintable() else "?" for each in text)

    def _code(self, code: schema.OperatorCode) -> tuple[str, bool, int]:
        # Up to code 126 the old one-byte field may be the only one that is set.
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        name = builtin_ops().get(number, f"BUILTIN_{number}")
        if name == "CUSTOM":
            return self._text(code.CustomCode()) or "CUSTOM", True, code.Version()
        return name, False, code.Version()

    def _subgraph(self, graph: schema.SubGraph) -> Subgraph:
        tensors = tuple(self._tensor(each) for each in self._each(graph.Tensors, graph.TensorsLength(), "tensors"))
        return Subgraph(
            tensors=tensors,
            ops=tuple(self._op(each, len(tensors)) for each in self._each(graph.Operators, graph.OperatorsLength(), "operators")),
            inputs=self._indices(graph.InputsLength(), graph.InputsAsNumpy, len(tensors)),
            outputs=self._indices(graph.OutputsLength(), graph.OutputsAsNumpy, len(tensors)),
        )

    def _op(self, op: schema.Operator, tensors: int) -> Op:
        if op.OpcodeIndex() >= len(self._codes):
            raise _broken("an operator has an unknown code")
        name, custom, version = self._codes[op.OpcodeIndex()]
        return Op(
            name=name,
            custom=custom,
            version=version,
            inputs=self._indices(op.InputsLength(), op.InputsAsNumpy, tensors, lowest=-1),
            outputs=self._indices(op.OutputsLength(), op.OutputsAsNumpy, tensors),
            settings=self._settings(name, op),
        )

    def _settings(self, name: str, op: schema.Operator) -> dict[str, int]:
        from ai_edge_litert import schema_py_generated as schema

        table = op.BuiltinOptions()
        if table is None or name not in SETTINGS:
            return {}
        kind, fields = SETTINGS[name]
        options = getattr(schema, kind)()
        options.Init(table.Bytes, table.Pos)
        settings = {field: int(getattr(options, field)()) for field in fields}
        if any(field in CALLS and not 0 <= value < self._model.SubgraphsLength() for field, value in settings.items()):
            raise _broken(f"{name} calls a graph that does not exist")
        return settings

    def _indices(self, count: int, read: Callable[[], NDArray[np.int32]], tensors: int, lowest: int = 0) -> tuple[int, ...]:
        values = self._integers(count, read)
        if any(not lowest <= value < tensors for value in values):
            raise _broken("an operator or a port names a tensor that does not exist")
        return values

    def _integers(self, count: int, read: Callable[[], NDArray[np.int32]]) -> tuple[int, ...]:
        # Paid eightfold: a Python integer costs more than the four bytes in the file.
        self._pay(8 * count if count > LARGEST_RANK else count)
        return tuple(read().tolist()) if count else ()

    def _tensor(self, tensor: schema.Tensor) -> Tensor:
        name = self._text(tensor.Name())
        dtype = tensor_types().get(tensor.Type())
        if dtype is None:
            raise _broken(f'tensor "{name:.80}" has the unknown type {tensor.Type()}')
        if tensor.ExternalBuffer():
            raise _broken(f'tensor "{name:.80}" keeps its values in another file')
        shape = self._shape(name, tensor.ShapeLength(), tensor.ShapeAsNumpy)
        signature = self._shape(name, tensor.ShapeSignatureLength(), tensor.ShapeSignatureAsNumpy) or shape
        scales, zero_points, axis = self._quantisation(name, tensor.Quantization())
        sparse = tensor.Sparsity() is not None
        data = self._data(tensor.Buffer())
        if data is not None:
            _check_size(name, dtype, shape, data.size, sparse)
        return Tensor(
            name=name,
            dtype=dtype,
            shape=shape,
            signature=signature,
            buffer=tensor.Buffer(),
            data=data,
            scales=scales,
            zero_points=zero_points,
            axis=axis,
            sparse=sparse,
        )

    def _shape(self, name: str, rank: int, read: Callable[[], NDArray[np.int32]]) -> tuple[int, ...]:
        if rank > LARGEST_RANK:
            raise _broken(f'tensor "{name:.80}" has {rank} dimensions')
        shape = self._integers(rank, read)
        if any(size < -1 for size in shape) or math.prod(abs(size) for size in shape) > LARGEST_ELEMENTS:
            raise _broken(f'tensor "{name:.80}" has the impossible shape {list(shape)}')
        return shape

    def _quantisation(
        self, name: str, given: schema.QuantizationParameters | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], int]:
        if given is None or not given.ScaleLength():
            return np.empty(0, np.float32), np.empty(0, np.int64), 0
        self._pay(4 * given.ScaleLength() + 8 * given.ZeroPointLength())
        scales = given.ScaleAsNumpy()
        zero_points = given.ZeroPointAsNumpy() if given.ZeroPointLength() else np.zeros(scales.size, np.int64)
        if not np.isfinite(scales).all() or (scales < 0).any():
            raise _broken(f'tensor "{name:.80}" has a scale that is no positive number')
        return scales, zero_points, given.QuantizedDimension()

    def _data(self, index: int) -> NDArray[np.uint8] | None:
        if index >= max(self._buffer_count, 1):
            raise _broken("a tensor names a buffer that does not exist")
        if index == 0:  # by convention: empty, shared by all that is computed
            return None
        if index not in self._buffers:
            self._buffers[index] = self._buffer(self._model.Buffers(index))
        return self._buffers[index]

    def _buffer(self, buffer: schema.Buffer) -> NDArray[np.uint8] | None:
        # Files beyond 2 GB keep the values behind the flatbuffer; 0 and 1 there mean "not used".
        offset, size = buffer.Offset(), buffer.Size()
        if offset > 1:
            if offset + size > len(self._content):
                raise _broken("a buffer reaches past the end of the file")
            return np.frombuffer(self._content, np.uint8, size, offset) if size else None
        return buffer.DataAsNumpy() if buffer.DataLength() else None


def _check_size(name: str, dtype: str, shape: Sequence[int], stored: int, sparse: bool) -> None:
    if dtype not in STORED_BITS:  # strings, resources and variants have a layout of their own
        return
    wanted = -(-math.prod(shape) * STORED_BITS[dtype] // 8)
    if stored != wanted and not (sparse and stored <= wanted):
        raise _broken(f'tensor "{name:.80}" should hold {wanted} bytes and holds {stored}')


def _names(enum: type) -> dict[int, str]:
    return {value: name for name, value in vars(enum).items() if isinstance(value, int) and not name.startswith("_")}


def builtin_ops() -> dict[int, str]:
    """Return the name of every builtin operator of the schema by its code."""
    from ai_edge_litert import schema_py_generated as schema

    return _names(schema.BuiltinOperator)


def tensor_types() -> dict[int, str]:
    """Return the name of every tensor type by its code, as numpy spells it."""
    from ai_edge_litert import schema_py_generated as schema

    return {value: name.lower() for value, name in _names(schema.TensorType).items()}
