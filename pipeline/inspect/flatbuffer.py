"""The facts of a `.tflite`: what a person or a gate wants to know, read back from the bytes that ship."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from edgepipe.errors import ModelFileError
from edgepipe.facts import GraphFacts, Inspection, ModelFacts, OpFacts, TensorPort
from edgepipe.pipeline.inspect.calibration import uncalibrated
from edgepipe.pipeline.inspect.counting import Tally
from edgepipe.pipeline.inspect.graph import FLOATS, Op, Subgraph, Tensor, read_graph
from edgepipe.pipeline.inspect.layers import Place, name_layers
from edgepipe.pipeline.inspect.macs import op_macs, runs
from edgepipe.pipeline.inspect.tensors import tensor_facts
from edgepipe.pipeline.inspect.weights import weight_facts

_Choice: TypeAlias = Callable[[Tensor, bool], bool]
FLEX = "Flex"  # the prefix of TensorFlow's own operators inside a .tflite
# Operators whose output's shape is one of their inputs' values: open unless that input is a constant.
SHAPE_INPUTS = {
    **dict.fromkeys(("FILL", "TRANSPOSE_CONV"), 0),
    **dict.fromkeys(("RESHAPE", "BROADCAST_TO", "TILE", "PAD", "PADV2", "RANGE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"), 1),
    "SLICE": 2,
}
DATA_DEPENDENT = frozenset({"WHERE", "UNIQUE", "NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5"})
LARGEST_FILE = 2 << 30  # bytes; a flatbuffer's own limit


def read_file(path: Path) -> bytes:
    """Return the bytes of a model file. Raises ModelFileError where it is missing, no file, or too large."""
    if path.exists() and not path.is_file():
        raise ModelFileError(f"{path} is not a file", todo="Give the path of a .tflite file.")
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ModelFileError(f"{path} is larger than 2 GB", cause="this is no .tflite file")
        return path.read_bytes()
    except OSError as exc:
        raise ModelFileError(f"cannot read {path}: {exc.strerror}", todo="Give the path of a .tflite file.") from exc


def read_model(path: Path) -> tuple[bytes, ModelFacts]:
    """Return a model file's bytes and what they hold. Raises ModelFileError that names the file."""
    content = read_file(path)
    with _naming(path):
        return content, read_facts(content)


def inspect_model(path: Path) -> Inspection:
    """Return everything that a model file says of itself, down to the tensor. Raises ModelFileError that names the file."""
    content = read_file(path)
    with _naming(path):
        return inspect(content)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except ModelFileError as exc:
        raise ModelFileError(f"{path}: {exc.what}", cause=exc.cause, todo=exc.todo, problems=exc.problems) from exc


def read_facts(content: bytes, *, layers: Sequence[str] = (), groups: Sequence[tuple[int, int]] = ()) -> ModelFacts:
    """Return what a `.tflite` file holds, over all of its subgraphs, and how small it packs.

    `layers`: the Keras model's layer names in their order, to name weights and operators after; without them the names are guessed.
    `groups`: shapes (outputs, inputs) of groups of weights to count zeros in as well.
    Raises ModelFileError for a damaged or hostile file, after a bounded amount of work.
    """
    graphs = read_graph(content)
    facts = _graph_facts(content, graphs, name_layers(graphs, layers), Tally(len(content)), groups)
    return ModelFacts(**vars(facts), gzip_bytes=len(gzip.compress(content, compresslevel=9, mtime=0)))


def inspect(content: bytes) -> Inspection:
    """Return what a `.tflite` file holds, down to the tensor, without packing it.

    An operator without any name is a layer of its own, called "operator 5". Raises ModelFileError as `read_facts` does.
    """
    graphs = read_graph(content)
    tally = Tally(len(content))
    guessed = name_layers(graphs, ())
    named = {place: layer or f"operator {number}" for number, (place, layer) in enumerate(guessed.items())}
    return Inspection(facts=_graph_facts(content, graphs, named, tally), tensors=tensor_facts(graphs, named, tally))


def _graph_facts(
    content: bytes, graphs: Sequence[Subgraph], named: dict[Place, str], tally: Tally, groups: Sequence[tuple[int, int]] = ()
) -> GraphFacts:
    custom = dict.fromkeys(op.name for graph in graphs for op in graph.ops if op.custom)
    return GraphFacts(
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        inputs=tuple(_port(graphs[0].tensors[index]) for index in graphs[0].inputs),
        outputs=tuple(_port(graphs[0].tensors[index]) for index in graphs[0].outputs),
        ops=tuple(_ops(graphs, named)),
        weights=weight_facts(graphs, named, tally, groups),
        float_tensors=_labels(graphs, _is_float),
        dynamic_tensors=_labels(graphs, _is_open),
        custom_ops=tuple(name for name in custom if not name.startswith(FLEX)),
        flex_ops=tuple(name for name in custom if name.startswith(FLEX)),
        uncalibrated_tensors=uncalibrated(graphs[0]),
    )


def _port(tensor: Tensor) -> TensorPort:
    quantised = tensor.quantised and tensor.scales.size == 1
    return TensorPort(
        name=tensor.name,
        shape=tensor.signature,
        dtype=tensor.dtype,
        scale=float(tensor.scales[0]) if quantised else None,
        zero_point=int(tensor.zero_points[0]) if quantised and tensor.zero_points.size else None,
    )


def _ops(graphs: Sequence[Subgraph], named: dict[Place, str]) -> Iterator[OpFacts]:
    count = 0
    for number, (graph, times) in enumerate(zip(graphs, runs(graphs), strict=True)):
        for index, op in enumerate(graph.ops):
            yield OpFacts(
                index=count,
                op=op.name,
                version=op.version,
                layer=named[number, index],
                macs=op_macs(graph, op) * times,
                input_dtypes=tuple(graph.tensors[each].dtype for each in op.inputs if each >= 0),
                output_dtypes=tuple(graph.tensors[each].dtype for each in op.outputs),
            )
            count += 1


def _labels(graphs: Sequence[Subgraph], chosen: _Choice) -> tuple[str, ...]:
    """Return the names of the chosen tensors among those that an operator or a port of their subgraph uses."""
    labels = []
    for number, graph in enumerate(graphs):
        computed = _shapes_computed(graph)
        used = sorted({index for index in _used(graph) if index >= 0})
        labels += [
            graph.tensors[index].name or f"tensor {index} of graph {number}"
            for index in used
            if chosen(graph.tensors[index], index in computed)
        ]
    return tuple(labels)


def _used(graph: Subgraph) -> Iterable[int]:
    yield from graph.inputs
    yield from graph.outputs
    for op in graph.ops:
        yield from op.inputs
        yield from op.outputs


def _is_float(tensor: Tensor, shape_computed: bool) -> bool:
    return tensor.dtype in FLOATS


def _is_open(tensor: Tensor, shape_computed: bool) -> bool:
    return shape_computed or -1 in tensor.signature or -1 in tensor.shape


def _shapes_computed(graph: Subgraph) -> frozenset[int]:
    return frozenset(output for op in graph.ops if _computes_shape(graph, op) for output in op.outputs)


def _computes_shape(graph: Subgraph, op: Op) -> bool:
    if op.custom or op.name not in SHAPE_INPUTS:
        return op.name in DATA_DEPENDENT and not op.custom
    shape = graph.input_of(op, SHAPE_INPUTS[op.name])
    return shape is not None and shape.data is None
