"""Verify a model file against a target, before anything is flashed or deployed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from edgepipe.errors import UsageError
from edgepipe.events import Emit, silent
from edgepipe.facts import ModelFacts
from edgepipe.pipeline.data import load
from edgepipe.pipeline.inspect.edgetpu import map_model, mapping_warnings
from edgepipe.pipeline.inspect.flatbuffer import read_model
from edgepipe.pipeline.inspect.saturation import check_inputs
from edgepipe.pipeline.inspect.verify import Verification, verify
from edgepipe.pipeline.targets import TARGETS


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What a file holds and how it stands to the target."""

    facts: ModelFacts
    verification: Verification


def verify_model(
    model: Path,
    *,
    target: str = "host",
    data: str | None = None,
    flash_bytes: int | None = None,
    arena_bytes: int | None = None,
    emit: Emit = silent,
) -> Verified:
    """Return the facts of `model` with all problems and warnings on `target`.

    `data`: a source of real inputs in the model's units, to see how much of the input's quantisation they use. `flash_bytes` and
    `arena_bytes` are limits; the arena is measured only where there is one to hold it against and the model fits otherwise.
    Raises UsageError, ModelFileError and DataError.
    """
    if target not in TARGETS:
        known = [f"{each.name}: {each.summary}" for each in TARGETS.values()]
        raise UsageError(f'unknown target "{target}"; known are {", ".join(TARGETS)}', problems=known)
    content, facts = read_model(model)
    place = TARGETS[target]
    if arena_bytes is not None and not place.in_arena:
        raise UsageError(f'"{target}" has no arena to be too small', todo="Give --arena-bytes with --target mcu.")
    offered = replace(
        place.capabilities,
        flash_bytes=flash_bytes if flash_bytes is not None else place.flash_bytes,
        arena_bytes=arena_bytes if arena_bytes is not None else place.arena_bytes,
    )
    verification = verify(facts, place, capabilities=offered)
    if offered.arena_bytes is not None and verification.fits:
        from edgepipe.pipeline.export.arena import find_arena

        verification = verify(facts, place, capabilities=offered, arena_bytes=find_arena(model, emit=emit).smallest_bytes)
    if place.has_edge_tpu:
        verification = replace(verification, warnings=(*verification.warnings, *mapping_warnings(map_model(content))))
    if data is not None:
        dataset = load(data, base=Path.cwd(), inputs=facts.inputs, emit=emit)
        verification = replace(verification, warnings=(*verification.warnings, *check_inputs(dataset, facts)))
    return Verified(facts=facts, verification=verification)
