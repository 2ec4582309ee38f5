"""Answers kept in a file: whole ones are read back, half-written ones are dropped, one process at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from edgepipe.devices.answers import KEPT_S, KeptAnswers
from edgepipe.errors import DeviceBusy


def some(count: int) -> list[tuple[bytes, ...]]:
    random = Random(0)
    return [tuple(random.randbytes(random.randrange(9)) for _ in range(random.randrange(4))) for _ in range(count)]


def kept(path: Path) -> list[tuple[bytes, ...]]:
    answers = KeptAnswers(path)
    found = list(answers)
    assert len(answers) == len(found)
    answers.close()
    return found


def written(path: Path, answers: list[tuple[bytes, ...]]) -> None:
    file = KeptAnswers(path)
    for each in answers:
        file.add(each)
    file.close()


def test_what_was_added_is_there_again_and_what_comes_later_behind_it(tmp_path: Path) -> None:
    path, answers = tmp_path / "board.answers", some(40)
    written(path, answers[:25])
    written(path, answers[25:])
    assert kept(path) == answers


def test_a_file_cut_at_any_byte_keeps_every_whole_answer_and_goes_on(tmp_path: Path) -> None:
    path, answers = tmp_path / "board.answers", some(6)
    written(path, answers)
    content = path.read_bytes()
    for size in range(len(content)):
        path.write_bytes(content[:size])
        found = kept(path)
        assert found == answers[: len(found)]
        assert len(found) < len(answers)
        written(path, answers[len(found) :])
        assert kept(path) == answers


@pytest.mark.parametrize("damage", [b"\0" * 64, b"\xff" * 64])
def test_what_a_power_cut_leaves_behind_the_last_answer_is_no_answer(tmp_path: Path, damage: bytes) -> None:
    path, answers = tmp_path / "board.answers", some(5)
    written(path, answers)
    path.write_bytes(path.read_bytes() + damage)
    assert kept(path) == answers


def test_a_flipped_bit_costs_that_answer_and_those_behind_it(tmp_path: Path) -> None:
    path, answers = tmp_path / "board.answers", [(b"a" * 10,), (b"b" * 10,), (b"c" * 10,)]
    written(path, answers)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert kept(path) == answers[:1]


def test_two_processes_do_not_collect_the_same_answers(tmp_path: Path) -> None:
    first = KeptAnswers(tmp_path / "board.answers")
    with pytest.raises(DeviceBusy):
        KeptAnswers(tmp_path / "board.answers")
    first.forget()
    assert kept(tmp_path / "board.answers") == []


def test_a_disk_that_fills_up_costs_the_answer_that_did_not_fit(tmp_path: Path) -> None:
    path, answers = tmp_path / "board.answers", some(6)
    written(path, answers[:3])
    most = path.stat().st_size + 5
    code = (
        "import resource, signal, sys; from pathlib import Path; from edgepipe.devices.answers import KeptAnswers\n"
        "from edgepipe.errors import StorageError; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"answers = KeptAnswers(Path({str(path)!r})); resource.setrlimit(resource.RLIMIT_FSIZE, ({most}, {most}))\n"
        "try: answers.add((b'more than five bytes',))\n"
        "except StorageError: sys.exit(len(answers))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 3
    assert kept(path) == answers[:3]
    written(path, answers[3:])
    assert kept(path) == answers


def test_what_nobody_went_on_with_for_a_month_is_deleted(tmp_path: Path) -> None:
    old = tmp_path / "old.answers"
    written(old, some(3))
    os.utime(old, (0, old.stat().st_mtime - KEPT_S - 1))
    kept(tmp_path / "board.answers")
    assert not old.exists()
