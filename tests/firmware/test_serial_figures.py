"""Small slices of the serial line's benchmarks: ticks that repeat, and uploads that keep a paced line busy."""

from __future__ import annotations

import random
from contextlib import closing
from pathlib import Path

from benchmarks.emulated_line import MACHINE
from benchmarks.exact_ticks import ticks
from benchmarks.serial_goodput import goodput
from tests.firmware.emulated_board import needs_emulator
from tests.firmware.host_board import HostBoard
from tests.firmware.random_models import random_model


def test_a_run_takes_the_same_ticks_in_every_boot_after_every_wait(builds: Path) -> None:
    needs_emulator(MACHINE)
    content, _ = random_model("CONV_2D", 3, rows=1)
    source = random.Random(2)
    found = [ticks(builds, content, source, runs=6) for _ in range(2)]
    assert len(set(found[0] + found[1])) == 1
    assert found[0][0] > 0


def test_nothing_is_sent_twice_over_a_line_that_only_takes_its_time(program: Path) -> None:
    for turnaround_s in (0.001, 0.016):
        assert goodput(lambda: closing(HostBoard(program)), 921_600, turnaround_s, 0.0, 60_000)["rewinds"] == 0
    assert goodput(lambda: closing(HostBoard(program)), 921_600, 0.001, 0.1, 10_000)["rewinds"] > 0
