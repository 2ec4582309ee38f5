"""ELU in int8: every runtime has it as a table, TensorFlow's quantiser does not know that, so it is shown a LeakyReLU in its place.

To the quantiser both are functions of one tensor with ranges of their own, taken from the data before the one becomes the other. A
slope that no model has marks those to be turned back.
"""

from __future__ import annotations

import struct
from typing import Any

(MARK,) = struct.unpack("<f", b"ELU\x3c")  # 0.0130, as float32 exactly


def disguised(content: bytes) -> bytes:
    """Return the flatbuffer with a marked LEAKY_RELU for every ELU; the same bytes where it has none."""
    from ai_edge_litert.schema_py_generated import BuiltinOperator, BuiltinOptions, LeakyReluOptionsT

    def disguise(op: Any) -> None:
        op.builtinOptionsType, op.builtinOptions = BuiltinOptions.LeakyReluOptions, LeakyReluOptionsT()
        op.builtinOptions.alpha = MARK

    return _exchanged(content, BuiltinOperator.ELU, BuiltinOperator.LEAKY_RELU, lambda op: True, disguise)


def revealed(content: bytes) -> bytes:
    """Return the flatbuffer with an ELU for every marked LEAKY_RELU."""
    from ai_edge_litert.schema_py_generated import BuiltinOperator, BuiltinOptions

    def reveal(op: Any) -> None:
        op.builtinOptionsType, op.builtinOptions = BuiltinOptions.NONE, None

    return _exchanged(content, BuiltinOperator.LEAKY_RELU, BuiltinOperator.ELU, lambda op: op.builtinOptions.alpha == MARK, reveal)


def _exchanged(content: bytes, old: int, new: int, chosen: Any, change: Any) -> bytes:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    ops = [op for graph in model.subgraphs for op in graph.operators if codes[op.opcodeIndex] == old and chosen(op)]
    if not ops:
        return content
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = new  # both lie below 127, where old readers look
    code.version = 1
    model.operatorCodes.append(code)
    for op in ops:
        op.opcodeIndex = len(model.operatorCodes) - 1
        change(op)
    builder = flatbuffers.Builder(len(content) + 1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
