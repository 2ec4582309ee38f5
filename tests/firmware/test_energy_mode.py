"""MLPerf Tiny's energy mode: the same conversation word for word, with an edge of the marker for each time that would be told."""

from __future__ import annotations

import re
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from time import monotonic

import pytest

from edgepipe.devices.firmware_build import ENERGY_MODE
from edgepipe.devices.transports.frame_link import Ask
from edgepipe.devices.transports.frames import Frame, encode
from edgepipe.devices.transports.serial_line import Line
from tests.firmware.emulated_board import in_qemu
from tests.firmware.host_board import HostBoard, firmware, push
from tests.firmware.random_models import random_model

RESET = encode(Frame(kind=Ask.RESET, sequence=7, payload=b""))
ASKED = ("name%", "profile%", "timestamp%", "db load 4%", "db 00010203%", "infer 3 2%", "results%", "infer%", "infer 0%", "bye%")
EDGES = 1 + 1 + 2 + 2  # at the start, for "timestamp", and on both sides of the runs of each "infer"
LAP = rb"m-lap-us-\d+\r\n"


def spoken(line: Line) -> bytes:
    """Return all that a board says that is reset with a model in it, and then asked."""
    content, rows = random_model("SOFTMAX", 1, rows=1)
    push(line, content, "tiny")
    line.write(RESET, deadline_s=10)
    said = answer(line).rpartition(b"\0")[2]  # after the frame that answers
    sample = rows[0][0].tobytes()
    for command in (word.replace("4", str(len(sample))).replace("00010203", sample.hex()) for word in ASKED):
        line.write(command.encode(), deadline_s=10)
        said += answer(line)
    return said


def answer(line: Line) -> bytes:
    said, end = b"", monotonic() + 20
    while not said.endswith(b"m-ready\r\n"):
        assert monotonic() < end, said
        said += line.read(deadline_s=1)
    return said


def without_laps(said: bytes) -> bytes:
    assert len(re.findall(LAP, said)) == EDGES
    return re.sub(LAP, b"", said).replace(b"m-timestamp-mode-performance\r\n", b"m-timestamp-mode-energy\r\n")


@pytest.fixture(scope="module")
def expected(builds: Path) -> bytes:
    """What is said in energy mode: what tests/firmware/test_text.py has of the other, and nothing where that tells a time."""
    with closing(HostBoard(firmware(builds))) as board:
        board.lines()
        said = without_laps(spoken(board))
    assert said.startswith(b"m-timestamp-mode-energy\r\nm-init-done\r\nm-ready\r\nm-name-dut-[edgepipe]\r\n")
    assert b"m-warmup-start-2\r\nm-warmup-done\r\nm-infer-start-3\r\nm-infer-done\r\nm-results-[" in said
    return said


def test_on_this_machine_each_time_is_an_edge_and_nothing_else_is_said(expected: bytes, builds: Path, tmp_path: Path) -> None:
    pin = tmp_path / "pin"
    with closing(HostBoard(firmware(builds, flags=ENERGY_MODE), marker=pin)) as board:
        board.lines()
        before = len(pin.read_text().splitlines())
        assert spoken(board) == expected
    moves = [tuple(map(int, move.split())) for move in pin.read_text().splitlines()][before:]
    assert [level for _, level in moves] == [1, 0, 1] * EDGES
    held_ns = [up - down for (down, low), (up, _) in pairwise(moves) if not low]
    assert min(held_ns) >= 1000  # the rules of MLPerf Tiny: at least a microsecond


def test_on_an_emulated_board_it_is_the_same_to_the_byte(expected: bytes, builds: Path, tmp_path: Path) -> None:
    log = tmp_path / "trace"
    options = ("-trace", "led_change_intensity", "-D", str(log))
    with closing(in_qemu("m4", builds, flags=ENERGY_MODE, options=options)) as transport:
        assert spoken(transport.open(deadline_s=20)) == expected
    changes = [line.rsplit(" ", 1)[1] for line in log.read_text().splitlines() if "USERLED0" in line]
    assert changes == ["100%", *["0%", "100%"] * (1 + EDGES)]  # once more when it was switched on; runs do not move it
