"""What every power meter promises, asked of each of them, with an emulator or a stand-in at the other end."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

import numpy as np
import pytest
import sensor_trees
from known_power import COUNTING, KnownBoard

from edgepipe.devices.power.csv_lines import Csv, CsvMeter
from edgepipe.devices.power.hwmon import HwMon
from edgepipe.devices.power.iio import Iio
from edgepipe.devices.power.joulescope import Joulescope, JoulescopeMeter
from edgepipe.devices.power.lpm01a import Lpm01a, Lpm01aMeter
from edgepipe.devices.power.meter import PowerMeter
from edgepipe.devices.power.ppk2 import Ppk2, Ppk2Meter
from edgepipe.devices.power.replay import Replay, ReplayMeter
from edgepipe.devices.power.sensor import SensorMeter
from edgepipe.devices.power.trace_file import TraceWriter
from edgepipe.errors import DeviceUnreachable, MeterMissing
from tests.power_meters import lpm01a_emulator, ppk2_emulator
from tests.power_meters.joulescope_stand_in import StandIn
from tests.power_meters.lpm01a_emulator import EmulatedLpm01a, Lpm01aFaults
from tests.power_meters.ppk2_emulator import EmulatedPpk2, Ppk2Faults
from tests.power_meters.reading import shown

SOON = 20.0
ERRORS = {"gain_error": 0.01, "volts_error": 0.01, "offset_a": 1e-6}


@dataclass
class Setup:
    """A meter that works, what it is to show, and how it is unplugged; others that are not there, or are another one."""

    meter: PowerMeter
    volts: float
    amps: float
    unplug: Callable[[], None]
    absent: PowerMeter
    wrong: PowerMeter
    has_marker: bool = False


def ppk2(folder: Path, held: ExitStack) -> Setup:
    def meter(place: Path) -> PowerMeter:
        return Ppk2Meter("board", Ppk2(by_id=ppk2_emulator.NAME, mode="source", volts=3.3, marker_line=0), folder=place)

    places = [folder / name for name in ("right", "wrong", "absent")]
    for place in places:
        place.mkdir()
    kit = held.enter_context(EmulatedPpk2(places[0]))
    held.enter_context(EmulatedPpk2(places[1], Ppk2Faults(answer="login: \r\n" * 100)))
    right, wrong, absent = map(meter, places)
    amps = ppk2_emulator.amperes(2000, 3, 3.3)
    return Setup(right, 3.3, amps, kit.unplug, absent, wrong, has_marker=True)


def lpm01a(folder: Path, held: ExitStack) -> Setup:
    def meter(place: Path) -> PowerMeter:
        return Lpm01aMeter("board", Lpm01a(by_id=lpm01a_emulator.NAME, volts=1.8), folder=place)

    places = [folder / name for name in ("right", "wrong", "absent")]
    for place in places:
        place.mkdir()
    shield = held.enter_context(EmulatedLpm01a(places[0]))
    held.enter_context(EmulatedLpm01a(places[1], Lpm01aFaults(dumb=True)))
    right, wrong, absent = map(meter, places)
    return Setup(right, 1.8, 640.9e-6, shield.unplug, absent, wrong)


def csv(folder: Path, held: ExitStack) -> Setup:
    script = "import time\nt = 0\nwhile True:\n    print(f'{t / 100},5.0,0.25', flush=True)\n    t += 1\n    time.sleep(0.01)"

    def meter(*command: str) -> CsvMeter:
        return CsvMeter("board", Csv(command=command, **ERRORS))

    right = meter(sys.executable, "-c", script)

    def unplug() -> None:
        process = right._source._process  # type: ignore[union-attr]
        process.kill()

    return Setup(right, 5.0, 0.25, unplug, meter("edgepipe-no-such-tool"), meter(sys.executable, "-c", "print('watts\\n' * 9)"))


def joulescope(folder: Path, held: ExitStack) -> Setup:
    started: list[StandIn] = []

    def meter(*paths: str, serial: str | None = None) -> PowerMeter:
        def start() -> StandIn:
            started.append(StandIn(paths=paths))
            return started[-1]

        return JoulescopeMeter("board", Joulescope(serial=serial, marker_input=0, **ERRORS), start=start)

    here = "u/js220/001234"
    return Setup(meter(here), 3.3, 0.025, lambda: started[-1].unplug(), meter(), meter(here, serial="999999"), has_marker=True)


def replay(folder: Path, held: ExitStack) -> Setup:
    facts = replace(COUNTING, period_s=1e-3, jitter_s=1e-6)
    board = KnownBoard(facts=facts, windows=1, idle_a=0.25, active_a=0.25, volts=5.0)
    recording, letter = folder / "board.trace", folder / "letter.txt"
    writer = TraceWriter(recording, facts, started_utc="2026-11-22T12:00:00+00:00")
    for piece in board.trace().pieces():
        writer.write(piece)
    writer.close()
    letter.write_text("time,volts,amps")

    def meter(file: Path) -> PowerMeter:
        return ReplayMeter(Replay(file=str(file)))

    def unplug() -> None:
        os.truncate(recording, 100)

    return Setup(meter(recording), 5.0, 0.25, unplug, meter(folder / "absent"), meter(letter), has_marker=True)


def hwmon(folder: Path, held: ExitStack) -> Setup:
    flow = sensor_trees.ina226(folder / "right")
    flow.sensor.put(update_interval=2)
    return sensor(folder, HwMon(chip="ina226", shunt_ohm=0.1), "hwmon")


def iio(folder: Path, held: ExitStack) -> Setup:
    sensor_trees.iio_ina226(folder / "right", averages=1)
    return sensor(folder, Iio(chip="ina226", shunt_ohm=0.1), "iio")


def sensor(folder: Path, settings: HwMon | Iio, kind: str) -> Setup:
    def meter(root: Path) -> PowerMeter:
        return SensorMeter(sensor_trees.feed(root), settings.plan)

    right, wrong, absent = (folder / name for name in ("right", "wrong", "absent"))
    sensor_trees.Sensor(wrong, kind, 0, "ina226").put(temp1_input=40_000)
    return Setup(meter(right), 5.0, 0.6, lambda: shutil.rmtree(right), meter(absent), meter(wrong))


# A meter of another kind is one function and one line.
KINDS: dict[str, Callable[[Path, ExitStack], Setup]] = {
    "ppk2": ppk2,
    "lpm01a": lpm01a,
    "csv": csv,
    "joulescope": joulescope,
    "replay": replay,
    "hwmon": hwmon,
    "iio": iio,
}


@pytest.fixture(params=list(KINDS))
def setup(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Setup]:
    with ExitStack() as held:
        made = KINDS[request.param](tmp_path, held)
        for meter in (made.meter, made.absent, made.wrong):
            held.callback(meter.close)
        yield made


class TestPowerMeter:
    """The contract of `edgepipe.devices.power.meter.PowerMeter`."""

    def test_it_says_what_it_is_with_every_error_that_it_may_have(self, setup: Setup) -> None:
        facts = setup.meter.open()
        assert facts.name
        assert facts.serial
        assert facts.period_s > 0
        assert facts.jitter_s > 0
        assert facts.errors.source
        assert all(0 <= term < 1 for term in (facts.errors.gain, facts.errors.volt, facts.errors.shunt, facts.errors.offset_a))
        assert facts.has_marker == setup.has_marker

    def test_samples_have_rising_times_equal_lengths_and_the_boards_current(self, setup: Setup) -> None:
        facts = setup.meter.open()
        pieces = shown(setup.meter, 200)
        opened_s = monotonic()
        for piece in pieces:
            assert piece.volts.shape == piece.amps.shape == piece.time_s.shape
            assert (piece.marker is not None) == facts.has_marker
            assert piece.marker is None or piece.marker.shape == piece.time_s.shape
            assert piece.volts == pytest.approx(setup.volts)
            assert piece.amps == pytest.approx(setup.amps)
        times = np.concatenate([piece.time_s for piece in pieces])
        assert np.all(np.diff(times) > 0)
        assert abs(opened_s - times[-1]) < SOON
        assert sum(piece.dropped + piece.saturated + piece.resets for piece in pieces) == 0

    def test_nothing_by_the_deadline_is_no_samples(self, setup: Setup) -> None:
        setup.meter.open()
        shown(setup.meter, 1)
        assert setup.meter.read(deadline_s=0.0).time_s.size < 10_000

    def test_it_closes_twice_and_at_any_time_and_opens_again(self, setup: Setup) -> None:
        setup.meter.close()
        setup.absent.close()
        setup.meter.open()
        setup.meter.close()
        setup.meter.close()
        with pytest.raises(DeviceUnreachable):
            setup.meter.read(deadline_s=0.1)
        setup.meter.open()
        shown(setup.meter, 10)

    def test_an_unplugged_one_is_unreachable_long_before_any_deadline(self, setup: Setup) -> None:
        setup.meter.open()
        shown(setup.meter, 10)
        setup.unplug()
        began = monotonic()
        with pytest.raises(DeviceUnreachable) as raised:
            while monotonic() < began + SOON:
                setup.meter.read(deadline_s=SOON)
        assert monotonic() < began + SOON / 2
        assert raised.value.todo

    def test_one_that_is_not_there_is_missing_with_what_to_do(self, setup: Setup) -> None:
        with pytest.raises(MeterMissing) as raised:
            setup.absent.open()
        assert raised.value.todo

    def test_another_device_is_refused_with_what_to_do(self, setup: Setup) -> None:
        with pytest.raises(MeterMissing) as raised:
            setup.wrong.open()
        assert raised.value.todo
