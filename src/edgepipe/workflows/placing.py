"""With which delegate a model runs on a board, and which models do not go there at all: decided here, before a byte is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edgepipe.devices.inventory import DeviceEntry
from edgepipe.devices.protocols import RunOptions
from edgepipe.errors import UnsupportedModel, UsageError
from edgepipe.facts import GraphFacts
from edgepipe.pipeline.inspect.edgetpu_share import is_compiled
from edgepipe.pipeline.targets import TARGETS

AUTO, EDGE_TPU, USUAL = "auto", "edgetpu", "xnnpack"


def place(name: str, facts: GraphFacts, entries: Sequence[DeviceEntry], options: RunOptions) -> RunOptions:
    """Return the options with a delegate in the place of `auto`, for a model that is called `name`.

    Raises UnsupportedModel where it was compiled for an Edge TPU and a board has none by its target, UsageError for another
    delegate or runtime than that takes, and for a model of which nothing would run on an Edge TPU.
    """
    if not is_compiled(facts):
        if options.delegate == EDGE_TPU:
            todo = f"edgepipe edgetpu {name} --compile; or leave --delegate out."
            raise UsageError(f"{name} is not compiled for the Edge TPU: nothing of it would run there", todo=todo)
        return replace(options, delegate=USUAL) if options.delegate == AUTO else options
    without = [f'{entry.name} is for "{entry.target}"' for entry in entries if not TARGETS[entry.target].has_edge_tpu]
    if without:
        raise UnsupportedModel(
            f"{name} is compiled for an Edge TPU, and nothing was sent to a board without one",
            problems=without,
            todo="Give the .tflite that it was compiled from; or, where the board has one, write target: coral in the inventory.",
        )
    if options.delegate not in (AUTO, EDGE_TPU) or options.runtime == "tflm":
        what = f"{name} is compiled for an Edge TPU, which takes --runtime litert or tflite, and --delegate edgetpu"
        raise UsageError(what, todo="Leave both out; or give the .tflite that it was compiled from.")
    return replace(options, delegate=EDGE_TPU)
