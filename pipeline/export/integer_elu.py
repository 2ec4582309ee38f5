"""ELU in int8: TensorFlow's quantiser leaves it in float between two conversions, although every runtime has it as a table.

What stands between a DEQUANTIZE and the next QUANTIZE is computed on the integers themselves where it is ELU, or moves values without
changing them. ELU's own range follows from its input's, so nothing has to be calibrated.
"""

from __future__ import annotations

import math
from typing import Any

MOVING = frozenset(
    {"RESHAPE", "SQUEEZE", "EXPAND_DIMS", "SLICE", "STRIDED_SLICE", "TRANSPOSE", "MAX_POOL_2D", "RESIZE_NEAREST_NEIGHBOR", "GATHER"}
)
STEPS = 255  # of int8
LOWEST = -128


def with_integer_elu(content: bytes) -> bytes:
    """Return the flatbuffer with its float ELUs in int8; the same bytes where it has none that can be."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    kinds = [names[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in model.operatorCodes]
    if "ELU" not in kinds:
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
        self._merge_quantize()

    def _integer_form(self, op: Any) -> list[Any]:
        """Return the operator again, on int8, where it has such a form; a QUANTIZE is given the int8 form of its input."""
        kind, source = self._kinds[op.opcodeIndex], op.inputs[0] if len(op.inputs) else -1
        if kind == "DEQUANTIZE" and self._graph.tensors[source].type == self._schema.TensorType.INT8:
            self._integers[op.outputs[0]] = source
        given = self._integers.get(source)
        if given is None or kind == "DEQUANTIZE":
            return []
        if kind == "QUANTIZE":
            op.inputs = [given]
            return []
        if kind != "ELU" and kind not in MOVING:
            return []
        result = self._tensor(op.outputs[0], given, changed=kind == "ELU")
        again = self._schema.OperatorT()
        vars(again).update(vars(op))
        again.inputs, again.outputs = [given, *list(op.inputs)[1:]], [result]
        return [again]

    def _tensor(self, floating: int, given: int, *, changed: bool) -> int:
        """Return the index of a new int8 tensor like the float one, with the scale of `given`, or that of its ELU."""
        old, source = self._graph.tensors[floating], self._graph.tensors[given].quantization
        new, quantization = self._schema.TensorT(), self._schema.QuantizationParametersT()
        vars(new).update(vars(old))
        scale, zero = float(source.scale[0]), int(source.zeroPoint[0])
        if changed:
            low, high = (_elu((step - zero) * scale) for step in (LOWEST, LOWEST + STEPS))
            low, high = min(low, 0.0), max(high, 0.0)
            scale = (high - low) / STEPS or 1.0
            zero = LOWEST - round(low / scale)
        quantization.scale, quantization.zeroPoint = [scale], [zero]
        new.type, new.quantization = self._schema.TensorType.INT8, quantization
        self._graph.tensors.append(new)
        self._integers[floating] = len(self._graph.tensors) - 1
        return self._integers[floating]

    def _merge_quantize(self) -> None:
        """Let an ELU write what the one QUANTIZE behind it would: the range that the data gave its values."""
        users: dict[int, list[Any]] = {}
        for op in self._graph.operators:
            for index in op.inputs:
                users.setdefault(index, []).append(op)
        dropped = []
        for op in self._graph.operators:
            after = users.get(op.outputs[0], []) if self._kinds[op.opcodeIndex] == "ELU" else []
            if len(after) == 1 and self._kinds[after[0].opcodeIndex] == "QUANTIZE" and self._is_int8(after[0].outputs[0]):
                op.outputs = after[0].outputs
                dropped.append(after[0])
        self._graph.operators = [op for op in self._graph.operators if not any(op is other for other in dropped)]

    def _is_int8(self, index: int) -> bool:
        return bool(self._graph.tensors[index].type == self._schema.TensorType.INT8)


def _elu(value: float) -> float:
    return value if value > 0 else math.expm1(value)


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
