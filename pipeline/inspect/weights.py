"""The weights of a graph: which constants multiply, and on which axis their output channels lie."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from edgepipe.facts import WeightFacts
from edgepipe.pipeline.inspect.counting import NUMBERS, Tally, count_groups
from edgepipe.pipeline.inspect.graph import Subgraph
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


def weight_facts(
    graphs: Sequence[Subgraph], layers: Mapping[Place, str], tally: Tally, groups: Sequence[tuple[int, int]] = ()
) -> tuple[WeightFacts, ...]:
    """Return the facts of every weight, once per layer that uses it. `layers` names each operator's layer.

    Zeros are also counted in groups of these shapes, (outputs, inputs).
    """
    facts: dict[tuple[int, tuple[int, ...], str], WeightFacts] = {}
    for number, graph in enumerate(graphs):
        for use in weight_uses(graph):
            tensor, layer = graph.tensors[use.tensor], layers[number, use.op]
            key = (tensor.buffer, tensor.shape, layer)
            if key in facts or tensor.data is None:
                continue
            counts = tally.of(tensor, use.axis)
            facts[key] = WeightFacts(
                name=tensor.name,
                layer=layer,
                op=graph.ops[use.op].name,
                dtype=tensor.dtype,
                shape=tensor.shape,
                size_bytes=tensor.data.size,
                elements=tensor.elements,
                nonzero=counts.nonzero,
                clusters=counts.clusters,
                clusters_whole=counts.clusters_whole,
                scales=int(tensor.scales.size),
                grouped=tuple(count_groups(tensor, use.axis, shape) for shape in groups),
            )
    return tuple(facts.values())


class WeightUse(NamedTuple):
    """A constant that an operator multiplies with: both by their index, and the axis of the output channels."""

    op: int
    tensor: int
    axis: int


def weight_uses(graph: Subgraph) -> Iterator[WeightUse]:
    """Yield every use of a stored weight, also of one that is unpacked first."""
    unpacked = graph.unpacked()
    for index, op in enumerate(graph.ops):
        for position, axis in () if op.custom else WEIGHT_INPUTS.get(op.name, ()):
            source = op.inputs[position] if position < len(op.inputs) else -1
            source = unpacked.get(source, source)
            tensor = graph.tensors[source] if source >= 0 else None
            if tensor is not None and tensor.data is not None and tensor.dtype in NUMBERS and len(tensor.shape) >= 2:
                yield WeightUse(index, source, tensor.axis if tensor.scales.size > 1 else axis)
