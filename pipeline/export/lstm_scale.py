"""LSTM in int8: what it gives out is its hidden state, so both need one scale. TensorFlow's quantiser may set two or three.

Where something behind an LSTM has to share a scale with its neighbours, as in a Bidirectional, the quantiser gives that scale to
the output, but not to the state. The kernels copy the state, and every value is off by the ratio of the two.
"""

from __future__ import annotations

from typing import Any

# tensorflow/lite/kernels/lstm_shared.h: kOutputStateTensor; and the last of the intermediate tensors, the state before it is kept.
STATE, HIDDEN = 18, 4
LOWEST, STEPS = -128, 255


def with_state_scale(content: bytes) -> bytes:
    """Return the flatbuffer with one scale for each LSTM's state and output, converted behind it; the same bytes where it is so."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    changed = False
    for graph in model.subgraphs:
        ops = []
        for op in graph.operators:
            ops.append(op)
            if codes[op.opcodeIndex] == schema.BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_LSTM and _differs(graph, op):
                ops.append(_converted(model, graph, op, schema))
        changed |= len(ops) > len(graph.operators)
        graph.operators = ops
    if not changed:
        return content
    builder = flatbuffers.Builder(len(content) + 1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _states(graph: Any, op: Any) -> list[Any]:
    """Return the tensors that hold the state, as it is computed and as it is kept; none in float, or in another integer form."""
    if op.intermediates is None or len(op.intermediates) <= HIDDEN:
        return []
    found = [graph.tensors[op.inputs[STATE]], graph.tensors[op.intermediates[HIDDEN]]]
    known = all(tensor.quantization is not None and tensor.quantization.scale is not None for tensor in found)
    return found if known and len({tensor.type for tensor in found}) == 1 else []


def _scale(tensor: Any) -> tuple[float, int]:
    return float(tensor.quantization.scale[0]), int(tensor.quantization.zeroPoint[0])


def _differs(graph: Any, op: Any) -> bool:
    states = _states(graph, op)
    return bool(states) and len({_scale(tensor) for tensor in (*states, graph.tensors[op.outputs[0]])}) > 1


def _converted(model: Any, graph: Any, op: Any, schema: Any) -> Any:
    """Let the LSTM write a tensor with its state's scale, and return the operator that brings it to the scale it had.

    The scale covers the state as it is computed and as it is kept, whose ranges were taken apart from each other.
    """
    states = _states(graph, op)
    ends = [(step - zero) * scale for scale, zero in map(_scale, states) for step in (LOWEST, LOWEST + STEPS)]
    shared = schema.QuantizationParametersT()
    shared.scale = [(max(ends) - min(ends)) / STEPS]
    shared.zeroPoint = [LOWEST - round(min(ends) / shared.scale[0])]
    output = schema.TensorT()
    vars(output).update(vars(graph.tensors[op.outputs[0]]))
    for tensor in (*states, output):
        tensor.quantization = shared
    graph.tensors.append(output)
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.QUANTIZE
    code.version = 2  # from int8 to int8
    model.operatorCodes.append(code)
    quantize = schema.OperatorT()
    quantize.opcodeIndex = len(model.operatorCodes) - 1
    quantize.inputs, quantize.outputs = [len(graph.tensors) - 1], [op.outputs[0]]
    op.outputs = [len(graph.tensors) - 1]
    return quantize
