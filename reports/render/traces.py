"""The power of a board over time as a line, with the windows that were measured: geometry in percent of the chart's width."""

from __future__ import annotations

from dataclasses import dataclass

from edgepipe.energy import Energy
from edgepipe.reports import energy as energies
from edgepipe.reports.render.charts import Scale, Tick, ticks

HEIGHT, HEADROOM = 110, 1.25


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A measured window: where it stands, and what its tooltip says."""

    x: float
    width: float
    tip: str


@dataclass(frozen=True, kw_only=True)
class TraceChart:
    """A stepped line of `path` in 0..100 by 0..HEIGHT, from zero watts at the bottom to `highest` at the top."""

    ticks: tuple[Tick, ...]
    path: str
    marks: tuple[Mark, ...]
    highest: str


def trace(energy: Energy) -> TraceChart | None:
    """Return the trace of an energy; None where none was kept."""
    if energy.trace is None or not energy.trace.power_mw:
        return None
    power, period_s = energy.trace.power_mw, energy.trace.period_s
    highest_mw = max(*power, 1e-9)
    scale = Scale(low=0, high=len(power) * period_s)
    heights = [round(HEIGHT * (1 - max(0.0, mw) / (HEADROOM * highest_mw)), 1) for mw in power]
    step = 100 / len(power)
    corners = "".join(f"L{index * step:.2f} {y}L{(index + 1) * step:.2f} {y}" for index, y in enumerate(heights))
    return TraceChart(
        ticks=ticks(scale, lambda seconds: f"{seconds:g} s" if seconds else "0"),
        path=f"M0 {HEIGHT}{corners}L100 {HEIGHT}Z",
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
    )
