"""The first operators of a model as a model of their own, every result an output: where runtimes part, and what one refuses.

A runtime computes the same numbers whether or not somebody looks at them; the tests hold these outputs against the tensors that
LiteRT can preserve, and the search holds the last of them against the untouched model's answers.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING

import flatbuffers

if TYPE_CHECKING:
    from ai_edge_litert.schema_py_generated import ModelT, SubGraphT

WIDEST_ALIGNMENT = 16  # the schema's for buffers, which the Python writer forgets
OPAQUE = ("STRING", "RESOURCE", "VARIANT")  # tensors that hold no numbers to look at


def cut(content: bytes, ops: int | None, *, every: bool) -> tuple[bytes, tuple[int, ...]]:
    """Return a model of the main graph's first `ops` operators (None: all), and the tensors that are its outputs.

    `every`: each result is an output, in the order of computation; otherwise the last operator's only. For a process that may be
    lost: what the schema's reader does with a hostile file is not bounded.
    """
    from ai_edge_litert import schema_py_generated as schema

    model: ModelT = schema.ModelT.InitFromPackedBuf(bytearray(content), 0)
    graph = copy.copy(model.subgraphs[0])
    graph.operators = graph.operators[:ops]
    shown = _results(model, graph, 0 if every else len(graph.operators) - 1)
    graph.outputs = list(shown)
    model.subgraphs = [graph, *model.subgraphs[1:]]
    model.signatureDefs = []  # they name the outputs that were
    builder = _Builder(len(content) + 1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output()), shown


def _results(model: ModelT, graph: SubGraphT, first: int) -> tuple[int, ...]:
    from ai_edge_litert import schema_py_generated as schema

    opaque = {getattr(schema.TensorType, name) for name in OPAQUE}
    results = dict.fromkeys(int(each) for op in graph.operators[first:] for each in _indices(op.outputs))
    return tuple(each for each in results if each >= 0 and graph.tensors[each].type not in opaque)


def _indices(values: Sequence[int] | None) -> Sequence[int]:
    return () if values is None else values


class _Builder(flatbuffers.Builder):  # type: ignore[misc]
    """Aligns every vector as the strictest of the schema's."""

    def StartVector(self, elemSize: int, numElems: int, alignment: int) -> int:
        place: int = super().StartVector(elemSize, numElems, max(alignment, WIDEST_ALIGNMENT))
        return place
