"""Does a model fit the very board that it is about to be sent to? Asked when the board is open, before a byte is sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from edgepipe.devices.inventory import DeviceEntry
from edgepipe.errors import ModelRejected
from edgepipe.facts import GraphFacts
from edgepipe.pipeline.inspect.activations import most_live_bytes
from edgepipe.pipeline.inspect.verify import verify
from edgepipe.pipeline.targets import TARGETS
from edgepipe.records import Capabilities


def fits(model: Path, facts: GraphFacts, entry: DeviceEntry, *, in_flash: bool = False) -> Callable[[Capabilities], None]:
    """Return what holds the model against what a board says that it offers.

    It raises ModelRejected with every operator and version that the board lacks, each with its layer, and with what is missing of
    its memory in bytes; `in_flash`: of a slot there too. Boards whose target has no arena take what they are given: they have an
    operating system that says no.
    """
    target = TARGETS[entry.target]
    least_bytes = most_live_bytes(model.read_bytes()) if target.in_arena else None

    def check(offered: Capabilities) -> None:
        if not target.in_arena:
            return
        there = offered if in_flash else replace(offered, flash_bytes=None)
        problems = verify(facts, target, capabilities=there, arena_bytes=least_bytes).problems
        if problems:
            raise ModelRejected(
                f"{model.name} does not fit {entry.name}, and nothing was sent",
                problems=[str(problem) for problem in problems],
                todo=f"edgepipe verify {model.name} --target {target.name} says what holds for every board of this kind.",
            )

    return check
