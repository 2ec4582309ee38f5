"""What a microcontroller alone tells of a run: where its ticks went, and how full its memory is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgepipe.records import RunRecord
from edgepipe.reports import summary, words

# QEMU's -icount shift=5: an instruction takes 32 ns of virtual time (docs: "TCG Instruction Counting").
EMULATED_INSTRUCTION_NS = 32
MOST_STEPS = 24  # shown one by one; the rest is summed


@dataclass(frozen=True, kw_only=True)
class Step:
    """An operator's part of one inference; `share` is that of all operators together."""

    layer: str
    op: str
    macs: int
    ticks: int
    share: float

    @property
    def name(self) -> str:
        """The Keras layer, or the operator where it came from none."""
        return self.layer or self.op.lower()

    @property
    def ticks_per_mac(self) -> float | None:
        """What a multiply-accumulate takes; None for an operator without any."""
        return self.ticks / self.macs if self.macs else None


@dataclass(frozen=True, kw_only=True)
class Room:
    """A part of a board's memory: what the model takes of it; `host_bytes` is what this machine would have taken in its place."""

    name: str
    used_bytes: int
    room_bytes: int
    host_bytes: int | None = None

    @property
    def share(self) -> float:
        """From 0, empty, to 1, full."""
        return self.used_bytes / self.room_bytes if self.room_bytes else 1.0


def ticks(run: RunRecord) -> int | None:
    """Return the ticks of one inference: the smallest of the good blocks' medians; None for a board that does not count."""
    return min((block.ticks for block in summary.good_blocks(run) if block.ticks is not None), default=None)


def steps(run: RunRecord) -> tuple[Step, ...]:
    """Return every operator of the last good block in its order; none where they were not counted, or the file is not known."""
    counted = next((block.step_ticks for block in reversed(summary.good_blocks(run)) if block.step_ticks), ())
    if run.facts is None or len(counted) != len(run.facts.ops):
        return ()
    whole = sum(counted) or 1
    return tuple(
        Step(layer=op.layer, op=op.op, macs=op.macs, ticks=count, share=count / whole)
        for op, count in zip(run.facts.ops, counted, strict=True)
    )


def slowest(found: Sequence[Step], most: int = MOST_STEPS) -> tuple[tuple[Step, ...], Step | None]:
    """Return the `most` slowest in their order, and the others as one; None where there are no others."""
    kept = sorted(range(len(found)), key=lambda index: -found[index].ticks)[:most]
    others = [step for index, step in enumerate(found) if index not in kept]
    rest = Step(
        layer=f"{len(others)} others",
        op="",
        macs=sum(step.macs for step in others),
        ticks=sum(step.ticks for step in others),
        share=sum(step.share for step in others),
    )
    return tuple(found[index] for index in sorted(kept)), rest if others else None


def rooms(run: RunRecord) -> tuple[Room, ...]:
    """Return the parts of the board's memory that are known."""
    memory = run.memory
    if memory is None:
        return ()
    found = (
        ("RAM: model", run.model_bytes, memory.model_room_bytes, None),
        ("RAM: arena", memory.arena_bytes, memory.arena_room_bytes, memory.host_arena_bytes),
        ("flash: slot", run.model_bytes, memory.slot_room_bytes, None),
    )
    return tuple(
        Room(name=name, used_bytes=used, room_bytes=room, host_bytes=host)
        for name, used, room, host in found
        if used is not None and room is not None
    )


def count_words(run: RunRecord) -> str:
    """'6,158,275 ticks of 25 MHz, 7,697,844 instructions of an emulated core'; "" for a board that does not count."""
    count, tick_hz = ticks(run), run.device.tick_hz
    if count is None or tick_hz is None:
        return ""
    told = f"{words.whole(count)} ticks of {tick_hz / 1e6:g} MHz"
    if run.device.counts_instructions:
        told += f", {words.whole(count * 1e9 / (tick_hz * EMULATED_INSTRUCTION_NS))} instructions of an emulated core"
    return told


def room_words(room: Room) -> str:
    """'RAM: arena 20,536 of 262,144 bytes, 8 % (TFLite Micro on the host: 24,272)'."""
    host = "" if room.host_bytes is None else f" (TFLite Micro on the host: {words.whole(room.host_bytes)})"
    used = f"{words.whole(room.used_bytes)} of {words.whole(room.room_bytes)} bytes"
    return f"{room.name} {used}, {words.percent(room.share, 0)}{host}"


def slowest_words(run: RunRecord) -> str:
    """'most ticks: conv2d 20 %, conv2d_1 12 %, conv2d_2 12 %'; "" where operators were not counted."""
    found = sorted(steps(run), key=lambda step: -step.ticks)[:3]
    named = ", ".join(f"{step.name} {words.percent(step.share, 0)}" for step in found)
    return f"most ticks: {named}" if named else ""


def lines(run: RunRecord) -> tuple[str, ...]:
    """Return what there is to say in words of its count and its memory."""
    said = (count_words(run), "; ".join(room_words(room) for room in rooms(run)))
    return tuple(line for line in said if line)
