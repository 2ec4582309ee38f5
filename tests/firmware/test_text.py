"""The text protocol of MLPerf Tiny, word for word: what its unmodified runner sends and reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.firmware.host_board import HostBoard, firmware

READY = ["m-ready"]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return firmware(tmp_path_factory.getbasetemp() / "firmware")


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
    "NAME%": ["e-[Unknown command: NAME]"],
    "names%": ["e-[Unknown command: names]"],
    "x" * 100 + "%": [f"e-[Unknown command: {'x' * 80}]"],
    "%": ["e-[Unknown command: ]"],
    "   %": ["e-[Unknown command: ]"],
    "db%": ["e-[Command 'db' requires a subcommand]"],
    "db load%": ["e-[Command 'db load' requires the # of bytes]"],
    "db load 0%": ["e-[Command 'db load' must be >0 bytes]"],
    "db load -4%": ["e-[Command 'db load' must be >0 bytes]"],
    "db load x%": ["e-[Command 'db load' must be >0 bytes]"],
    "db load 99999999999999%": ["e-[Command 'db load' must be <=32768 bytes]"],
    "db load 12%": ["m-[Expecting 12 bytes]"],
    "db 123%": ["e-[Insufficent number of hex digits]"],
    "db zz%": ["e-[Invalid hex digit 'zz']"],
    "infer 0%": ["e-[Inference iterations must be >0]"],
    "infer x%": ["e-[Inference iterations must be >0]"],
    "infer 1 -1%": ["e-[Inference warmup must be >=0]"],
    "infer%": ["e-[There is no model]"],
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


def test_time_stamps_are_microseconds_that_grow(board: HostBoard) -> None:
    first, second = (int(board.says("timestamp%")[0].removeprefix("m-lap-us-")) for _ in range(2))
    assert first <= second < 2**32


def test_there_is_nothing_between_two_answers(board: HostBoard) -> None:
    board.says("name%")
    assert board.read(deadline_s=0.05) == b""


def test_a_zero_byte_breaks_a_command_off(board: HostBoard) -> None:
    assert board.says("na\0name%") == ["m-name-dut-[edgepipe]", *READY]
