"""A microcontroller's run as bars: the ticks of each operator on one axis, and each part of its memory as a track that fills."""

from __future__ import annotations

from dataclasses import dataclass

from edgepipe.records import RunRecord
from edgepipe.reports import chip, words
from edgepipe.reports.render.charts import Chart, Row, Scale, ticks


def layers(run: RunRecord) -> Chart | None:
    """Return a bar for each operator in the graph's order, from zero; None where they were not counted."""
    shown, rest = chip.slowest(chip.steps(run))
    if not shown:
        return None
    rows = [*shown, rest] if rest else list(shown)
    scale = Scale(low=0, high=max(step.ticks for step in rows) * 1.001)
    return Chart(
        rows=tuple(_bar(step, run, scale) for step in rows), ticks=ticks(scale, lambda value: words.count(value) if value else "0")
    )


def _bar(step: chip.Step, run: RunRecord, scale: Scale) -> Row:
    kind = "reference" if step.op == "" else "emulated" if run.device.emulated else ""
    tip = f"{step.name} ({step.op}): {words.whole(step.ticks)} ticks, {words.percent(step.share)} of all"
    if step.ticks_per_mac is not None:
        tip += f"; {words.count(step.macs)} multiply-accumulates, {words.digits(step.ticks_per_mac)} ticks each"
    if run.device.counts_instructions:
        tip += "; an emulated core's, counted by instructions"
    return Row(
        name=step.name,
        value=f"{words.count(step.ticks)} · {words.percent(step.share, 0)}",
        tip=tip,
        kind=kind,
        xs=(scale.x(step.ticks),),
    )


@dataclass(frozen=True, kw_only=True)
class Track:
    """A part of a memory: `fill` percent of it are used; `host` is where this machine would have come to, None: not known."""

    room: chip.Room
    fill: float
    host: float | None
    words: str


def tracks(run: RunRecord) -> tuple[Track, ...]:
    """Return a track for each part of the memory."""
    return tuple(
        Track(
            room=room,
            fill=round(min(100.0, 100 * room.share), 2),
            host=None if room.host_bytes is None else round(min(100.0, 100 * room.host_bytes / room.room_bytes), 2),
            words=chip.room_words(room),
        )
        for room in chip.rooms(run)
    )
