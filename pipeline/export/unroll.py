"""Recurrent layers without their loop, for int8: TensorFlow's calibrator crashes on a loop that stays in the graph.

A usual LSTM is one operator in TFLite and needs no loop; a GRU, a SimpleRNN and any other LSTM are unrolled, step by step, into
plain operators while the model is traced, however deep in wrappers and models they sit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from edgepipe.errors import UnsupportedModel
from edgepipe.pipeline.export.spelling import instead

LOOPS = ("GRU", "SimpleRNN")
MOST_STEPS = 128  # unrolled, each step is some ten operators


@contextmanager
def unrolled(model: Any) -> Iterator[None]:
    """Within the block the recurrent layers of a tf_keras model compute the same without loops.

    Raises UnsupportedModel naming each layer whose input has more than MOST_STEPS steps.
    """
    looping = [part for part in model.submodules if _loops(part)]
    wrappers = [part for part in model.submodules if type(part).__name__ == "Bidirectional"]
    outside = {id(inner): wrapper for wrapper in wrappers for inner in (wrapper.forward_layer, wrapper.backward_layer)}
    steps = {owner.name: _steps(owner) for owner in (outside.get(id(part), part) for part in looping)}
    if long := [f'"{name}": {count} steps' for name, count in steps.items() if count > MOST_STEPS]:
        raise UnsupportedModel(
            "recurrent layers with a loop cannot be quantised to int8",
            problems=long,
            cause=f"they are unrolled, up to {MOST_STEPS} steps",
            todo="Use an LSTM as Keras makes it by default, which TFLite has as one operator, or shorter series.",
        )
    with ExitStack() as until_the_end:
        for part in looping:
            until_the_end.enter_context(instead(part, "unroll", True))
            if hasattr(part, "_could_use_gpu_kernel"):  # decided when it was made, from how it was to be unrolled then
                until_the_end.enter_context(instead(part, "_could_use_gpu_kernel", False))
        yield


def _loops(part: Any) -> bool:
    kind = type(part).__name__
    return (kind in LOOPS or (kind == "LSTM" and not part._could_use_gpu_kernel)) and not part.unroll


def _steps(layer: Any) -> int:
    return (layer.get_input_shape_at(0)[1] or 0) if layer.inbound_nodes else 0
