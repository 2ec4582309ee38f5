"""The simulated meter shows a board's true power through the faults that it was told to have, and no others."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from edgepipe.devices.power.meter import MeterFacts, Samples
from edgepipe.devices.power.pieces import joined
from edgepipe.devices.power.simulated import Activity, Simulated, SimulatedMeter, Steady
from edgepipe.errors import DeviceUnreachable
from tests.power_meters.clock import Clock

EXACT = Simulated(volts=4.0, idle_mw=40, active_mw=240, gain=0, volt=0, offset_ua=0, clock_ppm=0)


class Pulse:
    """Active from 1 s to 2 s, with a marker."""

    has_marker = True

    def active_s(self, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.clip(time_s, 1, 2)

    def marked(self, time_s: NDArray[np.float64]) -> NDArray[np.bool_]:
        return (time_s > 1) & (time_s <= 2)


def measured(settings: Simulated, seconds: float = 3.0, activity: Activity | None = None) -> tuple[MeterFacts, Samples]:
    """All that the meter says in so many seconds."""
    clock = Clock()
    meter = SimulatedMeter(settings, activity=activity or Pulse(), clock=clock, rest=clock.rest)
    facts, pieces = meter.open(), list[Samples]()
    clock.now_s = seconds
    while (piece := meter.read(deadline_s=0)).time_s.size:
        pieces.append(piece)
    return facts, joined(pieces)


def joules(samples: Samples) -> float:
    return float(np.sum(samples.volts * samples.amps * np.diff(samples.time_s, prepend=0)))


def test_without_faults_it_shows_the_truth() -> None:
    facts, samples = measured(EXACT)
    assert facts.simulated
    assert joules(samples) == pytest.approx(3 * 0.04 + 0.2, rel=1e-9)
    assert samples.marker is not None
    assert np.array_equal(samples.amps > 0.02, samples.marker)


def test_a_square_wave_has_its_mean_power() -> None:
    settings = replace(EXACT, frequency_hz=73.0, duty=0.3, period_us=2500)
    clock = Clock()
    meter = SimulatedMeter(settings, clock=clock, rest=clock.rest)
    assert not meter.open().has_marker
    clock.now_s = 10.0
    samples = meter.read(deadline_s=0)
    assert joules(samples) / 10 == pytest.approx(0.04 + 0.3 * 0.2, rel=2e-3)
    assert samples.amps.max() > 1.5 * samples.amps.mean() > 2 * samples.amps.min()


@pytest.mark.parametrize("edge_us", [30.0, 300.0, 30_000.0])
def test_slow_edges_lose_no_charge(edge_us: float) -> None:
    _, sharp = measured(EXACT)
    _, slow = measured(replace(EXACT, edge_us=edge_us))
    assert joules(slow) == pytest.approx(joules(sharp), rel=1e-9)
    assert np.abs(slow.amps - sharp.amps).max() > 1e-4
    after = (slow.time_s > 1 + edge_us * 1e-6) & (slow.time_s <= 1 + edge_us * 1e-6 + 0.001)
    reached = float(slow.amps[after][0]) if edge_us > 5000 else 0.0
    assert not reached or (reached - 0.01) / 0.05 == pytest.approx(1 - np.exp(-1), rel=0.05)


def test_edges_go_on_over_the_pieces_that_are_read() -> None:
    settings, clock = replace(EXACT, edge_us=50_000.0), Clock()
    meter = SimulatedMeter(settings, activity=Pulse(), clock=clock, rest=clock.rest)
    meter.open()
    parts = list[NDArray[np.float64]]()
    while clock.now_s < 3:
        clock.now_s += 0.0137
        parts.append(meter.read(deadline_s=0).amps)
    whole = measured(settings)[1].amps
    assert np.concatenate(parts)[: whole.size] == pytest.approx(whole, rel=1e-9)


@pytest.mark.parametrize("errors", ["normal", "rectangular"])
def test_its_errors_are_drawn_from_what_it_states(errors: str) -> None:
    stated = replace(EXACT, gain=0.01, volt=0.005, offset_ua=100, errors=errors, period_us=100_000)  # type: ignore[arg-type]
    shown = [measured(replace(stated, seed=seed))[1] for seed in range(300)]
    volts = np.array([samples.volts[0] / 4.0 - 1 for samples in shown])
    idle, active = (np.array([samples.amps[index] for samples in shown]) for index in (0, 15))
    assert np.std(volts) == pytest.approx(0.005, rel=0.15)
    assert np.std((active - idle) / 0.05) == pytest.approx(0.01, rel=0.15)
    assert np.std(idle - 0.01) == pytest.approx(np.hypot(100e-6, 0.01 * 0.01), rel=0.15)
    if errors == "rectangular":
        assert np.abs(volts).max() <= 0.005 * np.sqrt(3)


def test_the_same_seed_is_the_same_meter() -> None:
    noisy = replace(EXACT, noise_ua=10, drop_share=0.01, gain=0.01)
    first, again, other = (measured(replace(noisy, seed=seed))[1] for seed in (1, 1, 2))
    assert np.array_equal(first.amps, again.amps)
    assert not np.array_equal(first.amps[:10], other.amps[:10])


def test_lost_samples_are_counted_where_there_is_a_counter() -> None:
    _, counted = measured(replace(EXACT, drop_share=0.1))
    facts, uncounted = measured(replace(EXACT, drop_share=0.1, counter=False))
    assert counted.dropped == 3000 - counted.time_s.size > 200
    assert not facts.drops_detectable
    assert (uncounted.dropped, uncounted.time_s.size) == (0, counted.time_s.size)


def test_one_that_adds_up_on_its_chip_loses_nothing_by_lost_readings_and_late_ones() -> None:
    board, plain = Steady(frequency_hz=37.0, duty=0.5), replace(EXACT, drop_share=0.3, jitter_us=300)
    off = list[float]()
    for settings in (plain, replace(plain, accumulates=True)):
        facts, samples = measured(settings, 10.0, board)
        off.append(joules(samples) / (10 * 0.14) - 1)
        assert facts.accumulates is settings.accumulates and samples.dropped > 2000
    assert abs(off[1]) < 5e-5 < abs(off[0])


def test_more_than_it_can_show_is_cut_off_and_counted() -> None:
    facts, samples = measured(replace(EXACT, full_scale_ma=50))
    assert facts.full_scale_a == pytest.approx(0.05)
    assert samples.amps.max() == pytest.approx(0.05)
    assert samples.saturated == pytest.approx(1000, abs=1)


def test_a_reset_is_told_once_and_spoils_what_follows() -> None:
    _, samples = measured(replace(EXACT, reset_after_s=2.5))
    assert samples.resets == 1
    assert samples.amps[-1] == pytest.approx(0.005)


def test_its_clock_runs_as_wrong_as_it_says_and_its_times_rise() -> None:
    facts, samples = measured(replace(EXACT, clock_ppm=5000, jitter_us=300))
    assert facts.clock_error == pytest.approx(0.005)
    assert samples.time_s.size != 3000
    assert (np.diff(samples.time_s) > 0).all()


def test_by_the_wall_clock_it_waits_for_samples() -> None:
    meter = SimulatedMeter(replace(EXACT, period_us=10_000))
    meter.open()
    began_s = time.monotonic()
    samples = meter.read(deadline_s=5.0)
    assert samples.time_s.size >= 1
    assert samples.time_s[0] > began_s
    assert samples.time_s[-1] <= time.monotonic()
    meter.close()
    meter.close()
    with pytest.raises(DeviceUnreachable, match="closed"):
        meter.read(deadline_s=0.1)
