"""The text protocol of MLPerf Tiny, word for word: what its unmodified runner sends and reads."""

from __future__ import annotations

import ctypes
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

from edgepipe.devices.firmware_build import FLAGS
from tests.firmware.host_board import HostBoard

READY = ["m-ready"]


@pytest.fixture
def board(program: Path) -> Iterator[HostBoard]:
    started = HostBoard(program)
    started.lines()
    yield started
    started.close()


def test_it_says_at_boot_that_it_measures_time_and_is_ready(program: Path) -> None:
    board = HostBoard(program)
    mode, lap, done, ready = board.lines()
    board.close()
    assert (mode, done, ready) == ("m-timestamp-mode-performance", "m-init-done", "m-ready")
    assert re.fullmatch(r"m-lap-us-\d+", lap)


# FACTS of the protocol: command -> what is answered before "m-ready".
ANSWERS = {
    "name%": ["m-name-dut-[edgepipe]"],
    "  name   surplus words%": ["m-name-dut-[edgepipe]"],
    "profile%": ["m-profile-[ULPMark for tinyML Firmware V0.0.1]", "m-model-[none]"],
    "profile surplus%": ["m-profile-[ULPMark for tinyML Firmware V0.0.1]", "m-model-[none]"],
    "NAME%": ["e-[Unknown command: NAME]"],
    "names%": ["e-[Unknown command: names]"],
    "x" * 80 + "%": [f"e-[Unknown command: {'x' * 80}]"],
    "x" * 81 + "%": [f"e-[Unknown command: {'x' * 80}]"],
    "x" * 100 + "%": [f"e-[Unknown command: {'x' * 80}]"],
    "name" + " " * 90 + "%": ["m-name-dut-[edgepipe]"],
    "%": ["e-[Unknown command: ]"],
    "   %": ["e-[Unknown command: ]"],
    "db%": ["e-[Command 'db' requires a subcommand]"],
    "db load%": ["e-[Command 'db load' requires the # of bytes]"],
    "db load 0%": ["e-[Command 'db load' must be >0 bytes]"],
    "db load -4%": ["e-[Command 'db load' must be >0 bytes]"],
    "db load x%": ["e-[Command 'db load' must be >0 bytes]"],
    "db load 99999999999999%": ["e-[Command 'db load' must be <=32768 bytes]"],
    "db load 32769%": ["e-[Command 'db load' must be <=32768 bytes]"],
    "db load 32768%": ["m-[Expecting 32768 bytes]"],
    "db load 12%": ["m-[Expecting 12 bytes]"],
    "db load 12 34 surplus%": ["m-[Expecting 12 bytes]"],
    "db Load 12%": ["e-[Invalid hex digit 'Lo']"],
    "db 123%": ["e-[Insufficent number of hex digits]"],
    "db zz%": ["e-[Invalid hex digit 'zz']"],
    "db 0g%": ["e-[Invalid hex digit '0g']"],
    "db " + "00" * 38 + "%": [],
    "db " + "00" * 39 + "%": ["e-[Insufficent number of hex digits]"],  # its last digit is beyond the 80 that are kept
    "db print surplus%": [],
    "infer 0%": ["e-[Inference iterations must be >0]"],
    "infer x%": ["e-[Inference iterations must be >0]"],
    "infer -3 1%": ["e-[Inference iterations must be >0]"],
    "infer 1 -1%": ["e-[Inference warmup must be >=0]"],
    "infer%": ["e-[There is no model]"],
    "infer 1 0 surplus%": ["e-[There is no model]"],
    "results%": ["e-[There is no model]"],
}


@pytest.mark.parametrize("command", ANSWERS)
def test_a_command_is_answered_word_for_word(board: HostBoard, command: str) -> None:
    assert board.says(command) == ANSWERS[command] + READY


def test_bytes_are_loaded_in_any_case_and_printed_eight_a_line(board: HostBoard) -> None:
    assert board.says("db load 10%") == ["m-[Expecting 10 bytes]", *READY]
    assert board.says("db 00010203aBCdfF%") == READY
    assert board.says("db 070809FFFF%") == ["m-load-done", *READY]
    assert board.says("db 55%") == READY  # all are there: more are dropped
    assert board.says("db print%") == ["m-buffer-00-01-02-03-ab-cd-ff-07", "m-buffer-08-09", "", *READY]
    board.says("db load 8%")
    assert board.says("db 1122334455667788%") == ["m-load-done", *READY]
    assert board.says("db print%") == ["m-buffer-11-22-33-44-55-66-77-88", *READY]


CONVERSATION = (
    ("name%", b"m-name-dut-[edgepipe]\r\nm-ready\r\n"),
    ("profile%", b"m-profile-[ULPMark for tinyML Firmware V0.0.1]\r\nm-model-[none]\r\nm-ready\r\n"),
    ("db load 9%", b"m-[Expecting 9 bytes]\r\nm-ready\r\n"),
    ("db 0102%", b"m-ready\r\n"),
    ("db 030405060708aB99%", b"m-load-done\r\nm-ready\r\n"),
    ("db print%", b"m-buffer-01-02-03-04-05-06-07-08\r\nm-buffer-ab\r\n\r\nm-ready\r\n"),
    ("db 0%", b"e-[Insufficent number of hex digits]\r\nm-ready\r\n"),
    ("infer 0%", b"e-[Inference iterations must be >0]\r\nm-ready\r\n"),
    ("results%", b"e-[There is no model]\r\nm-ready\r\n"),
    ("bye%", b"e-[Unknown command: bye]\r\nm-ready\r\n"),
)


def test_a_conversation_is_the_same_to_the_byte_however_it_is_cut(board: HostBoard) -> None:
    asked = "".join(command for command, _ in CONVERSATION).encode()
    expected = b"".join(answer for _, answer in CONVERSATION)
    for size in (1, 7, len(asked)):
        for start in range(0, len(asked), size):
            board.write(asked[start : start + size], deadline_s=10)
        said, end = b"", monotonic() + 10
        while len(said) < len(expected) and monotonic() < end:
            said += board.read(deadline_s=1)
        assert said == expected


def test_time_stamps_wrap_after_71_minutes_and_are_right_after_weeks(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2] / "devices" / "firmware"
    subprocess.run(
        ["gcc", *FLAGS, "-shared", "-fPIC", f"-I{root}", root / "text" / "stamp.c", "-o", tmp_path / "stamp.so"], check=True
    )
    stamp_us = ctypes.CDLL(str(tmp_path / "stamp.so")).stamp_us
    stamp_us.argtypes, stamp_us.restype = (ctypes.c_uint64, ctypes.c_uint32), ctypes.c_uint32
    for clock_hz in (1_000_000, 25_000_000, 32_000_000, 1_000_000_000):
        for seconds in (0, 1, 71 * 60, 72 * 60, 6 * 3600, 30 * 86_400):
            for rest in (0, 1, clock_hz - 1):
                ticks = seconds * clock_hz + rest
                assert stamp_us(ticks, clock_hz) == ticks * 1_000_000 // clock_hz % 2**32


def test_time_stamps_are_microseconds_that_grow(board: HostBoard) -> None:
    first, second = (int(board.says("timestamp%")[0].removeprefix("m-lap-us-")) for _ in range(2))
    assert first <= second < 2**32


def test_there_is_nothing_between_two_answers(board: HostBoard) -> None:
    board.says("name%")
    assert board.read(deadline_s=0.05) == b""


def test_a_zero_byte_breaks_a_command_off(board: HostBoard) -> None:
    assert board.says("na\0name%") == ["m-name-dut-[edgepipe]", *READY]
