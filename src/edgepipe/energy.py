"""Joules of one inference, with how they were come by: what a sceptic needs to check them.

Frozen, keyword-only dataclasses made of JSON's types, as in `edgepipe.records`, which carry them further. The method is that of the
design's page on energy: marked windows, idle before and after, every term of the uncertainty listed, k = 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class SyncClass(StrEnum):
    """How the windows of a trace were found, from the best to the coarsest."""

    S0 = "S0"  # a marker sampled with the current: right to one sample
    S1 = "S1"  # two loggers with a common clock: right to 1 ms
    S2 = "S2"  # time stamps of the host around a long loop
    S3 = "S3"  # an accumulator on the sensor's chip


@dataclass(frozen=True, kw_only=True)
class BudgetTerm:
    """One cause of uncertainty: `share` of the energy, k = 1; `source` is where it is known from."""

    name: str
    share: float
    source: str


@dataclass(frozen=True, kw_only=True)
class EnergyWindow:
    """A marked stretch of the trace, `start_s` from its beginning; `energy_uj` is that of all its inferences together."""

    start_s: float
    seconds: float
    inferences: int
    energy_uj: float


@dataclass(frozen=True, kw_only=True)
class TraceCounters:
    """What makes a trace invalid, counted; `dropped` None: this meter cannot tell."""

    samples: int = 0
    dropped: int | None = None
    saturated: int = 0
    negative: int = 0
    resets: int = 0
    markers_missing: int = 0


@dataclass(frozen=True, kw_only=True)
class TraceView:
    """A trace to be looked at: the mean power of equal stretches of `period_s` from its beginning on, in milliwatts.

    `file_start_s` is when it begins by the times in the trace's file, so that whoever doubts an energy can sum it up anew.
    """

    period_s: float
    power_mw: tuple[float, ...]
    file_start_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Energy:
    """Energy of one inference in microjoules: the median of `windows`, with its uncertainty (k = 2).

    `dynamic_uj` is what is left without the idle power, None where it is not known or below three standard uncertainties. None in
    `energy_uj`: not measured, or invalid, and `reason` says why; the run's latency counts nevertheless. `simulated`: there was no
    sensor; `self_measured`: reading it loaded the board. `method` must be the same for two energies to be compared.
    """

    energy_uj: float | None
    uncertainty_uj_k2: float | None
    method: str
    sync_class: str
    self_measured: bool
    meter: str = ""
    simulated: bool = False
    reason: str = ""
    dynamic_uj: float | None = None
    dynamic_uncertainty_uj_k2: float | None = None
    power_mw: float | None = None
    idle_before_mw: float | None = None
    idle_after_mw: float | None = None
    calibrated_utc: str | None = None
    windows: tuple[EnergyWindow, ...] = ()
    budget: tuple[BudgetTerm, ...] = ()
    counters: TraceCounters = TraceCounters()
    trace: TraceView | None = None
