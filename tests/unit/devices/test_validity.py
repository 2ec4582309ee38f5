"""Blocks under changed conditions do not count, and too many of those end the run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgepipe.devices.validity import judge
from edgepipe.records import Block, RunOutcome, Snapshot

MODEL = "a" * 64
FINE = Snapshot(clock_mhz=1500.0, throttle_bits=0)


def blocks(count: int) -> list[Block]:
    return [
        Block(index=index, outcome=RunOutcome.OK, output_sha256="out", artefact_sha256=MODEL, before=FINE, after=FINE)
        for index in range(count)
    ]


FAULTS = {
    "it ran another file": {"artefact_sha256": "b" * 64},
    "it computed something else": {"output_sha256": "other"},
    "throttle bits changed from 0x0 to 0x50005": {"after": replace(FINE, throttle_bits=0x50005)},
    "throttle bits changed from 0x0 to unknown": {"after": replace(FINE, throttle_bits=None)},
    "the clock was 600 MHz, below the pinned 1500 MHz": {"after": replace(FINE, clock_mhz=600.0)},
}


@pytest.mark.parametrize(("reason", "change"), FAULTS.items())
def test_one_bad_block_in_five_is_dropped_and_says_why(reason: str, change: dict[str, object]) -> None:
    taken = blocks(5)
    taken[2] = replace(taken[2], **change)  # type: ignore[arg-type]
    judgement = judge(taken, MODEL, clock_mhz=1500.0)
    assert judgement.outcome is RunOutcome.OK
    assert [block.outcome for block in judgement.blocks].count(RunOutcome.INVALID) == 1
    assert reason in judgement.blocks[2].reason


@pytest.mark.parametrize(("reason", "change"), FAULTS.items())
def test_two_bad_blocks_in_five_make_the_run_invalid(reason: str, change: dict[str, object]) -> None:
    taken = [replace(block, **change) if block.index < 2 else block for block in blocks(5)]  # type: ignore[arg-type]
    judgement = judge(taken, MODEL, clock_mhz=1500.0)
    assert judgement.outcome is RunOutcome.INVALID
    assert "2 of 5 blocks" in judgement.reason
    assert reason in judgement.reason


def test_a_clock_counts_only_where_it_is_pinned() -> None:
    taken = [replace(block, after=replace(FINE, clock_mhz=600.0)) for block in blocks(5)]
    assert judge(taken, MODEL).outcome is RunOutcome.OK


def test_unknown_conditions_do_not_make_a_block_invalid() -> None:
    taken = [replace(block, before=Snapshot(), after=Snapshot()) for block in blocks(5)]
    assert judge(taken, MODEL, clock_mhz=1500.0).outcome is RunOutcome.OK


def test_a_rejected_block_is_the_outcome_of_the_run() -> None:
    taken = [*blocks(2), Block(index=2, outcome=RunOutcome.REJECTED, reason="it crashed with SIGSEGV")]
    judgement = judge(taken, MODEL)
    assert judgement.outcome is RunOutcome.REJECTED
    assert judgement.reason == "block 3: it crashed with SIGSEGV"
