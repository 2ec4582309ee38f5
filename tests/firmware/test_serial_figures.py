"""Small slices of the serial line's benchmarks: ticks that repeat, and uploads that keep a paced line busy."""

from __future__ import annotations

import random
from contextlib import closing

import pytest

from benchmarks.emulated_line import MACHINE
from benchmarks.exact_ticks import ticks
from benchmarks.serial_goodput import goodput
from edgepipe.devices.transports.qemu import missing_packages
from tests.firmware.host_board import HostBoard, firmware
from tests.firmware.random_models import random_model


def test_a_run_takes_the_same_ticks_in_every_boot_after_every_wait(tmp_path_factory: pytest.TempPathFactory) -> None:
    if missing := missing_packages(MACHINE):
        pytest.skip(f"emulated microcontrollers need apt-get install {' '.join(missing)}")
    content, _ = random_model("CONV_2D", 3, rows=1)
    folder, source = tmp_path_factory.getbasetemp() / "firmware", random.Random(2)
    found = [ticks(folder, content, source, runs=6) for _ in range(2)]
    assert len(set(found[0] + found[1])) == 1
    assert found[0][0] > 0


def test_nothing_is_sent_twice_over_a_line_that_only_takes_its_time(tmp_path_factory: pytest.TempPathFactory) -> None:
    program = firmware(tmp_path_factory.getbasetemp() / "firmware")
    for turnaround_s in (0.001, 0.016):
        assert goodput(lambda: closing(HostBoard(program)), 921_600, turnaround_s, 0.0, 60_000)["rewinds"] == 0
    assert goodput(lambda: closing(HostBoard(program)), 921_600, 0.001, 0.1, 10_000)["rewinds"] > 0
