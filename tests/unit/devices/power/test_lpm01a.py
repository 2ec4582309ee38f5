"""An LPM01A on a PTY: what it is told, what it loses, and everything that may be wrong with it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import ioctl
from pathlib import Path
from time import monotonic, sleep

import pytest

from edgepipe.devices.power.lpm01a import Lpm01a, Lpm01aMeter
from edgepipe.devices.power.serial_meter import TCGETS2, TERMIOS2
from edgepipe.errors import DeviceUnreachable, MeterMissing
from tests.power_meters.lpm01a_emulator import BOARD, NAME, EmulatedLpm01a, Lpm01aFaults

SOON = 20.0


@contextmanager
def shield(
    folder: Path, faults: Lpm01aFaults | None = None, hz: int = 500, **more: str
) -> Iterator[tuple[EmulatedLpm01a, Lpm01aMeter]]:
    with EmulatedLpm01a(folder, faults, **more) as emulated:
        meter = Lpm01aMeter("board", Lpm01a(by_id=NAME, volts=1.8, hz=hz), folder=folder)  # type: ignore[arg-type]
        try:
            yield emulated, meter
        finally:
            meter.close()


def lost_in(meter: Lpm01aMeter, seconds: float) -> tuple[int, int]:
    end, dropped, saturated = monotonic() + seconds, 0, 0
    while monotonic() < end:
        samples = meter.read(deadline_s=0.1)
        dropped, saturated = dropped + samples.dropped, saturated + samples.saturated
    return dropped, saturated


@pytest.mark.parametrize(("hz", "told"), [(5000, "freq 5k"), (200, "freq 200")])
def test_it_is_set_up_before_the_board_is_switched_on_and_given_back_at_the_end(tmp_path: Path, hz: int, told: str) -> None:
    with shield(tmp_path, hz=hz) as (emulated, meter):
        facts = meter.open()
        assert facts.serial == BOARD
        assert facts.drops_detectable == (hz == 200)
        commands = emulated.commands
        assert commands[:2] == ["stop", "htc"]
        assert told in commands
        assert commands[-3:] == ["volt 1800m", "pwr on", "start"]
        meter.close()
        sleep(0.1)
        assert commands[-2:] == ["stop", "hrc"]


def test_the_line_has_its_odd_baud_rate(tmp_path: Path) -> None:
    with shield(tmp_path) as (emulated, meter):
        meter.open()
        mode = TERMIOS2.unpack(ioctl(emulated._slave, TCGETS2, bytes(struct.calcsize(TERMIOS2.format))))
        assert mode[6:] == (3_686_400, 3_686_400)


def test_lost_and_torn_samples_are_counted(tmp_path: Path) -> None:
    faults = Lpm01aFaults(lost=frozenset({610, 611, 930}), torn=frozenset({700, 750}))
    with shield(tmp_path, faults) as (_, meter):
        meter.open()
        assert lost_in(meter, 3.0) == (5, 0)


def test_too_much_current_is_saturated(tmp_path: Path) -> None:
    with shield(tmp_path, Lpm01aFaults(words={600: "Overcurrent detected"}), sample="5100-05") as (_, meter):
        meter.open()
        samples = meter.read(deadline_s=1.0)
        assert samples.saturated == samples.amps.size > 0


def test_garbage_before_the_prompt_is_passed_over(tmp_path: Path) -> None:
    with shield(tmp_path, Lpm01aFaults(garbage=b"\x00\xffPowerSh\r\n6409-07\r\n\xfe")) as (_, meter):
        meter.open()
        assert lost_in(meter, 1.0)[0] == 0


def test_an_acquisition_that_a_program_before_left_running_is_ended(tmp_path: Path) -> None:
    with shield(tmp_path) as (emulated, meter):
        emulated.heard(b"start\n")
        sleep(0.1)
        meter.open()
        assert lost_in(meter, 0.5)[0] == 0


@pytest.mark.parametrize(
    ("faults", "told"),
    [
        (Lpm01aFaults(dumb=True), "does not answer as a PowerShield"),
        (Lpm01aFaults(refuses="volt 1800m"), "refuses 'volt 1800m': .*not possible now"),
        (Lpm01aFaults(silent=True), "prints no samples"),
    ],
)
def test_what_is_no_powershield_or_does_not_obey_is_missing(tmp_path: Path, faults: Lpm01aFaults, told: str) -> None:
    with shield(tmp_path, faults) as (_, meter), pytest.raises(MeterMissing, match=told) as raised:
        meter.open()
    assert raised.value.todo


@pytest.mark.parametrize(
    ("faults", "told"),
    [
        (Lpm01aFaults(words={600: "error: buffer overflow"}, mute_from=601), "stopped measuring: error: buffer overflow"),
        (Lpm01aFaults(mute_from=600), "no sample for 5 s"),
    ],
)
def test_one_that_stops_says_why(tmp_path: Path, faults: Lpm01aFaults, told: str) -> None:
    with shield(tmp_path, faults) as (_, meter):
        meter.open()
        with pytest.raises(DeviceUnreachable, match=told):
            lost_in(meter, SOON)
