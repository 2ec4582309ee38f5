"""The energy of one inference: right to the last digit where nothing is wrong, and none at all where anything is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from known_power import COUNTING, EXACT, KnownBoard

from edgepipe.devices.power.integral import integrate
from edgepipe.devices.power.meter import MeterSettings, Samples
from edgepipe.devices.power.trace import HeldTrace
from edgepipe.devices.power.windows import Rules, Span

# 4 V * 1 A for 12 s and 100 inferences, and a quarter of that when idle.
ENERGY_UJ, DYNAMIC_UJ = 480_000.0, 360_000.0


def test_a_known_board_gets_its_energy() -> None:
    energy = KnownBoard().energy()
    assert energy.reason == ""
    assert energy.energy_uj == pytest.approx(ENERGY_UJ, rel=1e-9)
    assert energy.dynamic_uj == pytest.approx(DYNAMIC_UJ, rel=1e-9)
    assert (energy.power_mw, energy.idle_before_mw, energy.idle_after_mw) == pytest.approx((4000.0, 1000.0, 1000.0), rel=1e-9)
    assert energy.sync_class == "S0"
    assert [window.inferences for window in energy.windows] == [100] * 5
    assert energy.windows[0].start_s == pytest.approx(6.5, abs=0.01)


def test_the_picture_shows_the_same_energy_as_the_trace() -> None:
    board = KnownBoard()
    view = board.energy().trace
    assert view is not None
    seconds = board.idle.after.end_s - board.idle.before.start_s
    working_s = 5 * 12.01
    assert view.period_s * len(view.power_mw) == pytest.approx(seconds)
    assert sum(view.power_mw) * view.period_s == pytest.approx(1e3 * (4.0 * working_s + 1.0 * (seconds - working_s)), rel=1e-6)


@pytest.mark.parametrize("late_s", [0.0, 0.001, 0.0037, 0.0149])
def test_a_sample_that_an_edge_cuts_counts_with_its_share(late_s: float) -> None:
    board = KnownBoard(facts=replace(COUNTING, has_marker=False))
    first, *others = board.stamps
    board.stamps = [replace(first, start_s=first.start_s + late_s), *others]
    energy = board.energy()
    assert energy.windows[0].energy_uj == pytest.approx(4e6 * (12 - late_s), rel=1e-9)


def test_energy_between_any_two_moments_is_that_of_the_samples_between_them() -> None:
    random = np.random.default_rng(7)
    time_s = np.cumsum(random.uniform(0.5e-3, 1.5e-3, 1000))
    volts, amps = random.uniform(3, 5, 1000), random.uniform(0, 1, 1000)
    pieces = [Samples(time_s=time_s[at : at + 77], volts=volts[at : at + 77], amps=amps[at : at + 77]) for at in range(0, 1000, 77)]
    moments = np.sort(random.uniform(time_s[0], time_s[-1], 50))
    whole = integrate(replace(COUNTING, period_s=1e-3), HeldTrace(pieces), moments)
    for index in range(49):
        low, high = moments[index], moments[index + 1]
        overlap_s = np.clip(np.minimum(time_s[1:], high) - np.maximum(time_s[:-1], low), 0, None)
        assert whole.joules[index + 1] - whole.joules[index] == pytest.approx(float(np.sum(overlap_s * (volts * amps)[1:])))


def test_pieces_make_no_difference() -> None:
    board = KnownBoard()
    whole = HeldTrace([Samples(time_s=board.time_s, volts=np.full(board.time_s.size, 4.0), amps=board.amps, marker=board.marker)])
    moments = np.array([1003.333, 1020.001, 1069.9])
    parts = integrate(board.facts, board.trace(), moments).joules
    assert np.diff(parts) == pytest.approx(np.diff(integrate(board.facts, whole, moments).joules), rel=1e-12)


def test_a_trace_covers_all_from_the_period_before_its_first_sample_to_its_last() -> None:
    board = KnownBoard(began_s=1024.0, facts=replace(COUNTING, period_s=1 / 128))
    begin, end = 1024.0 - 1 / 128, float(board.time_s[-1])
    joules = integrate(board.facts, board.trace(), np.array([begin, begin, end, end, begin - 1e-6, end + 1e-6])).joules
    assert joules[:2].tolist() == [0, 0]
    assert joules[2] == joules[3] == pytest.approx(float(np.sum(4 * board.amps / 128)))
    assert np.isnan(joules[4:]).all()


def test_of_five_windows_the_median_counts() -> None:
    board = KnownBoard()
    board.amps[board.within(7.005, 19.005)] = 1.5
    board.amps[board.within(20.005, 32.005)] = 0.9
    energy = board.energy()
    assert energy.energy_uj == pytest.approx(ENERGY_UJ, rel=1e-6)
    assert energy.windows[0].energy_uj == pytest.approx(1.5 * 100 * ENERGY_UJ, rel=1e-3)


def test_every_term_of_the_budget_is_listed_and_they_add_up() -> None:
    errors = replace(EXACT, gain=0.004, shunt=0.003, volt=0.002, offset_a=0.001, source="a datasheet")
    facts = replace(COUNTING, errors=errors, clock_error=0.0005, follow_clock=False, has_marker=False)
    board = KnownBoard(facts=facts, stamp_s=0.006)
    energy = board.energy()
    shares = {term.name: term.share for term in energy.budget}
    assert list(shares) == ["gain", "shunt", "voltage", "offset", "edges", "clock", "windows"]
    assert (shares["gain"], shares["shunt"], shares["voltage"], shares["clock"]) == (0.004, 0.003, 0.002, 0.0005)
    assert shares["offset"] == pytest.approx(0.001, rel=1e-9)  # 1 mA of 1 A
    last_s = board.stamps[-1].end_s - board.began_s
    edge_s = np.sqrt(0.006**2 + (0.01 / np.sqrt(3)) ** 2 + (0.0005 * last_s) ** 2)
    assert shares["edges"] == pytest.approx(np.sqrt(2) * edge_s / 12, rel=1e-6)
    total = np.sqrt(sum(share**2 for share in shares.values()))
    assert energy.uncertainty_uj_k2 == pytest.approx(2 * total * ENERGY_UJ, rel=1e-6)
    assert all(term.source for term in energy.budget)


def test_dynamic_energy_is_withheld_where_it_is_no_more_than_noise() -> None:
    errors = replace(EXACT, offset_a=0.1)
    near = KnownBoard(facts=replace(COUNTING, errors=errors), active_a=0.5).energy()
    assert near.dynamic_uj is None
    assert near.dynamic_uncertainty_uj_k2 is None
    assert near.energy_uj == pytest.approx(240_000, rel=1e-6)
    assert KnownBoard(facts=replace(COUNTING, errors=errors), active_a=0.7).energy().dynamic_uj is not None


def test_idle_power_that_rises_a_little_is_taken_as_it_was_during_each_window() -> None:
    board = KnownBoard()
    board.amps = board.amps + 0.002 * (board.time_s - board.began_s) / 80
    energy = board.energy()
    assert energy.dynamic_uj == pytest.approx(DYNAMIC_UJ, rel=1e-5)
    assert energy.dynamic_uncertainty_uj_k2 is not None
    assert energy.dynamic_uncertainty_uj_k2 > 2 * 120_000 * 0.002 * 4 * 0.2  # what it might have been meanwhile


def spoil_idle(board: KnownBoard) -> None:
    board.amps[board.within(60, 90)] *= np.where(board.marker[board.within(60, 90)], 1.0, 1.03)


def spoil_negative(board: KnownBoard) -> None:
    board.amps[board.within(30, 30.02)] = -0.1


def spoil_leads(board: KnownBoard) -> None:
    board.amps *= -1


def spoil_cable(board: KnownBoard) -> None:
    board.amps *= 0


def spoil_range(board: KnownBoard) -> None:
    board.facts = replace(board.facts, full_scale_a=1.0)


def spoil_numbers(board: KnownBoard) -> None:
    board.amps[board.within(30, 30.02)] = np.nan


def spoil_order(board: KnownBoard) -> None:
    board.time_s[3000], board.time_s[3001] = board.time_s[3001], board.time_s[3000]


def spoil_hole(board: KnownBoard) -> None:
    board.facts = replace(board.facts, drops_detectable=False)
    hole = board.within(30, 31)
    kept = np.r_[0 : hole.start, hole.stop : board.time_s.size]
    board.time_s, board.amps, board.marker = board.time_s[kept], board.amps[kept], board.marker[kept]


def spoil_one_sample(board: KnownBoard) -> None:
    kept = np.arange(board.time_s.size) != 3000
    board.time_s, board.amps, board.marker = board.time_s[kept], board.amps[kept], board.marker[kept]


def spoil_counter(board: KnownBoard) -> None:
    board.pieces_changed[30] = {"dropped": 3}


def spoil_saturation(board: KnownBoard) -> None:
    board.pieces_changed[30] = {"saturated": 2}


def spoil_reset(board: KnownBoard) -> None:
    board.pieces_changed[30] = {"resets": 1}


def spoil_end(board: KnownBoard) -> None:
    early = board.time_s < board.idle.after.start_s
    board.time_s, board.amps, board.marker = board.time_s[early], board.amps[early], board.marker[early]


FAULTS: dict[str, Callable[[KnownBoard], None]] = {
    "idle drift: 1000 mW before the windows and 1030 mW after": spoil_idle,
    "samples of negative power, beyond noise: 2": spoil_negative,
    "swap the leads": spoil_leads,
    "nothing draws current": spoil_cable,
    "samples at the end of the meter's range: 6005": spoil_range,
    "samples that are no numbers: 2": spoil_numbers,
    "times that do not rise: 1": spoil_order,
    "the meter told nothing for 1.01 s": spoil_hole,
    "samples lost: 1": spoil_one_sample,
    "samples lost: 3": spoil_counter,
    "samples at the end of the meter's range: 2": spoil_saturation,
    "times that the sensor lost its settings: 1": spoil_reset,
    "does not cover the windows": spoil_end,
}


@pytest.mark.parametrize(("reason", "spoil"), FAULTS.items())
def test_with_any_fault_there_is_a_reason_and_no_energy(reason: str, spoil: Callable[[KnownBoard], None]) -> None:
    board = KnownBoard()
    spoil(board)
    energy = board.energy()
    assert reason in energy.reason
    assert (energy.energy_uj, energy.uncertainty_uj_k2, energy.dynamic_uj, energy.power_mw) == (None, None, None, None)
    assert energy.windows == ()


def test_all_that_is_wrong_is_told_at_once() -> None:
    board = KnownBoard()
    for spoil in (spoil_idle, spoil_negative, spoil_reset):
        spoil(board)
    energy = board.energy()
    counters = energy.counters
    assert len(energy.reason.split("; ")) == 3
    assert (counters.negative, counters.resets, counters.dropped) == (2, 1, 0)


def test_what_happens_before_the_idle_time_does_not_matter() -> None:
    board = KnownBoard(began_s=0.0)
    board.idle = replace(board.idle, before=Span(start_s=1.4, end_s=6.5))
    board.pieces_changed[0] = {"dropped": 9, "saturated": 9, "resets": 9}
    board.amps[:130] = -5
    assert board.energy().energy_uj == pytest.approx(ENERGY_UJ, rel=1e-6)


def test_noise_around_zero_is_no_negative_power() -> None:
    board = KnownBoard(idle_a=1e-4)
    board.amps = board.amps + 1e-3 * np.random.default_rng(3).standard_normal(board.amps.size)
    assert "negative" not in board.energy().reason


def test_a_meter_that_cannot_tell_of_losses_says_so() -> None:
    board = KnownBoard(facts=replace(COUNTING, drops_detectable=False))
    spoil_one_sample(board)
    energy = board.energy()
    assert energy.counters.dropped is None
    assert energy.sync_class == "S2"
    assert energy.energy_uj == pytest.approx(ENERGY_UJ, rel=1e-3)


def test_a_power_within_what_the_meters_zero_may_be_wrong_by_is_no_energy() -> None:
    facts = replace(COUNTING, errors=replace(EXACT, offset_a=1e-3))
    assert KnownBoard(facts=facts, idle_a=0.0, active_a=3.1e-3).energy().energy_uj is not None
    none = KnownBoard(facts=facts, idle_a=0.0, active_a=2.9e-3).energy()
    assert none.energy_uj is None and "cannot tell from none" in none.reason


def test_whoever_doubts_an_energy_sums_it_up_anew_from_the_file_and_the_record() -> None:
    board = KnownBoard()
    energy = board.energy()
    assert energy.trace is not None and energy.trace.file_start_s == board.idle.before.start_s
    window = energy.windows[2]
    start_s = energy.trace.file_start_s + window.start_s
    inside = (board.time_s > start_s) & (board.time_s <= start_s + window.seconds)
    assert float(np.sum(board.amps[inside] * board.volts) * board.facts.period_s) * 1e6 == pytest.approx(window.energy_uj, rel=1e-3)


def test_what_is_known_to_be_lost_counts_for_a_meter_that_cannot_tell_of_all_losses() -> None:
    board = KnownBoard(facts=replace(COUNTING, drops_detectable=False))
    board.pieces_changed[30] = {"dropped": 3}
    energy = board.energy()
    assert energy.energy_uj is None and "samples lost: 3" in energy.reason
    assert energy.counters.dropped == 3


def test_power_beyond_belief_points_at_the_shunt() -> None:
    board = KnownBoard()
    assert board.energy(settings=MeterSettings(least_w=0.5, most_w=5)).reason == ""
    assert "shunt_ohm" in board.energy(settings=MeterSettings(most_w=3)).reason
    assert "shunt_ohm" in board.energy(settings=MeterSettings(least_w=2)).reason


def test_an_energy_by_other_rules_is_of_another_method() -> None:
    usual, other = KnownBoard().energy(), KnownBoard().energy(rules=Rules(window_s=0.5))
    assert usual.method != other.method
    assert "0.5 s" in other.method
