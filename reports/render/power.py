"""What a power meter can tell, its calibration, and published traces, as tables of labels and values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgepipe.reports import words
from edgepipe.reports.energy import milliwatts
from edgepipe.reports.render.sheets import Sheet

Plain = Mapping[str, Any]


def checked(found: Plain, change_percent: float | None) -> Sheet:
    """Return what a check found; `change_percent` is what the user cares to see."""
    facts, errors = found["facts"], found["facts"]["errors"]
    smallest = 100 * found["smallest_change"]
    rows = [
        ("meter", f"{facts['name']} {facts['serial']}" + (", simulated: there is no sensor" if facts["simulated"] else "")),
        ("power now", f"{milliwatts(found['power_mw'])}; it wanders by {_percent(found['wander'])} from window to window"),
        ("samples", f"one every {words.time(1e9 * facts['period_s'])}, its time within {words.time(1e9 * facts['jitter_s'])}"),
        ("lost samples", "would be noticed" if facts["drops_detectable"] else "would not be noticed: never better than S2"),
        ("synchronisation", f"{found['sync']}" + (", by its marker" if found["sync"] == "S0" else "")),
        (
            "errors, k = 1",
            f"gain {_percent(errors['gain'])}, shunt {_percent(errors['shunt'])}, voltage {_percent(errors['volt'])}, "
            f"offset {1e6 * errors['offset_a']:.3g} µA",
        ),
        ("known from", errors["source"]),
        ("calibrated", words.moment(found["calibrated_utc"]) if found["calibrated_utc"] else "no: edgepipe power calibrate"),
        ("an energy is right to", f"{_percent(found['absolute'])} (k = 2)"),
        ("two models differ visibly by", f"{smallest:.3g} % and more, on this meter in one session"),
    ]
    if facts["self_measured"]:
        rows.append(("beware", "it is read on the board itself, which takes power of its own"))
    rows += [("beware", f"no energy comes of this: {problem}") for problem in found["problems"]]
    if change_percent is not None and not found["problems"]:
        sees = "would be seen" if smallest <= change_percent else "would not be seen: take a better meter, or longer windows"
        rows.append((f"a change of {change_percent:g} %", sees))
    return Sheet(title=f"Power of {found['device']}", rows=tuple(rows))


def calibrated(found: Plain, file: str) -> Sheet:
    """Return a calibration."""
    gain = (
        "not known yet: edgepipe power calibrate … --amps"
        if found["gain_uncertainty"] is None
        else (f"{found['gain']:.6g}, within {_percent(found['gain_uncertainty'])} (k = 1), by {found['load']}")
    )
    rows = (
        ("meter", f"{found['name']} {found['serial']}"),
        ("offset", f"{1e6 * found['offset_a']:.4g} µA, within {1e6 * (found['offset_uncertainty_a'] or 0):.2g} µA (k = 1)"),
        ("gain", gain),
        ("until", words.moment(found["expires_utc"])),
        ("kept in", file),
    )
    return Sheet(title="Calibration", rows=rows)


def imported(found: Plain) -> Sheet:
    """Return what a published trace says."""
    energy = found["energy"]
    rows = [
        (
            f"window {number}",
            f"{one['seconds']:.3f} s, {one['inferences']:,} inferences, {one['energy_uj']:,.3f} µJ, "
            f"{one['energy_uj'] / one['inferences']:,.3f} µJ each",
        )
        for number, one in enumerate(energy["windows"], 1)
    ]
    value = (
        words.DASH if energy["energy_uj"] is None else f"{energy['energy_uj']:,.3f} µJ an inference; nobody stated its uncertainty"
    )
    rows += [("median", value)]
    rows += [("not by the rules", energy["reason"])] if energy["reason"] else []
    return Sheet(title=f"{found['name']}, MLPerf Tiny {found['version']}", rows=tuple(rows))


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
