"""Windows count only where they are all there, long enough, and those that were meant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from known_power import COUNTING, KnownBoard

from edgepipe.devices.power.windows import MLPERF_TINY, Rules, Span, Stamp, find_windows, sync_of
from edgepipe.energy import SyncClass

STAMPS = [Stamp(start_s=0, end_s=12, inferences=10, uncertainty_s=1e-4, logged=True)]


@pytest.mark.parametrize(
    ("change", "marked", "stamp", "reached"),
    [
        ({}, True, {}, SyncClass.S0),
        ({}, False, {}, SyncClass.S1),
        ({}, False, {"logged": False}, SyncClass.S2),
        ({}, False, {"uncertainty_s": 6e-4}, SyncClass.S2),
        ({"jitter_s": 6e-4}, False, {}, SyncClass.S2),
        ({"clock_error": 1e-5}, False, {}, SyncClass.S1),
        ({"clock_error": 1e-5, "follow_clock": False}, False, {}, SyncClass.S2),
        ({"clock_error": 1e-6, "follow_clock": False}, False, {}, SyncClass.S1),
        ({"has_marker": False}, True, {"logged": False}, SyncClass.S2),
        ({"accumulates": True}, True, {}, SyncClass.S3),
        ({"drops_detectable": False}, True, {}, SyncClass.S2),
        ({"drops_detectable": False}, False, {}, SyncClass.S2),
    ],
)
def test_a_meter_and_a_board_reach_a_class(
    change: dict[str, object], marked: bool, stamp: dict[str, object], reached: SyncClass
) -> None:
    facts = replace(COUNTING, **change)  # type: ignore[arg-type]
    assert sync_of(facts, [replace(STAMPS[0], **stamp)], marked=marked, began_s=-50) is reached  # type: ignore[arg-type]


def test_a_marker_says_more_exactly_when_than_the_stamps_do() -> None:
    board = KnownBoard(stamp_s=0.05)
    true = board.stamps
    board.stamps = [replace(stamp, start_s=stamp.start_s - 0.04, end_s=stamp.end_s + 0.07) for stamp in true]
    found = find_windows(board.facts, board.trace(), board.stamps, board.idle, marked=True)
    assert found.problems == ()
    for window, stamp in zip(found.windows, true, strict=True):
        assert window.start_s == pytest.approx(stamp.start_s, abs=1e-6)
        assert window.end_s == pytest.approx(stamp.end_s, abs=1e-6)
        assert window.edge_s == pytest.approx(0.01 / np.sqrt(3))


def test_a_clock_that_is_set_right_does_not_run_away() -> None:
    board = KnownBoard(facts=replace(COUNTING, clock_error=1e-3))
    free = replace(board.facts, follow_clock=False)
    edges = [
        [one.edge_s for one in find_windows(facts, board.trace(), board.stamps, board.idle).windows]
        for facts in (board.facts, free)
    ]
    assert edges[0] == pytest.approx([0.01 / np.sqrt(3)] * 5)
    assert edges[1][0] < edges[1][4] == pytest.approx(0.071, rel=0.02)


def lose_pulse(board: KnownBoard) -> None:
    board.marker[board.within(20, 32.1)] = False


def lose_fall(board: KnownBoard) -> None:
    board.marker[board.within(30, 40)] = True


def stick(board: KnownBoard) -> None:
    board.marker[board.within(30, 1000)] = True


def stuck_before(board: KnownBoard) -> None:
    board.marker[board.within(0, 10)] = True


def split(board: KnownBoard) -> None:
    board.marker[board.within(25, 25.01)] = False


def glitch(board: KnownBoard) -> None:
    board.marker[board.within(3, 3.01)] = True


def cut(board: KnownBoard) -> None:
    board.marker[board.within(31.8, 32.1)] = False


def never(board: KnownBoard) -> None:
    board.marker[:] = False


def floating(board: KnownBoard) -> None:
    board.marker[:] = np.random.default_rng(1).random(board.marker.size) < 0.5


@pytest.mark.parametrize("spoil", [lose_pulse, lose_fall, stick, stuck_before, split, glitch, cut, never, floating])
def test_a_marker_that_does_not_match_leaves_no_energy(spoil: Callable[[KnownBoard], None]) -> None:
    board = KnownBoard()
    spoil(board)
    energy = board.energy()
    assert energy.energy_uj is None
    assert energy.counters.markers_missing > 0
    assert "the marker does not match the 5 windows" in energy.reason


def fall_only(board: KnownBoard) -> None:
    """Have the marker be up, and fall for a sample as each window begins and ends."""
    ends = np.array([end for stamp in board.stamps for end in (stamp.start_s, stamp.end_s)])
    board.marker[:] = True
    board.marker[np.searchsorted(board.time_s, ends)] = False


def test_a_marker_that_falls_at_both_ends_finds_the_same_windows() -> None:
    board, falling = KnownBoard(), KnownBoard()
    fall_only(falling)
    found = find_windows(falling.facts, falling.trace(), falling.stamps, falling.idle, marked=True, falling=True)
    assert (found.sync, found.problems) == (SyncClass.S0, ())
    assert found.windows == find_windows(board.facts, board.trace(), board.stamps, board.idle, marked=True).windows


def miss_a_fall(board: KnownBoard) -> None:
    fall_only(board)
    board.marker[board.within(6.9, 7.1)] = True


def miss_the_last_fall(board: KnownBoard) -> None:
    fall_only(board)
    board.marker[board.within(70.9, 71.1)] = True


def fall_once_more(board: KnownBoard) -> None:
    fall_only(board)
    board.marker[board.within(25, 25.01)] = False


def fall_twice_more(board: KnownBoard) -> None:
    fall_once_more(board)
    board.marker[board.within(26, 26.01)] = False


@pytest.mark.parametrize("spoil", [miss_a_fall, miss_the_last_fall, fall_once_more, fall_twice_more, never, stick, floating])
def test_falls_that_do_not_match_leave_no_energy(spoil: Callable[[KnownBoard], None]) -> None:
    board = KnownBoard()
    spoil(board)
    found = find_windows(board.facts, board.trace(), board.stamps, board.idle, marked=True, falling=True)
    assert found.missing > 0
    assert "the marker does not match the 5 windows" in found.problems[0]


@pytest.mark.parametrize("spoil", [stick, never, floating])
def test_a_marker_that_nobody_wired_does_not_matter(spoil: Callable[[KnownBoard], None]) -> None:
    board = KnownBoard()
    spoil(board)
    assert board.energy(marked=False).reason == ""


def test_too_few_windows_leave_no_energy() -> None:
    energy = KnownBoard(windows=4).energy()
    assert (energy.energy_uj, energy.reason) == (None, "4 windows were measured, 5 are needed")
    assert KnownBoard(windows=0).energy().energy_uj is None


def test_too_few_inferences_leave_no_energy() -> None:
    energy = KnownBoard(inferences=9).energy()
    assert energy.energy_uj is None
    assert "window 5 has 9 inferences, 10 are needed" in energy.reason


def test_one_window_that_is_too_short_leaves_no_energy() -> None:
    board = KnownBoard(facts=replace(COUNTING, has_marker=False))
    board.stamps[2] = replace(board.stamps[2], end_s=board.stamps[2].start_s + 9.99)
    energy = board.energy()
    assert energy.energy_uj is None
    assert "window 3 is 9.99 s long, 10 s are needed" in energy.reason
    assert "window 2 is" not in energy.reason


def test_a_slow_meter_needs_longer_windows() -> None:
    slow = KnownBoard(facts=replace(COUNTING, period_s=0.05, jitter_s=0.011, has_marker=False)).energy()
    assert slow.energy_uj is None
    assert "12.2 s are needed, 200 periods of this meter" in slow.reason
    assert KnownBoard(facts=replace(COUNTING, period_s=0.05, jitter_s=0.009, has_marker=False)).energy().reason == ""


def test_idle_power_must_be_measured_long_enough_on_both_sides() -> None:
    board = KnownBoard()
    before, after = board.idle.before, board.idle.after
    board.idle = replace(board.idle, before=Span(start_s=before.end_s - 4.9, end_s=before.end_s))
    assert "idle power before the windows was measured for 4.9 s, 5 s are needed" in board.energy().reason
    board.idle = replace(board.idle, before=before, after=Span(start_s=after.start_s, end_s=after.start_s + 4.9))
    assert "idle power after the windows" in board.energy().reason


def test_idle_time_within_a_window_is_none() -> None:
    board = KnownBoard()
    before = board.idle.before
    board.idle = replace(board.idle, before=replace(before, end_s=before.end_s + 2))
    assert "overlap" in board.energy().reason


def test_the_usual_rules_are_those_of_mlperf_tiny() -> None:
    assert (MLPERF_TINY.windows, MLPERF_TINY.window_s, MLPERF_TINY.inferences, MLPERF_TINY.idle_s) == (5, 10.0, 10, 5.0)


def test_under_four_windows_have_no_spread() -> None:
    with pytest.raises(ValueError, match="3 windows"):
        Rules(windows=3)
