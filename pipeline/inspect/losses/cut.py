"""A model file cut open at chosen tensors, so that a layer can be fed what its float twin was fed instead of what came before it.

One operation does three things. Cut nowhere and ask for every tensor: the network as it runs, with all that passes through it. Cut
at every tensor and ask for every tensor: each layer by itself. Cut at one tensor and ask for the answer: what that one layer's
error does to the end.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ai_edge_litert.schema_py_generated import ModelT

Values = dict[int, NDArray[np.generic]]


def open_model(content: bytes) -> ModelT:
    """Return the object tree of a `.tflite`. Only in a process that may be lost: a hostile file may keep it busy for long."""
    from ai_edge_litert import schema_py_generated as schema

    model: ModelT = schema.ModelT.InitFromPackedBuf(bytearray(content), 0)
    return model


def cut(model: ModelT, at: Collection[int], outputs: Sequence[int]) -> tuple[bytes, dict[int, int], tuple[int, ...]]:
    """Return a new model file that computes the tensors `outputs` of the main graph, with each tensor in `at` fed from outside.

    Whoever reads a tensor in `at` reads what is fed instead; the tensor itself is still computed where `outputs` asks for it. Only
    operators that are needed stay. Also returned: the fed tensors (index in `model`: index in the file), and the model's own
    inputs that are still needed.
    """
    graph = copy.copy(model.subgraphs[0])
    graph.tensors = list(graph.tensors)
    fed = {tensor: _placeholder(graph, tensor) for tensor in sorted(at)}
    operators, read = [], set(outputs)
    for op in reversed(graph.operators):
        if read.isdisjoint(_list(op.outputs)):
            continue
        needed = copy.copy(op)
        needed.inputs = np.array([fed.get(int(each), int(each)) for each in _list(op.inputs)], np.int32)
        read.update(needed.inputs.tolist())
        operators.append(needed)
    graph.operators = operators[::-1]
    entered = {tensor: place for tensor, place in fed.items() if place in read}
    own = tuple(int(each) for each in graph.inputs if int(each) in read)
    graph.inputs = np.array([*own, *entered.values()], np.int32)
    graph.outputs = np.array(list(outputs), np.int32)
    whole = copy.copy(model)
    whole.subgraphs = [graph, *model.subgraphs[1:]]
    whole.signatureDefs = []
    return _packed(whole), entered, own


def _list(values: Any) -> list[int]:
    return [] if values is None else [int(each) for each in values]


def _placeholder(graph: Any, tensor: int) -> int:
    twin = copy.copy(graph.tensors[tensor])
    twin.name = f"fed {tensor}"
    graph.tensors.append(twin)
    return len(graph.tensors) - 1


def _packed(model: ModelT) -> bytes:
    import flatbuffers

    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


class Cut:
    """A cut model in LiteRT, with the built-in kernels and no delegate, so that every tensor that is asked for is a real one."""

    def __init__(self, model: ModelT, at: Collection[int], outputs: Sequence[int]) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        content, self._fed, self._own = cut(model, at, outputs)
        self._outputs = tuple(outputs)
        self._interpreter = Interpreter(
            model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        )
        self._interpreter.allocate_tensors()

    def __call__(self, values: Values) -> Values:
        """Return the outputs for these values of the cut tensors and the model's own inputs; others in `values` are not read."""
        for tensor, place in (*self._fed.items(), *((each, each) for each in self._own)):
            self._interpreter.set_tensor(place, values[tensor])
        self._interpreter.reset_all_variables()
        self._interpreter.invoke()
        return {tensor: self._interpreter.get_tensor(tensor) for tensor in self._outputs}
