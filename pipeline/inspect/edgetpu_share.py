"""How much of a compiled file's work is done on the Edge TPU: the compiler hides it in one operator, and shows what it left."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from edgepipe.errors import ModelFileError
from edgepipe.facts import GraphFacts, ModelFacts
from edgepipe.pipeline.export.edgetpu_log import COMPILED_OP
from edgepipe.pipeline.inspect.flatbuffer import read_model

SUFFIX = "_edgetpu.tflite"  # of the file that the compiler writes beside MODEL.tflite


def is_compiled(facts: GraphFacts) -> bool:
    """Whether Google's compiler has moved a part of the model to the Edge TPU."""
    return COMPILED_OP in facts.custom_ops


def mac_share(model: Path, facts: GraphFacts) -> float | None:
    """Return the share of the multiply-accumulates, 0 to 1, that the Edge TPU computes of the file `model`.

    It is 1 where nothing that multiplies was left outside. Else what was left is held against the file that it was compiled from,
    which the compiler's naming finds beside it; None where that is not there or another model, and for files not compiled.
    """
    if not is_compiled(facts):
        return None
    if not facts.macs:
        return 1.0
    whole = compiled_from(model, facts)
    return 1 - facts.macs / whole[1].macs if whole else None


def compiled_from(model: Path, facts: GraphFacts) -> tuple[bytes, ModelFacts] | None:
    """Return the file that the compiled file `model` was made from, as `read_model` does; None where it is not beside it."""
    if not model.name.endswith(SUFFIX):
        return None
    try:
        found = read_model(model.with_name(model.name.removesuffix(SUFFIX) + ".tflite"))
    except ModelFileError:
        return None
    return found if _stems_from(facts, found[1]) else None


def _stems_from(compiled: GraphFacts, whole: GraphFacts) -> bool:
    """Whether the ports are the same, and every operator that multiplies outside the Edge TPU stands in `whole` as well."""
    ports = [[(port.shape, port.dtype) for port in (*facts.inputs, *facts.outputs)] for facts in (compiled, whole)]
    left, all_of_them = (Counter((op.op, op.macs) for op in facts.ops if op.macs) for facts in (compiled, whole))
    return not is_compiled(whole) and ports[0] == ports[1] and left <= all_of_them
