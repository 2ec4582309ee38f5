"""What was said of a model against what became of it: the file that a real conversion wrote, and the arena that it really needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgepipe.diagnosis import Examination, Finding, Severity
from edgepipe.errors import ModelRejected
from edgepipe.events import Emit
from edgepipe.pipeline.export.arena import find_arena, has_tflm
from edgepipe.pipeline.inspect.doctor.codes import finding
from edgepipe.pipeline.inspect.flatbuffer import inspect_model
from edgepipe.pipeline.inspect.verify import verify
from edgepipe.pipeline.targets import TARGETS


def compared(said: Examination, made: Path, *, emit: Emit) -> Iterator[Finding]:
    """Yield where the int8 file `made` differs from the static examination; one note where it does not."""
    place = TARGETS[said.target]
    facts = inspect_model(made).facts
    problems = verify(facts, place).problems
    yield from (finding("EP701", str(problem), why=problem.reason, fix=problem.fix) for problem in problems)
    arena = None
    refused = False
    if place.in_arena and not problems and has_tflm():
        try:
            arena = find_arena(made, emit=emit).smallest_bytes
        except ModelRejected as exc:
            refused = True
            yield finding("EP701", exc.what, why="; ".join(exc.problems))
    runs = not problems and not refused
    blocked = any(each.severity is Severity.ERROR and each.code.startswith("EP2") for each in said.findings)
    if runs and blocked:
        yield finding("EP702", "the file runs on the target although something was said to stand in its way")
    low, high = said.budget.arena_low_bytes, said.budget.arena_high_bytes
    if arena is not None and low is not None and high is not None and not low <= arena <= high:
        yield finding("EP702", f"the arena is {arena:,} bytes, estimated were {low:,} to {high:,}")
    size, room = facts.size_bytes, said.budget.board_flash_bytes
    if room is not None and size > room:
        yield finding("EP401", f"the file is {size:,} bytes, and {said.budget.board} has {room:,} of flash")
    if runs:
        measured = f", arena {arena:,} bytes" if arena is not None else ""
        yield finding(
            "EP703", f"converted for real: {size:,} bytes, {len(facts.ops)} operators{measured}", layer="", why="--deep", fix=""
        )
