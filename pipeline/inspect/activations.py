"""How much memory the activations of a model take at once: what no arena can be smaller than."""

from __future__ import annotations

from itertools import accumulate

from edgepipe.pipeline.inspect.graph import STORED_BITS, Op, Subgraph, read_graph

IN_PLACE = frozenset({"RESHAPE", "SQUEEZE", "EXPAND_DIMS"})  # the same bytes under another shape: they may cost nothing


def most_live_bytes(content: bytes) -> int:
    """Return the most bytes of activations that live at the same time in the first graph of a `.tflite`.

    A tensor lives from the operator that writes it to the last that reads it, the model's inputs from the start, its outputs to the
    end. An open dimension counts as 1. TFLite Micro and the built-in engine compute nothing in place, but may share a tensor with
    its reshaped self; both need more than this, for what they keep about the graph. Raises ModelFileError.
    """
    graph = read_graph(content)[0]
    changes = [0] * (len(graph.ops) + 2)
    for tensor, (first, last) in _lives(graph).items():
        changes[first] += _bytes(graph, tensor)
        changes[last + 1] -= _bytes(graph, tensor)
    return max(accumulate(changes))


def _lives(graph: Subgraph) -> dict[int, tuple[int, int]]:
    """Return for each computed tensor the first and the last operator during which it is needed."""
    lives = dict.fromkeys(graph.inputs, (0, 0))
    for step, op in enumerate(graph.ops):
        born = min(step + 1, len(graph.ops) - 1) if op.name in IN_PLACE else step
        for tensor in _computed(graph, op):
            first = lives[tensor][0] if tensor in lives else born
            lives[tensor] = (first, max(first, step))
    end = max(len(graph.ops) - 1, 0)
    return lives | {tensor: (lives[tensor][0] if tensor in lives else end, end) for tensor in graph.outputs}


def _computed(graph: Subgraph, op: Op) -> list[int]:
    return [tensor for tensor in (*op.inputs, *op.outputs) if tensor >= 0 and graph.tensors[tensor].data is None]


def _bytes(graph: Subgraph, tensor: int) -> int:
    found = graph.tensors[tensor]
    return -(-found.elements * STORED_BITS.get(found.dtype, 8) // 8)
