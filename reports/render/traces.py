"""The power of a board over time as a line, with the windows that were measured: geometry in percent of the chart's width."""

from __future__ import annotations

from dataclasses import dataclass

from edgepipe.energy import Energy
from edgepipe.reports import energy as energies
from edgepipe.reports.render.charts import Scale, Tick, ticks

HEIGHT, HEADROOM = 110, 1.25
NOISE = 0.01  # of the highest power: what is less far below zero is drawn as zero


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A measured window: where it stands, and what its tooltip says."""

    x: float
    width: float
    tip: str


@dataclass(frozen=True, kw_only=True)
class TraceChart:
    """A stepped line of `path` in 0..100 by 0..HEIGHT, from zero watts, or `lowest` below it, up to `highest`.

    `lowest` is "" where nothing is below zero: leads that are swapped are seen at once.
    """

    ticks: tuple[Tick, ...]
    path: str
    marks: tuple[Mark, ...]
    highest: str
    lowest: str


def trace(energy: Energy) -> TraceChart | None:
    """Return the trace of an energy; None where none was kept."""
    if energy.trace is None or not energy.trace.power_mw:
        return None
    power, period_s = energy.trace.power_mw, energy.trace.period_s
    highest_mw, lowest_mw = max(0.0, *power), min(0.0, *power)
    lowest_mw = 0.0 if -lowest_mw <= NOISE * highest_mw else lowest_mw
    high_mw, low_mw = HEADROOM * highest_mw, HEADROOM * lowest_mw
    span_mw = (high_mw - low_mw) or 1.0
    zero = round(HEIGHT * (1 + low_mw / span_mw), 1)
    scale = Scale(low=0, high=len(power) * period_s)
    heights = [round(HEIGHT * (high_mw - max(low_mw, mw)) / span_mw, 1) for mw in power]
    step = 100 / len(power)
    corners = "".join(f"L{index * step:.2f} {y}L{(index + 1) * step:.2f} {y}" for index, y in enumerate(heights))
    return TraceChart(
        ticks=ticks(scale, lambda seconds: f"{seconds:g} s" if seconds else "0"),
        path=f"M0 {zero}{corners}L100 {zero}Z",
        marks=tuple(
            Mark(
                x=scale.x(window.start_s),
                width=round(scale.x(window.start_s + window.seconds) - scale.x(window.start_s), 3),
                tip=f"window {number}: {window.inferences:,} inferences in {window.seconds:.3f} s, "
                f"{energies.milliwatts(window.energy_uj / window.seconds / 1e3)} on average",
            )
            for number, window in enumerate(energy.windows, 1)
        ),
        highest=energies.milliwatts(highest_mw),
        lowest=energies.milliwatts(lowest_mw) if lowest_mw else "",
    )
