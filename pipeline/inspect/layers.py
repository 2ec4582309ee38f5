"""Which Keras layer an operator came from: read out of the tensors' names.

Converters join the names of everything that was fused with ";", each a path such as "model/conv/BiasAdd/ReadVariableOp". Around a
layer's own name stand the model's (or several, for nested ones), QAT's "quant_", Keras 3's "_1", and scopes inside the layer.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import islice

from edgepipe.pipeline.inspect.graph import Op, Subgraph

Place = tuple[int, int]  # subgraph, operator

WRAPPERS = ("quant_", "prune_low_magnitude_", "cluster_", "quantize_wrapper_")
# The last part of the path that marks the product itself; names of biases and activations may also mention a neighbour.
LEAVES = {
    "CONV_2D": ("conv2d", "conv1d", "convolution", "separable_conv2d"),
    "DEPTHWISE_CONV_2D": ("depthwise",),
    "TRANSPOSE_CONV": ("conv2d_transpose", "conv_transpose"),
    "FULLY_CONNECTED": ("matmul", "tensordot", "einsum", "dot"),
    "BATCH_MATMUL": ("matmul", "batchmatmulv2", "einsum"),
    "GATHER": ("gatherv2", "embedding_lookup"),
    "CONV_3D": ("conv3d",),
    "SVDF": (),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": ("lstm",),
    "UNIDIRECTIONAL_SEQUENCE_RNN": ("rnn",),
}
LEAF_SCORE = 4
CONVERSIONS = ("QUANTIZE", "DEQUANTIZE", "CAST")  # what may stand between the last layer and the output
MOST_PATHS = 64  # looked at per operator; a convolution with everything fused into it has about twenty
# Scopes inside a layer that do not start with a capital as operators do.
INNER_SCOPES = frozenset(
    {
        *("add", "batchnorm", "concat", "conv1d", "conv2d_transpose", "convolution", "depthwise", "dropout", "einsum"),
        *("embedding_lookup", "gru_cell", "lstm_cell", "moments", "mul", "separable_conv2d", "stack", "strided_slice"),
        *("sub", "transpose", "while", "zeros"),
    }
)


def name_layers(graphs: Sequence[Subgraph], known: Sequence[str]) -> dict[Place, str]:
    """Return the layer of every operator.

    With `known`, the names of the model's layers in their order, only those are answered, "" where none fits; a layer whose name
    was lost is found where exactly one is missing between two neighbours. Without, the layer is guessed from the path.
    """
    if not known:
        return {place: _guess(op, paths) for place, op, paths in _walk(graphs)}
    deepest = max(name.count("/") for name in known) + 1  # nested models leave "outer/inner"
    exact, renamed = ({place: _best(op, paths, table, deepest) for place, op, paths in _walk(graphs)} for table in _tables(known))
    named = renamed if _products(graphs, renamed) > _products(graphs, exact) else exact
    return _name_the_last(graphs, _fill_gaps(graphs, _inherit(graphs, named), known), known)


def _walk(graphs: Sequence[Subgraph]) -> Iterator[tuple[Place, Op, list[list[str]]]]:
    """Yield every operator with the paths that the names of its outputs and constants are made of."""
    for number, graph in enumerate(graphs):
        unpacked = graph.unpacked()
        paths_of = cache(partial(_paths, graph))
        for index, op in enumerate(graph.ops):
            sources = (unpacked.get(each, each) for each in op.inputs if each >= 0)
            named = dict.fromkeys((*op.outputs, *(each for each in sources if graph.tensors[each].data is not None)))
            yield (number, index), op, list(islice((path for each in named for path in paths_of(each)), MOST_PATHS))


def _paths(graph: Subgraph, tensor: int) -> list[list[str]]:
    parts = ([step for step in part.split("/") if step] for part in graph.tensors[tensor].name.split(";"))
    return [path for path in parts if path]


def _tables(known: Sequence[str]) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return two readings of a name: as it stands, and with the "_1" that Keras 3 adds when it is traced a second time."""
    exact = {prefix + layer: layer for prefix in ("", *WRAPPERS) for layer in known}
    return exact, {f"{name}_1": layer for name, layer in exact.items()}


def _products(graphs: Sequence[Subgraph], named: Mapping[Place, str]) -> int:
    return sum(1 for (graph, index), layer in named.items() if layer and graphs[graph].ops[index].name in LEAVES)


def _score(op: Op, path: list[str]) -> int:
    leaves = LEAVES.get(op.name, ())
    return (
        LEAF_SCORE if any(re.sub(r"(_\d+)?\d*$", "", step.lower()) in leaves or step.lower() in leaves for step in path[1:]) else 1
    )


def _best(op: Op, paths: list[list[str]], table: Mapping[str, str], deepest: int) -> str:
    scores: Counter[str] = Counter()
    for path in paths:
        inside = path[:-1] or path
        layer = next((table[name] for name in _innermost_first(inside, deepest) if name in table), None)
        if layer is not None:
            scores[layer] += _score(op, path)
    return scores.most_common(1)[0][0] if scores else ""


def _innermost_first(path: list[str], deepest: int) -> Iterator[str]:
    """Yield what may be a layer's name, from the last step on: up to `deepest` steps, the longest first, as "outer/inner"."""
    for end in range(len(path), 0, -1):
        for start in range(max(0, end - deepest), end):
            yield "/".join(path[start:end])


def _guess(op: Op, paths: list[list[str]]) -> str:
    scores: Counter[str] = Counter()
    for path in paths:
        if len(path) > 1:
            scores[_before_the_operator(path)] += _score(op, path)
    if scores:
        return scores.most_common(1)[0][0]
    return paths[0][0] if paths else ""


def _before_the_operator(path: list[str]) -> str:
    first = 1 if len(path) == 2 else 2
    end = next((index for index in range(first, len(path)) if _is_inner(path[index])), len(path) - 1)
    layer = path[end - 1]
    return next((layer.removeprefix(prefix) for prefix in WRAPPERS if layer.startswith(prefix)), layer)


def _is_inner(step: str) -> bool:
    return step[0].isupper() or re.sub(r"_\d+$", "", step) in INNER_SCOPES


def _inherit(graphs: Sequence[Subgraph], named: dict[Place, str]) -> dict[Place, str]:
    """Give what a loop runs and what has lost its name the loop's own layer."""
    callers = {callee: named[number, index] for number, index in named for callee in graphs[number].ops[index].calls}
    return {place: layer or callers.get(place[0], "") for place, layer in named.items()}


def _fill_gaps(graphs: Sequence[Subgraph], named: dict[Place, str], known: Sequence[str]) -> dict[Place, str]:
    products = [place for place in _execution_order(graphs) if graphs[place[0]].ops[place[1]].name in LEAVES]
    found = set(named.values())
    position = {layer: index for index, layer in enumerate(known)}
    following = _nearest(reversed(products), named, position, len(known))
    before = _nearest(iter(products), named, position, -1)
    filled = dict(named)
    for place in products:
        if not named[place]:
            missing = [layer for layer in known[before[place] + 1 : following[place]] if layer not in found]
            if len(missing) == 1:
                filled[place] = missing[0]
    return filled


def _name_the_last(graphs: Sequence[Subgraph], named: dict[Place, str], known: Sequence[str]) -> dict[Place, str]:
    """Give what writes the only output the model's last layer: its tensor is called after the output, not after a layer."""
    main = graphs[0]
    if len(main.outputs) != 1:
        return named
    written = main.outputs[0]
    for index, op in reversed(list(enumerate(main.ops))):
        if written not in op.outputs:
            continue
        if op.name not in CONVERSIONS or not op.inputs:
            return named if named[0, index] else named | {(0, index): known[-1]}
        written = op.inputs[0]
    return named


def _nearest(places: Iterator[Place], named: Mapping[Place, str], position: Mapping[str, int], start: int) -> dict[Place, int]:
    """Return for every place the position of the last layer that was named on the way to it."""
    nearest = {}
    for place in places:
        nearest[place] = start
        start = position[named[place]] if named[place] else start
    return nearest


def _execution_order(graphs: Sequence[Subgraph]) -> list[Place]:
    """Return all places with the body of a loop where the loop stands; each subgraph once."""
    order: list[Place] = []
    entered = {0}
    waiting = [(0, 0)]
    while waiting:
        number, index = waiting.pop()
        if index >= len(graphs[number].ops):
            continue
        order.append((number, index))
        waiting.append((number, index + 1))
        for callee in graphs[number].ops[index].calls:
            if callee not in entered:
                entered.add(callee)
                waiting.append((callee, 0))
    return order
