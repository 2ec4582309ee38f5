"""The energy of a run in words: never a figure without its uncertainty, and never a simulated one that looks measured."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from edgepipe.energy import Energy, TraceCounters
from edgepipe.records import RunRecord
from edgepipe.reports import summary, words

NOT_MEASURED = "not measured"
SIMULATED = "simulated"
PACE = 1.3  # loops have a little to do beside the inference; more than this is another state of the board


def is_real(run: RunRecord) -> bool:
    """Whether a sensor measured the board itself: not a simulated meter, and not an emulated board."""
    return run.energy is not None and not run.energy.simulated and not run.device.emulated


def way(energy: Energy) -> dict[str, object]:
    """Return what must be the same for two energies to be compared, by its name."""
    return {
        "meter": energy.meter,
        "method": energy.method,
        "synchronisation": energy.sync_class,
        "read on the board itself": energy.self_measured,
        "simulated": energy.simulated,
    }


def mixed(runs: Sequence[RunRecord]) -> str:
    """Say that the energies of these runs were not all measured in one way; "" where they were."""
    ways = {tuple(way(run.energy).values()): run.energy for run in runs if run.energy and run.energy.energy_uj is not None}
    if len(ways) < 2:
        return ""
    listed = "; ".join(f"{words.visible(one.meter)} by {words.visible(one.method)}" for one in ways.values())
    return f"Energies were measured in {len(ways)} ways ({listed}): only those of one way can be held against each other."


def joules(value_uj: float | None, uncertainty_uj_k2: float | None) -> str:
    """'85.3 ± 1.2 µJ' or '1.43 ± 0.02 mJ': as many digits as the uncertainty leaves; '–' for None.

    One of nothing is no knowledge: it is not told as if it were.
    """
    if value_uj is None or uncertainty_uj_k2 is None:
        return words.DASH
    size, unit = (1e6, "J") if abs(value_uj) >= 1e6 else (1e3, "mJ") if abs(value_uj) >= 1e3 else (1.0, "µJ")
    value, uncertainty = value_uj / size, uncertainty_uj_k2 / size
    if uncertainty <= 0:
        return f"{value:,.3f} {unit} (uncertainty not known)"
    places = min(6, max(0, 1 - math.floor(math.log10(uncertainty))))
    return f"{value:,.{places}f} ± {uncertainty:,.{places}f} {unit}"


def milliwatts(value: float | None) -> str:
    """'120 mW', '4.12 W'; '–' for None."""
    if value is None:
        return words.DASH
    return f"{words.digits(value / 1000)} W" if abs(value) >= 1000 else f"{words.digits(value)} mW"


def line(run: RunRecord) -> str:
    """Say in one line what an inference took, or why that is not known; "" for a run that nobody measured the energy of."""
    energy = run.energy
    if energy is None:
        return ""
    if energy.energy_uj is None:
        made = f", and the meter {SIMULATED}" if energy.simulated else ""
        return f"energy {NOT_MEASURED}{made}: {words.visible(' '.join(energy.reason.split()))}"
    told = f"{joules(energy.energy_uj, energy.uncertainty_uj_k2)} an inference"
    if energy.dynamic_uj is not None:
        told += f", {joules(energy.dynamic_uj, energy.dynamic_uncertainty_uj_k2)} of it above idle"
    mark = "" if is_real(run) else f"{SIMULATED}, no sensor measured this: "
    return f"energy {mark}{told} (k = 2; {', '.join(how(energy))})"


def how(energy: Energy) -> tuple[str, ...]:
    """Return how an energy was come by, in a few words each."""
    windows = energy.windows
    said = [words.visible(energy.meter), f"sync {energy.sync_class}"]
    if windows:
        said.append(f"{len(windows)} windows of {min(window.seconds for window in windows):.1f} s and more")
    if energy.self_measured:
        said.append("read on the board itself, which takes power of its own")
    said.append(f"calibrated {words.moment(energy.calibrated_utc)}" if energy.calibrated_utc else "not calibrated")
    return tuple(said)


def budget(energy: Energy) -> tuple[tuple[str, str, str], ...]:
    """Return (cause, share of the energy at k = 1, source) of every term, the largest first."""
    found = sorted(energy.budget, key=lambda term: -term.share)
    return tuple((term.name, f"{100 * term.share:.3g} %", term.source) for term in found)


def counters(found: TraceCounters) -> str:
    """'66,737 samples, none lost; 0 saturated, 0 negative, 0 resets'."""
    lost = "whether any was lost is not known" if found.dropped is None else f"{words.whole(found.dropped)} lost"
    rest = f"{found.saturated} saturated, {found.negative} negative, {found.resets} resets, {found.markers_missing} markers missing"
    return f"{words.whole(found.samples)} samples, {lost}; {rest}"


def paces(runs: Sequence[RunRecord]) -> tuple[tuple[RunRecord, float], ...]:
    """Return each run whose inferences took PACE times as long under the meter as when they were timed, or as short, and the ratio.

    Emulated boards are left out: their times are not those of this machine's clock.
    """
    found = list[tuple[RunRecord, float]]()
    for run in runs:
        timed_ns, windows = summary.of(run).median_ns, run.energy.windows if run.energy else ()
        if timed_ns and windows and not run.device.emulated:
            ratio = statistics.median(1e9 * window.seconds / window.inferences for window in windows) / timed_ns
            found += [(run, ratio)] if not 1 / PACE <= ratio <= PACE else []
    return tuple(found)


def smallest_change(runs: Sequence[RunRecord]) -> tuple[tuple[RunRecord, float], ...]:
    """Return for each measured energy the share by which another had to differ to be told apart: both uncertainties, k = 2."""
    found = ((run, run.energy) for run in runs if run.energy and is_real(run))
    return tuple(
        (run, math.sqrt(2) * energy.uncertainty_uj_k2 / energy.energy_uj)
        for run, energy in found
        if energy.energy_uj and energy.uncertainty_uj_k2
    )
