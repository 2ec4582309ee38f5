"""Joules of one inference out of a trace, or the reasons why there are none (METHODS §2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import hypot, sqrt

from edgepipe.devices.power.budget import combined, median, spread_of_median, terms
from edgepipe.devices.power.faults import find_faults
from edgepipe.devices.power.measure import Measured, measure
from edgepipe.devices.power.meter import MeterFacts, MeterSettings
from edgepipe.devices.power.plausible import beyond, lost_in_zero
from edgepipe.devices.power.trace import Trace
from edgepipe.devices.power.windows import MLPERF_TINY, Idle, Rules, Stamp, Window, find_windows
from edgepipe.energy import BudgetTerm, Energy, EnergyWindow, SyncClass

IDLE_DRIFT = 0.02  # METHODS §2
RESOLVED = 3  # standard uncertainties below which a dynamic energy is not told (METHODS §2), nor any within those of the zero


def energy_of(
    facts: MeterFacts,
    trace: Trace,
    stamps: Sequence[Stamp],
    idle: Idle,
    *,
    settings: MeterSettings = MeterSettings(),
    marked: bool = False,
    falling: bool = False,
    rules: Rules = MLPERF_TINY,
    calibrated_utc: str | None = None,
) -> Energy:
    """Return the energy of one inference: the median of the windows around `stamps`, with its uncertainty (k = 2).

    `marked`: the board raises the meter's marker in each window, and does not outside, or, where that is `falling`, has it fall for
    a moment at both ends of each. `calibrated_utc` is when the error terms in `facts` were found. Where anything is wrong the
    energy is None, and `reason` tells all of it.

    Raises DataError for a damaged file.
    """
    found = find_windows(facts, trace, stamps, idle, marked=marked, falling=falling, rules=rules)
    faults = find_faults(facts, trace, idle)
    measured = measure(facts, trace, found.windows, idle)
    problems = [*found.problems, *faults.problems(), *_doubts(facts, measured, settings)]
    told = Energy(
        energy_uj=None,
        uncertainty_uj_k2=None,
        method=_method(facts, found.sync, rules),
        sync_class=found.sync,
        self_measured=facts.self_measured,
        meter=facts.full_name,
        simulated=facts.simulated,
        reason="; ".join(problems),
        calibrated_utc=calibrated_utc,
        counters=faults.counters(found.missing),
        trace=measured.view,
    )
    return told if problems else _with_figures(told, facts, found.windows, measured, idle)


def _method(facts: MeterFacts, sync: SyncClass, rules: Rules) -> str:
    other = "" if rules == MLPERF_TINY else f", {rules.windows} windows of {rules.window_s:g} s, {rules.inferences} inferences"
    return f"{facts.name}, {sync}{other}"


def _doubts(facts: MeterFacts, measured: Measured, settings: MeterSettings) -> Iterator[str]:
    """Yield why what was measured is not to be believed."""
    if not measured.is_whole:
        yield "the trace does not cover the windows and the idle time (the meter began too late, or ended too early)"
        return
    before_w, after_w = measured.before.watts, measured.after.watts
    apart = abs(after_w - before_w) / max(abs(before_w), abs(after_w), 1e-15)
    if apart > IDLE_DRIFT:
        yield (
            f"idle drift: {_shown(before_w)} before the windows and {_shown(after_w)} after, {100 * apart:.2g} % apart (the board"
            " was not in the same state, or still warming up: let it rest and measure again)"
        )
    powers = [before_w, after_w, *measured.powers]
    if measured.powers:
        yield from lost_in_zero(min(measured.powers), measured.volts, facts.errors)
    yield from beyond(powers, settings)


def _with_figures(told: Energy, facts: MeterFacts, windows: Sequence[Window], measured: Measured, idle: Idle) -> Energy:
    energies = [joules / window.inferences * 1e6 for joules, window in zip(measured.joules, windows, strict=True)]
    budget = terms(facts, windows, measured.joules, measured.volts, energies)
    energy_uj = median(energies)
    dynamic_uj, dynamic_u = _dynamic(windows, measured, budget, energies)
    resolved = dynamic_uj >= RESOLVED * dynamic_u
    return replace(
        told,
        energy_uj=energy_uj,
        uncertainty_uj_k2=2 * combined(budget) * energy_uj,
        dynamic_uj=dynamic_uj if resolved else None,
        dynamic_uncertainty_uj_k2=2 * dynamic_u if resolved else None,
        power_mw=1e3 * median(measured.powers),
        idle_before_mw=1e3 * measured.before.watts,
        idle_after_mw=1e3 * measured.after.watts,
        windows=tuple(
            EnergyWindow(
                start_s=window.start_s - idle.before.start_s,
                seconds=window.seconds,
                inferences=window.inferences,
                energy_uj=1e6 * joules,
            )
            for window, joules in zip(windows, measured.joules, strict=True)
        ),
        budget=budget,
    )


def _dynamic(
    windows: Sequence[Window], measured: Measured, budget: Sequence[BudgetTerm], energies: Sequence[float]
) -> tuple[float, float]:
    """Return the energy of one inference above idle, in microjoules, with its standard uncertainty.

    What is wrong by a share is so of the difference too. The offset stays whole, since a meter may take another range when idle.
    The idle power during the windows is known as well as before and after, and to somewhere between the two, all equally likely.
    """
    before, after = measured.before, measured.after
    slope = (after.watts - before.watts) / (after.middle_s - before.middle_s)
    above = list[float]()
    for window, joules in zip(windows, measured.joules, strict=True):
        middle_s = (window.start_s + window.end_s) / 2
        idle_w = before.watts + slope * (middle_s - before.middle_s)
        above.append(1e6 * (joules - idle_w * window.seconds) / window.inferences)
    idle_u = hypot(before.uncertainty_w / 2, after.uncertainty_w / 2, (after.watts - before.watts) / (2 * sqrt(3)))
    longest_s = max(window.seconds / window.inferences for window in windows)
    shares = {term.name: term.share for term in budget}
    dynamic_uj = median(above)
    common = hypot(*(shares[name] for name in ("gain", "shunt", "voltage", "edges", "clock")))
    offset_uj = shares["offset"] * median(energies)
    return dynamic_uj, hypot(common * dynamic_uj, offset_uj, 1e6 * idle_u * longest_s, spread_of_median(above))


def _shown(watts: float) -> str:
    return f"{watts * 1e3:.4g} mW"
