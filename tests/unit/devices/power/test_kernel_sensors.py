"""Sensors behind the kernel's files are read to their last step, say what they may be wrong by, and tell when they fail."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import pytest
import sensor_trees
from sensor_trees import Flow, Opening
from sshd import descendants

from edgepipe.devices.power.energy import energy_of
from edgepipe.devices.power.hwmon import HwMon
from edgepipe.devices.power.iio import Iio
from edgepipe.devices.power.meter import MeterFacts
from edgepipe.devices.power.recorder import Recorder
from edgepipe.devices.power.sensor import KernelSensor, SensorMeter
from edgepipe.devices.power.windows import Idle, Rules, Span, Stamp
from edgepipe.energy import Energy
from edgepipe.errors import DeviceUnreachable
from tests.power_meters.reading import some

SOON = 20.0
VOLTS, AMPS = 5.0, 0.6

SENSORS: dict[str, tuple[Callable[[Path], Flow], KernelSensor, float]] = {
    # The last is the largest step, in amperes at 5 V, that chip and driver make of a current.
    "ina226, power": (sensor_trees.ina226, HwMon(chip="ina226"), 125e-6 + 25e-6),
    "ina226, current": (lambda root: sensor_trees.ina226(root, ohm=0.002, told_uohm=2000), HwMon(chip="ina226"), 2.25e-3),
    "ina226, all its bits": (
        lambda root: sensor_trees.ina226(root, ohm=0.02, told_uohm=1000),
        HwMon(chip="ina226", shunt_ohm=0.02),
        63e-6 + 25e-6,
    ),
    "ina219": (sensor_trees.ina219, HwMon(chip="ina219"), 500e-6),
    "ina238": (sensor_trees.ina238, HwMon(chip="ina238", shunt_ohm=0.1), 208e-6),
    "ina260": (sensor_trees.ina260, HwMon(chip="ina260"), 2.25e-3),
    "ina3221": (lambda root: sensor_trees.ina3221(root, channel=2), HwMon(chip="ina3221", channel=2), 400e-6),
    "iio": (sensor_trees.iio_ina226, Iio(chip="ina226"), 25e-6),
}


@pytest.mark.parametrize("name", SENSORS)
def test_every_sensor_is_read_to_its_last_step_and_states_no_finer_one(name: str, root: Path, opened: Opening) -> None:
    plant, settings, step_a = SENSORS[name]
    flow, amps = plant(root), 0.61234
    flow.show(VOLTS, amps)
    meter, facts = opened(settings)
    samples = some(meter)
    assert np.abs(samples.amps * samples.volts - VOLTS * amps).max() <= VOLTS * step_a
    assert samples.volts == pytest.approx(VOLTS, abs=0.01)
    assert facts.errors.offset_a >= step_a / 12**0.5 / 2
    channel = " channel 2" if name == "ina3221" else ""  # each has a shunt, and a calibration, of its own
    assert facts.name.endswith(settings.chip) and facts.serial == f"1-0040{channel} at meterhost"
    assert samples.saturated == samples.dropped == samples.resets == 0 or facts.drops_detectable


def test_a_milliampere_is_a_coarse_step_and_watts_are_taken_where_they_are_finer(root: Path, opened: Opening) -> None:
    sensor_trees.ina226(root)
    _, fine = opened(HwMon(chip="ina226"))
    shutil.rmtree(root)
    flow = sensor_trees.ina226(root)
    (flow.sensor.folder / "power1_input").unlink()
    _, coarse = opened(HwMon(chip="ina226"))
    assert coarse.errors.offset_a > 5 * fine.errors.offset_a
    assert coarse.errors.offset_a >= 1e-3 / 3**0.5


@pytest.mark.parametrize("told_uohm", [10_000, 200_000])  # the first is the driver's own guess; the second has power read
def test_a_shunt_that_the_kernel_does_not_know_of_is_reckoned_in(told_uohm: int, root: Path, opened: Opening) -> None:
    flow = sensor_trees.ina226(root, ohm=0.1, told_uohm=told_uohm)
    flow.show(VOLTS, AMPS)
    meter, facts = opened(HwMon(chip="ina226", shunt_ohm=0.1))
    samples = some(meter)
    assert samples.amps * samples.volts == pytest.approx(VOLTS * AMPS, rel=2e-3)
    assert facts.full_scale_a == pytest.approx(0.8192)
    wrong, _ = opened(HwMon(chip="ina226"))
    taken_at_its_word = some(wrong)
    assert taken_at_its_word.amps == pytest.approx(100_000 / told_uohm * samples.amps[0], rel=1e-2)


def test_the_shunts_tolerance_is_the_users_to_say_but_for_a_chip_that_has_its_own(root: Path, opened: Opening) -> None:
    sensor_trees.ina226(root)
    for tolerance in (0.01, 0.001):
        _, facts = opened(HwMon(chip="ina226", shunt_tolerance=tolerance))
        assert facts.errors.shunt == pytest.approx(tolerance / 3**0.5)
    shutil.rmtree(root)
    sensor_trees.ina260(root)
    _, facts = opened(HwMon(chip="ina260"))
    assert facts.errors.shunt == 0.0


def test_a_current_that_flows_backwards_is_negative_though_the_chip_reckons_power_without_a_sign(
    root: Path, opened: Opening
) -> None:
    flow = sensor_trees.ina226(root)
    flow.show(VOLTS, -AMPS)
    meter, _ = opened(HwMon(chip="ina226"))
    assert some(meter).amps == pytest.approx(-AMPS, rel=1e-3)


def test_a_current_beyond_the_shunts_range_is_counted(root: Path, opened: Opening) -> None:
    flow = sensor_trees.ina226(root)
    flow.show(VOLTS, 0.8192)
    meter, facts = opened(HwMon(chip="ina226"))
    samples = some(meter)
    assert facts.full_scale_a == pytest.approx(0.8192)
    assert samples.saturated == samples.time_s.size > 0


def test_each_conversion_is_kept_once_and_its_time_is_when_it_ended(root: Path, opened: Opening) -> None:
    flow, every_s = sensor_trees.ina226(root), 0.2
    flow.sensor.put(update_interval=200)
    meter, facts = opened(HwMon(chip="ina226"))
    flow.vary(lambda number: 0.2 + 0.01 * (number % 40), every_s=every_s)
    end, seen, dropped = monotonic() + 3.0, list[tuple[float, float]](), 0
    while monotonic() < end:
        samples = meter.read(deadline_s=SOON)
        seen += zip(samples.time_s, samples.amps, strict=True)
        dropped += samples.dropped
    flow.stop()
    assert facts.drops_detectable and facts.period_s == pytest.approx(every_s)
    assert len(seen) < 1.5 * len(flow.conversions)  # it was looked at four times as often
    values = [round(float(value), 2) for value, _ in groupby(amps for _, amps in seen)]
    converted = [round(amps, 2) for _, amps in flow.conversions]
    first = values.index(converted[0])
    if not dropped:
        assert values[first:] == converted[: len(values) - first]
    stamps = {round(float(amps), 2): time_s for time_s, amps in reversed(seen)}
    late = [stamps[round(amps, 2)] - time_s for time_s, amps in flow.conversions[1:] if round(amps, 2) in stamps]
    assert len(late) > 5 and 0 <= float(np.median(late)) < every_s / 2


def test_a_reader_that_was_stopped_counts_what_it_missed(root: Path, opened: Opening) -> None:
    sensor_trees.ina226(root)
    meter, _ = opened(HwMon(chip="ina226"))
    some(meter)
    (pid,) = descendants(os.getpid())
    os.kill(pid, signal.SIGSTOP)
    sleep(0.5)
    os.kill(pid, signal.SIGCONT)
    end, dropped = monotonic() + SOON, 0
    while dropped < 10 and monotonic() < end:
        dropped += meter.read(deadline_s=SOON).dropped
    assert dropped >= 10  # half a second of conversions of 35 ms


def test_it_is_read_before_all_other_work_where_that_is_allowed(root: Path, opened: Opening) -> None:
    first = "import os; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))"
    allowed = subprocess.run([sys.executable, "-c", first], capture_output=True, check=False).returncode == 0
    sensor_trees.ina226(root)
    opened(HwMon(chip="ina226"))
    (pid,) = descendants(os.getpid())
    assert os.sched_getscheduler(pid) == (os.SCHED_FIFO | os.SCHED_RESET_ON_FORK if allowed else os.SCHED_OTHER)


def test_a_sensor_too_quick_to_be_read_claims_to_miss_nothing(root: Path, opened: Opening) -> None:
    sensor_trees.ina219(root)
    _, facts = opened(HwMon(chip="ina219"))
    assert not facts.drops_detectable
    assert facts.period_s >= 0.005


@pytest.mark.parametrize("name", ["shunt_resistor", "update_interval"])
def test_a_sensor_that_lost_its_settings_is_told(name: str, root: Path, opened: Opening) -> None:
    flow = sensor_trees.ina226(root)
    meter, _ = opened(HwMon(chip="ina226"))
    some(meter)
    flow.sensor.put(**{name: 77})
    end, resets = monotonic() + SOON, 0
    while not resets and monotonic() < end:
        resets += meter.read(deadline_s=SOON).resets
    assert resets == 1


def test_a_sensor_that_is_unplugged_is_told_soon(root: Path, opened: Opening) -> None:
    sensor_trees.ina226(root)
    meter, _ = opened(HwMon(chip="ina226"))
    some(meter)
    shutil.rmtree(root)
    end = monotonic() + SOON
    with pytest.raises(DeviceUnreachable, match=r"cannot read its power sensor any more: .*power1_input: No such file") as caught:
        while monotonic() < end:
            meter.read(deadline_s=SOON)
    assert "wires" in caught.value.todo


def test_the_energy_of_a_board_that_works_and_rests_lies_within_what_is_stated(root: Path, opened: Opening, tmp_path: Path) -> None:
    flow, busy_a = sensor_trees.ina226(root, ohm=0.02, told_uohm=20_000), 0.9
    flow.sensor.put(update_interval=2)
    meter, facts = opened(HwMon(chip="ina226"))
    for attempt in range(3):
        found, window_s = work_and_rest(flow, meter, facts, tmp_path / f"trace{attempt}", busy_a=busy_a)
        if "told nothing for" not in found.reason:  # a machine that was busy elsewhere
            break
    else:
        pytest.skip("this machine is too busy to read a sensor every 5 ms")
    assert found.energy_uj is not None and found.uncertainty_uj_k2 is not None, found.reason
    true_uj = VOLTS * busy_a * window_s / 100 * 1e6
    assert abs(found.energy_uj - true_uj) <= found.uncertainty_uj_k2 < 0.1 * true_uj
    assert found.sync_class == "S2" and found.counters.dropped is None


def work_and_rest(flow: Flow, meter: SensorMeter, facts: MeterFacts, path: Path, *, busy_a: float) -> tuple[Energy, float]:
    """Have a board rest, work four times and rest again; returns what one of a hundred inferences took, and a window's seconds."""
    began_s, window_s = monotonic() + 0.3, 1.7
    before = Span(start_s=began_s, end_s=began_s + 0.6)
    starts = [before.end_s + 0.2 + 1.9 * number for number in range(4)]
    stamps = [Stamp(start_s=start, end_s=start + window_s, inferences=100, uncertainty_s=0.0) for start in starts]
    after = Span(start_s=stamps[-1].end_s + 0.2, end_s=stamps[-1].end_s + 0.8)

    def amps(number: int) -> float:
        now = monotonic()
        return busy_a if any(one.start_s <= now < one.end_s for one in stamps) else 0.5

    flow.vary(amps, every_s=0.01, volts=VOLTS)
    with Recorder(meter, facts, path, started_utc="") as recorder:
        while monotonic() < after.end_s + 0.5:
            sleep(0.05)
    flow.stop()
    assert recorder.failure is None
    rules = Rules(windows=4, window_s=1.0, inferences=1, idle_s=0.5)
    return energy_of(facts, recorder.trace(), stamps, Idle(before=before, after=after), rules=rules), window_s


def test_the_time_of_a_machine_with_another_clock_is_mapped_to_this_ones(root: Path, opened: Opening, tmp_path: Path) -> None:
    ahead = tmp_path / "python-ahead"
    ahead.write_text(f'#!/bin/sh\nexec unshare -T --monotonic 5000 --fork --kill-child {sys.executable} "$@"\n')
    ahead.chmod(0o755)
    if subprocess.run([ahead, "-c", ""], capture_output=True, check=False).returncode:
        pytest.skip("no time namespaces here: they take root, Linux 5.6 and util-linux 2.36")
    flow = sensor_trees.ina226(root)
    meter, facts = opened(HwMon(chip="ina226"), python=str(ahead))
    flow.show(VOLTS, 0.3)
    changed_s, end, first_s = monotonic(), monotonic() + SOON, 0.0
    while not first_s and monotonic() < end:
        samples = meter.read(deadline_s=SOON)
        first_s = next((float(time_s) for time_s, amps in zip(samples.time_s, samples.amps, strict=True) if amps < 0.4), 0.0)
        assert (np.diff(samples.time_s) > 0).all()
    assert changed_s - 0.05 < first_s < monotonic()
    _, own = opened(HwMon(chip="ina226"))
    assert facts.jitter_s >= own.jitter_s
