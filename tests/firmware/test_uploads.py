"""Uploads: whole or not at all, over a line that damages, with resets in between; boot noise is never taken for an answer."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks.boot_noise import Booting, Heard, noise, tried
from benchmarks.misread_line import MisreadLine, misread
from benchmarks.serial_faults import LIMITS, Trial, counted_up
from edgepipe.devices.transports.frame_link import Ask, FrameLink, Status
from edgepipe.devices.transports.serial_line import Line
from edgepipe.devices.transports.serial_upload import Sent, SerialUpload, Upload
from edgepipe.errors import DeviceUnreachable, ModelRejected
from tests.firmware.host_board import HostBoard

OPEN_S = 10.0


@pytest.fixture
def board(program: Path) -> Iterator[HostBoard]:
    started = HostBoard(program)
    yield started
    started.close()


def linked(line: Line) -> FrameLink:
    link = FrameLink(line, "board")
    link.hello(deadline_s=OPEN_S)
    return link


def image(seed: int, size: int) -> Upload:
    return Upload(content=random.Random(seed).randbytes(size), name="kws01")


def sent(link: FrameLink, upload: Upload, *, deadline_s: float = 30.0) -> Sent:
    return SerialUpload(link, upload, LIMITS).run(deadline_s=deadline_s)


def test_a_file_arrives_and_is_not_sent_again(board: HostBoard) -> None:
    link, upload = linked(board), image(1, 100_000)
    first, second = sent(link, upload), sent(link, upload)
    assert first.began_at == 0
    assert (second.began_at, second.pieces) == (100_000, 0)
    assert "m-model-[kws01]" in board.says("profile%")


def test_another_file_of_the_same_length_begins_anew(board: HostBoard) -> None:
    link = linked(board)
    sent(link, image(1, 5000))
    assert sent(link, image(2, 5000)).began_at == 0


def test_an_upload_that_was_cut_goes_on_after_a_reset(board: HostBoard) -> None:
    link, upload = linked(board), image(3, 50_000)
    link.ask(Ask.BEGIN, upload.order, deadline_s=OPEN_S)
    for start in range(0, 20_000, 1000):
        link.ask(Ask.DATA, start.to_bytes(4, "little") + upload.content[start : start + 1000], deadline_s=OPEN_S)
    board.press_reset()
    assert sent(linked(board), upload).began_at == 20_000


def test_a_reset_in_the_middle_is_lived_through(board: HostBoard) -> None:
    link, upload, pressed = linked(board), image(4, 200_000), list[int]()

    def press(offset: int) -> None:
        if offset > 60_000 * (1 + len(pressed)):
            pressed.append(offset)
            board.press_reset()

    SerialUpload(link, upload, LIMITS, press).run(deadline_s=60)
    assert len(pressed) == 3


def test_what_is_only_late_is_not_sent_again(board: HostBoard) -> None:
    link, upload, stalled = linked(board), image(10, 200_000), list[int]()

    def stall(offset: int) -> None:
        if offset > 60_000 * (1 + len(stalled)):
            stalled.append(offset)
            board.stall(0.8)

    done = SerialUpload(link, upload, LIMITS, stall).run(deadline_s=60)
    assert len(stalled) == 3
    assert (done.rewinds, done.pieces) == (0, -(-200_000 // 1020))


def test_a_button_that_bounces_does_no_more_than_one_that_does_not(board: HostBoard) -> None:
    upload = image(8, 3000)
    sent(linked(board), upload)
    for _ in range(20):
        board.press_reset()
    assert sent(linked(board), upload).began_at == 3000


def test_after_a_power_cut_it_begins_anew(board: HostBoard) -> None:
    upload = image(9, 3000)
    sent(linked(board), upload)
    board.press_power()
    assert sent(linked(board), upload).began_at == 0


def test_a_file_that_does_not_fit_is_refused_before_a_byte_is_sent(board: HostBoard) -> None:
    with pytest.raises(ModelRejected, match="1,048,577 bytes does not fit"):
        sent(linked(board), image(5, (1 << 20) + 1))


def test_memory_that_changed_is_found_by_the_hash(board: HostBoard) -> None:
    link, upload = linked(board), image(6, 1000)
    wrong = bytes([upload.content[0] ^ 1]) + upload.content[1:]
    link.ask(Ask.BEGIN, upload.order, deadline_s=OPEN_S)
    link.ask(Ask.DATA, bytes(4) + wrong, deadline_s=OPEN_S)
    assert link.ask(Ask.COMMIT, deadline_s=OPEN_S).status is Status.DIFFERENT
    assert sent(link, upload).began_at == 0


@pytest.mark.parametrize(("rate", "largest_bytes"), [(1e-4, 30_000), (1e-3, 30_000), (1e-2, 1_000)])
def test_over_a_damaging_line_everything_arrives_or_fails_cleanly(program: Path, rate: float, largest_bytes: int) -> None:
    trials = [Trial(program=program, seed=seed, size_bytes=1 + largest_bytes * seed // 6, rate=rate) for seed in range(6)]
    with ThreadPoolExecutor(len(trials)) as pool:  # they mostly wait
        found = counted_up(list(pool.map(Trial.run, trials)))
    assert found["silently_corrupt"] == 0
    assert found["arrived"] + found["failed_cleanly"] == found["images"] == 6
    assert found["faults"] > 0
    assert found["arrived"] == 6 or rate == 1e-2


def test_boot_noise_is_never_an_answer(board: HostBoard) -> None:
    source, heard = random.Random(7), Heard(board)
    linked(heard).ask(Ask.INFO, bytes(4), deadline_s=OPEN_S)
    for _ in range(200):
        link = linked(Booting(board, noise(source, bytes(heard.said))))
        answer = link.ask(Ask.INFO, bytes(4), deadline_s=OPEN_S)
        assert answer.status is Status.OK
        assert answer.payload.startswith(b"protocol 1\nboard host\n")


def test_behind_boot_noise_a_model_answers_as_ever(program: Path, tmp_path: Path) -> None:
    assert tried(program, tmp_path, 3) == {"trials": 3, "right": 3, "failed_cleanly": 0, "wrong": 0}


def test_silence_and_noise_are_told_apart(board: HostBoard) -> None:
    class Saying:
        def __init__(self, data: bytes) -> None:
            self.data = data

        def read(self, *, deadline_s: float) -> bytes:
            return self.data

        def write(self, data: bytes, *, deadline_s: float) -> None:
            pass

        def close(self) -> None:
            pass

    for data, cause in ((b"", "nothing at all came"), (b"\xe3\x8f\x00\x9c", "another baud rate")):
        with pytest.raises(DeviceUnreachable) as raised:
            FrameLink(Saying(data), "board").hello(deadline_s=0.05)
        assert cause in raised.value.cause


@pytest.mark.parametrize(("board_baud", "baud"), [(115_200, 921_600), (921_600, 115_200), (115_200, 57_600), (9600, 115_200)])
def test_a_wrong_baud_rate_is_said_to_be_one(program: Path, board_baud: int, baud: int) -> None:
    every = bytes(range(256))
    assert misread(every, baud, baud) == misread(every, baud, baud + baud // 50) == every  # as far as a UART tolerates
    for has_started in (False, True):  # a board that says its banner, and one that has nothing to say but answers to nonsense
        board = HostBoard(program)
        if has_started:
            board.lines()
        with pytest.raises(DeviceUnreachable) as raised:
            FrameLink(MisreadLine(board, board_baud=board_baud, baud=baud), "board").hello(deadline_s=0.3)
        assert "another baud rate" in raised.value.cause
        board.close()


def test_the_hash_is_sha256(board: HostBoard) -> None:
    link = linked(board)
    for size in (0, 1, 55, 56, 63, 64, 65, 119, 120, 1000):
        upload = image(size, size)
        assert upload.order[:32] == hashlib.sha256(upload.content).digest()
        sent(link, upload)
