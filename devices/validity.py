"""Which blocks count (METHODS §1): a block under changed conditions is dropped, and too many of those make the run invalid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgepipe.records import Block, RunOutcome

DROPPED_SHARE = 0.2
CLOCK_TOLERANCE = 0.01  # what a pinned clock is seen to jitter


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A run's outcome, and its blocks with the dropped ones marked `invalid`."""

    outcome: RunOutcome
    reason: str
    blocks: tuple[Block, ...]


def judge(blocks: Sequence[Block], artefact_sha256: str, clock_mhz: float | None = None) -> Judgement:
    """Judge the blocks of one run. The right output is what most blocks computed; `clock_mhz` is what the board is pinned to."""
    outputs = Counter(block.output_sha256 for block in blocks if block.outcome is RunOutcome.OK)
    usual = outputs.most_common(1)[0][0] if outputs else None
    judged = tuple(_marked(block, artefact_sha256, usual, clock_mhz) for block in blocks)
    for outcome in (RunOutcome.INFRA, RunOutcome.REJECTED):
        for block in judged:
            if block.outcome is outcome:
                return Judgement(outcome=outcome, reason=f"block {block.index + 1}: {block.reason}", blocks=judged)
    dropped = [block for block in judged if block.outcome is RunOutcome.INVALID]
    if len(dropped) > DROPPED_SHARE * len(judged):
        why = "; ".join(sorted({block.reason for block in dropped}))
        return Judgement(
            outcome=RunOutcome.INVALID, reason=f"{len(dropped)} of {len(judged)} blocks do not count: {why}", blocks=judged
        )
    return Judgement(outcome=RunOutcome.OK, reason="", blocks=judged)


def _marked(block: Block, artefact_sha256: str, output_sha256: str | None, clock_mhz: float | None) -> Block:
    if block.outcome is not RunOutcome.OK:
        return block
    reason = _fault(block, artefact_sha256, output_sha256, clock_mhz)
    return replace(block, outcome=RunOutcome.INVALID, reason=reason) if reason else block


def _fault(block: Block, artefact_sha256: str, output_sha256: str | None, clock_mhz: float | None) -> str:
    if block.artefact_sha256 != artefact_sha256:
        return "it ran another file than the one that was pushed"
    if block.output_sha256 != output_sha256:
        return "it computed something else than the other blocks"
    before, after = block.before.throttle_bits, block.after.throttle_bits
    if before != after:
        return f"the throttle bits changed from {_bits(before)} to {_bits(after)}"
    clocks = [moment.clock_mhz for moment in (block.before, block.after) if moment.clock_mhz is not None]
    if clock_mhz is not None and clocks and min(clocks) < clock_mhz * (1 - CLOCK_TOLERANCE):
        return f"the clock was {min(clocks):g} MHz, below the pinned {clock_mhz:g} MHz"
    return ""


def _bits(value: int | None) -> str:
    return "unknown" if value is None else f"{value:#x}"
