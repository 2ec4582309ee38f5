"""Joules stand in every form with their uncertainty and how they were come by; what no sensor measured never looks measured."""

from __future__ import annotations

import dataclasses
import io
import json
import re
from collections.abc import Callable

import pytest
from counted_runs import record
from rich.console import Console, RenderableType

from edgepipe.energy import BudgetTerm, Energy, EnergyWindow, TraceCounters, TraceView
from edgepipe.records import RunRecord, Verdict, as_json
from edgepipe.reports.compare import compare
from edgepipe.reports.energy import joules, line
from edgepipe.reports.frame import frame
from edgepipe.reports.render.console import comparison, runs
from edgepipe.reports.render.html import html_report
from edgepipe.reports.render.markdown import markdown_report
from edgepipe.reports.render.traces import trace

MEASURED = Energy(
    energy_uj=1430.668,
    uncertainty_uj_k2=12.3,
    method="ppk2, S0",
    sync_class="S0",
    self_measured=False,
    meter="ppk2 C0FFEE",
    dynamic_uj=1200.0,
    dynamic_uncertainty_uj_k2=15.0,
    power_mw=32.87,
    idle_before_mw=5.0,
    idle_after_mw=5.01,
    windows=tuple(EnergyWindow(start_s=6 + 11 * i, seconds=10.5, inferences=241, energy_uj=345_000.0) for i in range(5)),
    budget=(BudgetTerm(name="gain", share=0.004, source="product specification"), BudgetTerm(name="edges", share=1e-6, source="x")),
    counters=TraceCounters(samples=6_500_000, dropped=0),
    trace=TraceView(period_s=0.11, power_mw=tuple(5.0 if i % 100 < 10 else 32.9 for i in range(600))),
)


def run(energy: Energy | None, *, emulated: bool = False) -> RunRecord:
    return dataclasses.replace(record((600, 300, 100), emulated=emulated), energy=energy)


def on_console(shown: RenderableType) -> str:
    console = Console(width=250, file=io.StringIO(), color_system=None)
    console.print(shown)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def terminal(one: RunRecord) -> str:
    return on_console(runs([one]))


RENDERERS: dict[str, Callable[[RunRecord], str]] = {
    "console": terminal,
    "markdown": lambda one: markdown_report([], [one]),
    "html": lambda one: html_report([], [one]),
}


@pytest.mark.parametrize("form", RENDERERS)
def test_a_measured_energy_stands_with_its_uncertainty_its_method_and_what_is_above_idle(form: str) -> None:
    text = RENDERERS[form](run(MEASURED)).replace("\\", "")
    for part in (
        "1.431 ± 0.012 mJ",
        "1.200 ± 0.015 mJ",
        "k = 2",
        "sync S0",
        "ppk2 C0FFEE",
        "5 windows of 10.5 s",
        "not calibrated",
    ):
        assert part in text, part
    assert "simulated" not in text


@pytest.mark.parametrize("form", RENDERERS)
@pytest.mark.parametrize("unreal", ["simulated", "emulated", "both"])
def test_what_no_sensor_measured_never_looks_measured(form: str, unreal: str) -> None:
    energy = dataclasses.replace(MEASURED, simulated=unreal != "emulated")
    text = RENDERERS[form](run(energy, emulated=unreal != "simulated")).replace("\\", "")
    assert "1.431 ± 0.012 mJ" in text
    for found in re.finditer(r"[^\n]*1\.431 ± 0\.012 mJ[^\n]*\n[^\n]*", text):  # in the same line or, on the page, the next
        assert "simulated" in found[0]


@pytest.mark.parametrize("form", RENDERERS)
def test_an_energy_that_is_not_there_is_not_measured_and_never_0(form: str) -> None:
    reason = "idle drift: 5 mW before the windows and 6 mW after"
    failed = dataclasses.replace(MEASURED, energy_uj=None, uncertainty_uj_k2=None, dynamic_uj=None, reason=reason, windows=())
    text = RENDERERS[form](run(failed))
    assert "not measured" in text and reason in text
    assert "µJ" not in text and "mJ" not in text
    nothing = RENDERERS[form](run(None))
    assert "µJ" not in nothing and "mJ" not in nothing and "0 J" not in nothing


def test_a_page_without_a_meter_says_so_and_one_with_it_what_could_be_told_apart() -> None:
    assert "no power meter took part" in html_report([], [run(None)])
    assert "another figure must differ by 1.2 % for kws.tflite on m4" in html_report([], [run(MEASURED)])
    assert "another figure must differ" not in html_report([], [run(dataclasses.replace(MEASURED, simulated=True))])


def test_every_report_of_two_meters_says_that_their_energies_are_not_held_against_each_other() -> None:
    one, other = run(MEASURED), run(dataclasses.replace(MEASURED, meter="ina226 1-0040", method="ina226, S2"))
    for pair, told in (((one, other), True), ((one, one), False)):
        for text in (markdown_report([], pair), html_report([], pair), on_console(runs(pair))):
            assert ("Energies were measured in 2 ways" in text) is told
            assert not told or "ina226 1-0040 by ina226, S2" in text
    compared = on_console(comparison(compare(one, other)))
    assert "not comparable" in compared and "method: ppk2, S0 and ina226, S2" in compared


def test_loops_that_ran_at_another_pace_than_what_was_timed_are_told() -> None:
    steady = run(dataclasses.replace(MEASURED, windows=(EnergyWindow(start_s=6, seconds=10, inferences=250_000, energy_uj=1.0),)))
    assert "the board had something else to do" not in html_report([], [steady])  # 40 us each, as timed
    slower = dataclasses.replace(MEASURED, windows=(EnergyWindow(start_s=6, seconds=20, inferences=250_000, energy_uj=1.0),))
    assert "kws.tflite took 2.00× the time that was timed beside them" in html_report([], [run(slower)])
    assert "the board had something else to do" not in html_report([], [run(slower, emulated=True)])


def test_the_page_draws_the_trace_with_its_windows_and_lists_every_term() -> None:
    page = html_report([], [run(MEASURED)])
    assert page.count('class="window"') == 5
    assert "window 5: 241 inferences in 10.500 s" in page
    assert page.index("<td>gain<td>0.4 %") < page.index("<td>edges<td>0.0001 %")


def test_power_below_zero_is_drawn_below_zero() -> None:
    view = TraceView(period_s=1.0, power_mw=(-500.0, -250.0))
    swapped = trace(dataclasses.replace(MEASURED, trace=view, windows=()))
    assert swapped is not None
    assert (swapped.highest, swapped.lowest) == ("0 mW", "-500 mW")
    assert swapped.path == "M0 0.0L0.00 88.0L50.00 88.0L50.00 44.0L100.00 44.0L100 0.0Z"
    usual = trace(dataclasses.replace(MEASURED, trace=TraceView(period_s=1.0, power_mw=(100.0, -0.5)), windows=()))
    assert usual is not None
    assert (usual.highest, usual.lowest) == ("100 mW", "")
    assert usual.path.startswith("M0 110.0L0.00 22.0") and usual.path.endswith("L50.00 110.0L100.00 110.0L100 110.0Z")


def test_a_reason_from_outside_is_obeyed_nowhere() -> None:
    failed = dataclasses.replace(MEASURED, energy_uj=None, uncertainty_uj_k2=None, reason="<script>@all\x1b[31m")
    assert "\x1b" not in terminal(run(failed))
    assert "<script>@all" not in html_report([], [run(failed)])
    assert "@all" not in markdown_report([], [run(failed)])


def test_simulated_energies_are_told_apart_in_data_and_comparisons_too() -> None:
    simulated = run(dataclasses.replace(MEASURED, simulated=True), emulated=True)
    assert frame([simulated])["energy_simulated"].tolist() == [True]
    assert frame([run(MEASURED)])["energy_simulated"].tolist() == [False]
    measured = frame([run(MEASURED)]).iloc[0]
    assert (measured["energy_uj"], measured["energy_uncertainty_uj_k2"]) == (MEASURED.energy_uj, MEASURED.uncertainty_uj_k2)
    assert measured["energy_dynamic_uj"] == MEASURED.dynamic_uj
    assert measured["energy_dynamic_uncertainty_uj_k2"] == MEASURED.dynamic_uncertainty_uj_k2
    assert not measured["energy_self_measured"] and measured["energy_reason"] == ""
    assert json.loads(json.dumps(as_json(simulated)))["energy"]["simulated"] is True
    worse = run(dataclasses.replace(MEASURED, simulated=True, energy_uj=2000.0), emulated=True)
    result = compare(simulated, worse)
    told = next(item for item in result.quantities if item.name == "energy")
    assert (told.verdict, told.reason) == (Verdict.INCONCLUSIVE, "simulated: there was no sensor")
    assert "simulated: there was no sensor" in on_console(comparison(result))


@pytest.mark.parametrize(
    ("value", "uncertainty", "told"),
    [
        (85.31, 1.24, "85.3 ± 1.2 µJ"),
        (1430.668, 12.3, "1.431 ± 0.012 mJ"),
        (2.5e6, 1e5, "2.50 ± 0.10 J"),
        (40.6, 16.2, "41 ± 16 µJ"),
        (5.0, 0.0, "5.000 µJ (uncertainty not known)"),
        (None, None, "–"),
    ],
)
def test_an_energy_has_as_many_digits_as_its_uncertainty_leaves(value: float | None, uncertainty: float | None, told: str) -> None:
    assert joules(value, uncertainty) == told


def test_what_a_simulated_meter_gives_as_a_reason_is_marked_too() -> None:
    failed = dataclasses.replace(
        MEASURED, energy_uj=None, uncertainty_uj_k2=None, reason="power from 30 mW to 30 mW", simulated=True
    )
    assert line(run(failed)) == "energy not measured, and the meter simulated: power from 30 mW to 30 mW"
    assert "simulated" not in line(run(dataclasses.replace(failed, simulated=False)))
