"""A PPK2 on a PTY: what it is told, what it loses, and everything that may be wrong with it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, process_time, sleep

import numpy as np
import pytest

from edgepipe.devices.power.ppk2 import Ppk2, Ppk2Meter
from edgepipe.devices.power.ppk2_calibration import amperes, read_metadata
from edgepipe.devices.power.ppk2_stream import COUNTS, WordStream
from edgepipe.devices.power.serial_meter import open_line
from edgepipe.devices.transports.serial_line import TtyLine
from edgepipe.errors import DeviceBusy, DeviceUnreachable, InventoryError, MeterMissing
from tests.power_meters.ppk2_emulator import ANSWER, HZ, NAME, EmulatedPpk2, Ppk2Faults, words

SOON = 20.0
SOURCE = Ppk2(by_id=NAME, mode="source", volts=3.3, marker_line=3)


@contextmanager
def kit(
    folder: Path, faults: Ppk2Faults | None = None, settings: Ppk2 = SOURCE, **more: object
) -> Iterator[tuple[EmulatedPpk2, Ppk2Meter]]:
    with EmulatedPpk2(folder, faults, memory_s=5.0, **more) as emulated:  # type: ignore[arg-type]
        meter = Ppk2Meter("board", settings, folder=folder)
        try:
            yield emulated, meter
        finally:
            meter.close()


def lost_in(meter: Ppk2Meter, seconds: float) -> int:
    end, dropped = monotonic() + seconds, 0
    while monotonic() < end:
        dropped += meter.read(deadline_s=0.1).dropped
    return dropped


def test_a_source_meter_is_set_up_and_switched_on_before_it_starts(tmp_path: Path) -> None:
    with kit(tmp_path) as (emulated, meter):
        meter.open()
        assert emulated.commands == [b"\x07", b"\x19", b"\x0d" + (3300).to_bytes(2, "big"), b"\x0c\x01", b"\x06"]
        meter.close()
        sleep(0.1)
        assert emulated.commands[-1] == b"\x07"


def test_what_is_set_already_is_not_set_again_since_the_board_would_lose_its_current(tmp_path: Path) -> None:
    settings = Ppk2(by_id=NAME, mode="ampere", volts=3.0)
    with kit(tmp_path, settings=settings) as (emulated, meter):
        meter.open()
        assert emulated.commands == [b"\x07", b"\x19", b"\x11\x01", b"\x0c\x01", b"\x06"]
        meter.close()
        meter.open()
        assert emulated.commands[6:] == [b"\x07", b"\x19", b"\x0c\x01", b"\x06"]


def test_the_marker_is_the_line_that_the_inventory_names(tmp_path: Path) -> None:
    up, down = words(3200, logic=0b11111111), words(3200, first=3200, logic=0b11110111)
    with kit(tmp_path, block=np.concatenate([up, down])) as (_, meter):
        assert meter.open().has_marker
        marker = np.concatenate([meter.read(deadline_s=1.0).marker for _ in range(10)])
        edges = np.flatnonzero(np.diff(marker.astype(int)))
        assert set(np.diff(edges)) == {3200}


def test_every_loss_is_counted_those_that_the_counter_cannot_show_too(tmp_path: Path) -> None:
    lost = {HZ: 4 * 5, 2 * HZ: 4 * COUNTS, 2 * HZ + 50: 4 * 100, 2 * HZ + 500: 4 * 2 * COUNTS + 2}
    with kit(tmp_path, Ppk2Faults(lose_bytes=lost)) as (emulated, meter):
        meter.open()
        dropped = lost_in(meter, 8.0)
        # 130 bytes cost 33 words: two are torn. Where the stream is searched, one more may be taken for torn.
        wanted = 5 + COUNTS + 100 + 2 * COUNTS + 1
        assert emulated.unread == 0
        assert wanted <= dropped <= wanted + 1


def test_nothing_is_lost_or_found_lost_where_nothing_was(tmp_path: Path) -> None:
    with kit(tmp_path) as (emulated, meter):
        meter.open()
        assert lost_in(meter, 5.0) == emulated.unread == 0


def test_who_is_held_up_for_longer_than_the_line_holds_loses_nothing(tmp_path: Path) -> None:
    with EmulatedPpk2(tmp_path) as emulated:
        meter = Ppk2Meter("board", SOURCE, folder=tmp_path)
        meter.open()
        sleep(2.0)
        samples = meter.read(deadline_s=1.0)
        meter.close()
        assert samples.time_s.size > 1.5 * HZ
        assert samples.dropped == emulated.unread == 0


def test_decoding_takes_a_small_share_of_the_time_that_the_samples_took() -> None:
    metadata = read_metadata((ANSWER % (3300, 2)).encode())
    stream, table, data = WordStream(), amperes(metadata, 3.3), words(2048).tobytes()
    began_s = process_time()
    for _ in range(250):
        found = stream.feed(data)
        assert found.dropped == 0
        table[found.words & 0x1FFFF].sum()
    assert process_time() - began_s < 0.25 * 250 * 2048 / HZ


def test_a_current_beyond_the_highest_range_is_saturated(tmp_path: Path) -> None:
    with kit(tmp_path, block=words(6400, code=16383, number=4)) as (_, meter):
        meter.open()
        samples = meter.read(deadline_s=1.0)
        assert samples.saturated == samples.amps.size > 0


def test_what_a_program_before_left_running_is_stopped_and_leftovers_are_passed_over(tmp_path: Path) -> None:
    with kit(tmp_path, Ppk2Faults(garbage=b"\x00\xffR1: 5\x80" * 50 + b"\n")) as (emulated, meter):
        emulated.heard(b"\x06")
        sleep(0.2)
        meter.open()
        assert meter.read(deadline_s=1.0).amps.size


@pytest.mark.parametrize(
    ("faults", "told"),
    [
        (Ppk2Faults(answer=""), "does not answer as a PPK2"),
        (Ppk2Faults(answer="login: "), "does not answer as a PPK2"),
        (Ppk2Faults(answer=ANSWER.replace("END", "")), "does not answer as a PPK2"),
        (Ppk2Faults(answer="\xff" * 3000 + "END"), "does not answer as a PPK2"),
        (Ppk2Faults(answer=ANSWER.replace("R4:", "Q4:")), "lacks constants of its calibration: R4"),
        (Ppk2Faults(silent=True), "sends no samples"),
    ],
)
def test_what_is_no_ppk2_or_no_whole_one_is_missing(tmp_path: Path, faults: Ppk2Faults, told: str) -> None:
    with kit(tmp_path, faults) as (_, meter), pytest.raises(MeterMissing, match=told) as raised:
        meter.open()
    assert raised.value.todo


def test_one_that_falls_silent_is_unreachable(tmp_path: Path) -> None:
    with kit(tmp_path, Ppk2Faults(mute_from=HZ // 2)) as (_, meter):
        meter.open()
        with pytest.raises(DeviceUnreachable, match="no sample for 2 s"):
            lost_in(meter, SOON)


def test_one_that_another_program_has_is_busy(tmp_path: Path) -> None:
    with kit(tmp_path) as (_, meter):
        meter.open()
        with pytest.raises(DeviceBusy):
            Ppk2Meter("other", SOURCE, folder=tmp_path).open()


def test_one_that_may_not_be_opened_says_which_group_to_join(tmp_path: Path) -> None:
    with kit(tmp_path) as (emulated, _):
        Path(emulated.port).chmod(0)
        tmp_path.chmod(0o755)
        found, told = os.pipe()
        child = os.fork()
        if child == 0:
            os.setuid(65534 if os.getuid() == 0 else os.getuid())
            try:
                open_line(NAME, tmp_path, TtyLine)
            except MeterMissing as exc:
                os.write(told, str(exc).encode())
            os._exit(0)
        os.waitpid(child, 0)
        os.close(told)
        words_told = os.read(found, 10_000).decode()
        os.close(found)
        assert "Permission denied" in words_told
        assert "usermod -aG dialout" in words_told


def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InventoryError):
        open_line("../tty", tmp_path, TtyLine)


def test_a_board_that_takes_little_is_measured_in_the_better_ranges(tmp_path: Path) -> None:
    little = Ppk2(by_id=NAME, mode="source", volts=3.3, most_w=0.1)
    with kit(tmp_path, settings=little) as (_, meter):
        assert meter.open().errors.gain == pytest.approx(0.10 / 3**0.5)
    (tmp_path / "other").mkdir()
    with kit(tmp_path / "other") as (_, meter):
        assert meter.open().errors.gain == pytest.approx(0.15 / 3**0.5)
