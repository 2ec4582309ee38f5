"""The facts of every single tensor: its role, its layer, its quantisation, and the counts of what it stores."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from edgepipe.facts import Quantisation, TensorFacts, TensorRole
from edgepipe.pipeline.inspect.counting import NUMBERS, Counts, Tally
from edgepipe.pipeline.inspect.graph import STORED_BITS, Subgraph, Tensor
from edgepipe.pipeline.inspect.layers import Place
from edgepipe.pipeline.inspect.weights import weight_uses


def tensor_facts(graphs: Sequence[Subgraph], layers: Mapping[Place, str], tally: Tally) -> tuple[TensorFacts, ...]:
    """Return the facts of all tensors of all graphs in the file's order; `layers` names each operator's layer."""
    hashes: dict[int, str] = {}
    return tuple(fact for number in range(len(graphs)) for fact in _facts(graphs[number], number, layers, tally, hashes))


def _facts(
    graph: Subgraph, number: int, layers: Mapping[Place, str], tally: Tally, hashes: dict[int, str]
) -> Iterator[TensorFacts]:
    """Yield a graph's tensors. `hashes` remembers the buffers that were met: their SHA-256."""
    axes = {use.tensor: use.axis for use in weight_uses(graph)}
    owners, roles = _owners(graph, number, layers), _roles(graph, frozenset(axes))
    for index, tensor in enumerate(graph.tensors):
        shared, counts = tensor.buffer in hashes, None
        if tensor.data is not None:
            if not shared:
                hashes[tensor.buffer] = hashlib.sha256(tensor.data.data).hexdigest()
            counts = _counts(tensor, axes.get(index), tally)
        yield TensorFacts(
            graph=number,
            index=index,
            name=tensor.name,
            role=roles.get(index, TensorRole.UNUSED),
            layer=owners.get(index, ""),
            dtype=tensor.dtype,
            shape=tensor.signature,
            elements=tensor.elements,
            size_bytes=_size_bytes(tensor),
            quantisation=_quantisation(tensor),
            sha256=None if tensor.data is None else hashes[tensor.buffer],
            shared=tensor.data is not None and shared,
            nonzero=counts.nonzero if counts else None,
            clusters=counts.clusters if counts else None,
        )


def _owners(graph: Subgraph, number: int, layers: Mapping[Place, str]) -> dict[int, str]:
    """Return the layer of each tensor: of the operator that writes it, else of the first that reads it."""
    owners: dict[int, str] = {}
    for index, op in enumerate(graph.ops):
        owners.update(dict.fromkeys(op.outputs, layers[number, index]))
    for index, op in enumerate(graph.ops):
        for each in op.inputs:
            owners.setdefault(each, layers[number, index])
    return owners


def _roles(graph: Subgraph, weights: frozenset[int]) -> dict[int, TensorRole]:
    used = dict.fromkeys(each for op in graph.ops for each in (*op.inputs, *op.outputs))
    roles = {
        index: TensorRole.COMPUTED if graph.tensors[index].data is None else TensorRole.CONSTANT for index in used if index >= 0
    }
    return {
        **roles,
        **dict.fromkeys(weights, TensorRole.WEIGHT),
        **dict.fromkeys(graph.inputs, TensorRole.INPUT),
        **dict.fromkeys(graph.outputs, TensorRole.OUTPUT),
    }


def _counts(tensor: Tensor, axis: int | None, tally: Tally) -> Counts | None:
    if tensor.dtype not in NUMBERS:
        return None
    per_channel = tensor.axis if tensor.scales.size > 1 and len(tensor.shape) > 1 else None
    return tally.of(tensor, per_channel if axis is None else axis)


def _size_bytes(tensor: Tensor) -> int | None:
    if tensor.data is not None:
        return tensor.data.size
    bits = STORED_BITS.get(tensor.dtype)
    return None if bits is None else -(-tensor.elements * bits // 8)


def _quantisation(tensor: Tensor) -> Quantisation | None:
    if not tensor.quantised:
        return None
    return Quantisation(
        channels=int(tensor.scales.size),
        axis=tensor.axis if tensor.scales.size > 1 else None,
        scale_min=float(tensor.scales.min()),
        scale_max=float(tensor.scales.max()),
        zero_point_min=int(tensor.zero_points.min()),
        zero_point_max=int(tensor.zero_points.max()),
    )
