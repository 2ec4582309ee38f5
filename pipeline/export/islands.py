"""Islands of float in an int8 file: the quantiser leaves some splits there, although every runtime has them in int8.

What only moves values between a DEQUANTIZE and the next QUANTIZE does so on the integers themselves.
"""

from __future__ import annotations

from typing import Any

# Operators that only move values, and which of their inputs holds these.
MOVING = {
    "EXPAND_DIMS": 0,
    "GATHER": 0,
    "MAX_POOL_2D": 0,
    "RESHAPE": 0,
    "RESIZE_NEAREST_NEIGHBOR": 0,
    "REVERSE_V2": 0,
    "SLICE": 0,
    "SPLIT": 1,
    "SPLIT_V": 0,
    "SQUEEZE": 0,
    "STRIDED_SLICE": 0,
    "TRANSPOSE": 0,
    "UNPACK": 0,
}


def without_islands(content: bytes) -> bytes:
    """Return the flatbuffer with its islands in int8 as far as they can be; the same bytes where it has none."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    kinds = [names[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in model.operatorCodes]
    if "DEQUANTIZE" not in kinds:
        return content
    for number, graph in enumerate(model.subgraphs):
        _Rewriting(graph, kinds, schema).run()
        _drop_unused(graph, [signature for signature in model.signatureDefs or () if signature.subgraphIndex == number])
    builder = flatbuffers.Builder(len(content) + 1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


class _Rewriting:
    """One graph: every float tensor that has an int8 form gets it, and what nobody asks for any more is left out."""

    def __init__(self, graph: Any, kinds: list[str], schema: Any) -> None:
        self._graph = graph
        self._kinds = kinds
        self._schema = schema
        self._integers: dict[int, int] = {}  # float tensor -> its int8 form

    def run(self) -> None:
        done: list[Any] = []
        for op in self._graph.operators:
            done += [op, *self._integer_form(op)]
        wanted = set(self._graph.outputs)
        kept = []
        for op in reversed(done):  # what is made for nobody is not made
            if wanted.intersection(op.outputs):
                kept.append(op)
                wanted.update(op.inputs)
        self._graph.operators = kept[::-1]

    def _integer_form(self, op: Any) -> list[Any]:
        """Return the operator again, on int8, where it has such a form; a QUANTIZE is given the int8 form of its input."""
        kind = self._kinds[op.opcodeIndex]
        place = MOVING.get(kind, 0)
        source = op.inputs[place] if len(op.inputs) > place else -1
        if kind == "DEQUANTIZE" and self._graph.tensors[source].type == self._schema.TensorType.INT8:
            self._integers[op.outputs[0]] = source
        given = self._integers.get(source)
        if given is not None and kind == "QUANTIZE":
            op.inputs = [given]
        if given is None or kind not in MOVING:
            return []
        again = self._schema.OperatorT()
        vars(again).update(vars(op))
        again.inputs = [given if number == place else index for number, index in enumerate(op.inputs)]
        again.outputs = [self._tensor(output, given) for output in op.outputs]
        return [again]

    def _tensor(self, floating: int, given: int) -> int:
        """Return the index of a new int8 tensor like the float one, with the scale of `given`."""
        new = self._schema.TensorT()
        vars(new).update(vars(self._graph.tensors[floating]))
        new.type, new.quantization = self._schema.TensorType.INT8, self._graph.tensors[given].quantization
        self._graph.tensors.append(new)
        self._integers[floating] = len(self._graph.tensors) - 1
        return self._integers[floating]


def _drop_unused(graph: Any, signatures: list[Any]) -> None:
    """Leave out the tensors that no operator uses, and count the others anew."""
    used = {*graph.inputs, *graph.outputs}
    for op in graph.operators:
        used.update(op.inputs, op.outputs, () if op.intermediates is None else op.intermediates)
    place = {old: new for new, old in enumerate(index for index in range(len(graph.tensors)) if index in used)}
    graph.tensors = [graph.tensors[index] for index in place]
    place[-1] = -1  # an optional input that is not there

    def moved(indices: Any) -> list[int]:
        return [place[int(index)] for index in indices]

    graph.inputs, graph.outputs = moved(graph.inputs), moved(graph.outputs)
    for op in graph.operators:
        op.inputs, op.outputs = moved(op.inputs), moved(op.outputs)
        if op.intermediates is not None:
            op.intermediates = moved(op.intermediates)
    for signature in signatures:
        for port in (*signature.inputs, *signature.outputs):
            port.tensorIndex = place[port.tensorIndex]
