"""The weights of a graph: which constants multiply, how many of them are zero, how many values each output channel uses."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgepipe.errors import ModelFileError
from edgepipe.facts import WeightFacts
from edgepipe.pipeline.inspect.graph import FLOATS, Op, Subgraph, Tensor
from edgepipe.pipeline.inspect.layers import Place

# Operator -> (input, axis of the output channel). A tensor quantised per channel says its own axis.
WEIGHT_INPUTS: dict[str, tuple[tuple[int, int], ...]] = {
    "CONV_2D": ((1, 0),),
    "DEPTHWISE_CONV_2D": ((1, -1),),
    "TRANSPOSE_CONV": ((1, 0),),
    "CONV_3D": ((1, -1),),
    "CONV_3D_TRANSPOSE": ((1, -2),),
    "FULLY_CONNECTED": ((1, 0),),
    "BATCH_MATMUL": ((0, -1), (1, -1)),
    "GATHER": ((0, -1),),  # an embedding: its rows stand for a product with one-hot vectors
    "EMBEDDING_LOOKUP": ((1, -1),),
    "SVDF": ((1, 0), (2, 0)),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": tuple((position, 0) for position in (*range(1, 9), 16)),
    "BIDIRECTIONAL_SEQUENCE_LSTM": tuple((position, 0) for position in (*range(1, 9), 16, *range(18, 26), 33)),
    "UNIDIRECTIONAL_SEQUENCE_RNN": ((1, 0), (2, 0)),
    "BIDIRECTIONAL_SEQUENCE_RNN": ((1, 0), (2, 0), (4, 0), (5, 0)),
}
NUMBERS = FLOATS - {"complex64", "complex128"} | {"int8", "uint8", "int16", "int32", "int4", "uint4", "int2"}
ROWS_AT_ONCE = 1 << 22  # elements that are sorted at a time, to keep the memory small


@dataclass(frozen=True, kw_only=True, slots=True)
class _Counts:
    nonzero: int
    clusters: int
    clusters_whole: int


def weight_facts(graphs: Sequence[Subgraph], layers: Mapping[Place, str], file_size: int) -> tuple[WeightFacts, ...]:
    """Return the facts of every weight, once per layer that uses it. Raises ModelFileError where the same bytes are used too often.

    `layers` names each operator's layer. A sparse tensor holds only part of its elements: its zeros are counted from what is
    missing, its clusters over the whole tensor, since the values' channels are not unpacked.
    """
    facts: dict[tuple[int, tuple[int, ...], str], WeightFacts] = {}
    counted: dict[tuple[int, tuple[int, ...], int], _Counts] = {}
    left = 8 * file_size + (1 << 20)
    for number, graph in enumerate(graphs):
        for index, op, tensor, axis in _uses(graph):
            layer = layers[number, index]
            if (tensor.buffer, tensor.shape, layer) in facts or tensor.data is None:
                continue
            key = (tensor.buffer, tensor.shape, axis)
            if key not in counted:
                left -= tensor.data.size
                if left < 0:
                    raise ModelFileError("not a usable .tflite file: its operators use the same bytes over and over")
                counted[key] = _count(tensor, axis)
            facts[tensor.buffer, tensor.shape, layer] = WeightFacts(
                name=tensor.name,
                layer=layer,
                op=op.name,
                dtype=tensor.dtype,
                shape=tensor.shape,
                size_bytes=tensor.data.size,
                elements=tensor.elements,
                nonzero=counted[key].nonzero,
                clusters=counted[key].clusters,
                clusters_whole=counted[key].clusters_whole,
            )
    return tuple(facts.values())


def _uses(graph: Subgraph) -> Iterator[tuple[int, Op, Tensor, int]]:
    unpacked = graph.unpacked()
    for index, op in enumerate(graph.ops):
        for position, axis in () if op.custom else WEIGHT_INPUTS.get(op.name, ()):
            source = op.inputs[position] if position < len(op.inputs) else -1
            source = unpacked.get(source, source)
            tensor = graph.tensors[source] if source >= 0 else None
            if tensor is not None and tensor.data is not None and tensor.dtype in NUMBERS and len(tensor.shape) >= 2:
                yield index, op, tensor, tensor.axis if tensor.scales.size > 1 else axis


def _count(tensor: Tensor, axis: int) -> _Counts:
    values = _stored_values(tensor)
    nonzero = int(np.count_nonzero(values))
    whole = _most_distinct(values.reshape(1, -1))
    if tensor.sparse or not -len(tensor.shape) <= axis < len(tensor.shape):
        zero_missing = int(nonzero == values.size and nonzero < tensor.elements)
        return _Counts(nonzero=nonzero, clusters=whole + zero_missing, clusters_whole=whole + zero_missing)
    channels = np.moveaxis(values.reshape(tensor.shape), axis, 0)
    rows = np.ascontiguousarray(channels).reshape(channels.shape[0], -1)
    return _Counts(nonzero=nonzero, clusters=_most_distinct(rows), clusters_whole=whole)


def _stored_values(tensor: Tensor) -> NDArray[np.generic]:
    """Return the stored elements as integers that are equal where the numbers are equal, 0 where the number is 0."""
    assert tensor.data is not None
    raw = np.ascontiguousarray(tensor.data)
    if tensor.dtype in ("int4", "uint4", "int2"):
        # Packed from the low bits up; the sign does not matter for counting.
        bits = 2 if tensor.dtype == "int2" else 4
        fields = [(raw >> shift) & ((1 << bits) - 1) for shift in range(0, 8, bits)]
        count = math.prod(tensor.shape) if not tensor.sparse else raw.size * len(fields)
        return np.stack(fields, axis=1).reshape(-1)[:count]
    width = 4 if tensor.dtype in ("float32", "int32") else 8 if tensor.dtype == "float64" else 1
    width = 2 if tensor.dtype in ("float16", "bfloat16", "int16") else width
    words = raw[: raw.size // width * width].view(f"<u{width}")
    if tensor.dtype.startswith(("float", "bfloat")):
        minus_zero = np.array(1 << (8 * width - 1), words.dtype)
        return np.where(words == minus_zero, np.array(0, words.dtype), words)
    return words


def _most_distinct(rows: NDArray[np.generic]) -> int:
    """Return the number of distinct values in the row that has the most."""
    if rows.size == 0:
        return 0
    step = max(1, ROWS_AT_ONCE // rows.shape[1])
    most = 0
    for start in range(0, len(rows), step):
        ordered = np.sort(rows[start : start + step], axis=1, stable=rows.dtype.itemsize <= 2)  # radix sort for short words
        most = max(most, int(np.count_nonzero(ordered[:, 1:] != ordered[:, :-1], axis=1).max()) + 1)
    return most
