"""Does a model fit the very board that it is about to be sent to? Asked when the board is open, before a byte is sent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgepipe.devices.engine_plan import plan_of
from edgepipe.devices.inventory import DeviceEntry
from edgepipe.devices.session import Fits
from edgepipe.errors import InfrastructureError, ModelRejected
from edgepipe.facts import GraphFacts
from edgepipe.pipeline.inspect.activations import most_live_bytes
from edgepipe.pipeline.inspect.verify import verify
from edgepipe.pipeline.targets import TARGETS, Target
from edgepipe.plans import Planned
from edgepipe.records import Capabilities
from edgepipe.workflows.engine_plan import stopped_at

BUILT_IN_ENGINE = "edgepipe-int8"


def fits(model: Path, facts: GraphFacts, entry: DeviceEntry) -> Fits:
    """Return what holds the model in a file against what a board says that it offers, as `check_fit` does; no slot is needed."""

    def check(offered: Capabilities) -> None:
        check_fit(model.name, model.read_bytes(), facts, entry, replace(offered, flash_bytes=None))

    return check


def check_fit(name: str, content: bytes, facts: GraphFacts, entry: DeviceEntry, offered: Capabilities) -> None:
    """Raise ModelRejected with every operator and version that a board lacks, each with its layer, and what its memory lacks.

    The memory is in bytes: RAM for file and arena, and a slot where the board offers `flash_bytes`. A board with the built-in
    engine needs what this machine's build of the engine says, to the byte; with another engine, or without a compiler here, what
    activations need at the least. Boards whose target has no arena take what they are given: they have an operating system that
    says no.
    """
    target = TARGETS[entry.target]
    problems = _problems(content, facts, target, offered) if target.in_arena else []
    if problems:
        raise ModelRejected(
            f"{name} does not fit {entry.name}, and nothing was sent",
            problems=problems,
            todo=f"edgepipe verify {name} --target {target.name} says what holds for every board of this kind.",
        )


def _problems(content: bytes, facts: GraphFacts, target: Target, offered: Capabilities) -> list[str]:
    planned = _planned(content) if offered.engine == BUILT_IN_ENGINE else None
    plan = planned.plan if planned else None
    arena_bytes = plan.arena_bytes if plan else most_live_bytes(content)
    if planned and plan is None:  # the engine stops at the first operator of a wrong type; all of them are told
        offered = replace(offered, dtypes=target.dtypes)
    found = verify(facts, target, capabilities=offered, arena_bytes=arena_bytes).problems
    return [*map(str, found), *stopped_at(facts, planned.refusal if planned else None, found)]


def _planned(content: bytes) -> Planned | None:
    """Ask this machine's build of the engine; None where it cannot be built."""
    try:
        return plan_of(content)
    except InfrastructureError:
        return None
