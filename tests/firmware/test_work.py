"""Long loops on a microcontroller: one request, one window, the same inputs every time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from edgepipe.devices.boards.mcu import McuBoard
from edgepipe.devices.boards.mcu_talk import McuTalk
from edgepipe.devices.boards.mcu_work import MARGIN, work_on
from edgepipe.devices.protocols import RunOptions
from edgepipe.devices.transports.frame_link import FrameLink
from edgepipe.devices.work import StretchKind, WorkRequest
from edgepipe.errors import Interrupted, UsageError
from tests.firmware.answered import Real
from tests.firmware.emulated_board import in_qemu

KWS = "kws_ref_model"


@pytest.fixture
def board(builds: Path) -> Iterator[McuBoard]:
    with closing(McuBoard("m4", in_qemu("m4", builds), emulated=True, lock_folder=builds)) as opened:
        opened.open()
        yield opened


def test_many_runs_in_one_window_answer_as_one_does_and_take_as_long_each(board: McuBoard, reals: dict[str, Real]) -> None:
    real = reals[KWS]
    board.push(real.path, real.sha256)
    (once,) = board.predict(real.sha256, iter([(real.sample,)]), RunOptions())
    talk = McuTalk(FrameLink(board._open().link._line, "m4"), "m4")
    talk.info()
    ticks = {}
    for count in (1, 2, 5):
        talk.write(0, real.sample)
        ticks[count] = talk.invoke(count, deadline_s=60.0)
        assert talk.read(0, len(real.answer)) == real.answer == once.outputs[0]
    copying = (ticks[5] - ticks[2]) / 3 - ticks[1]
    assert 0 <= copying < 0.01 * ticks[1]  # of the inputs, between two runs


def test_a_board_rests_loops_and_rests_again(board: McuBoard, reals: dict[str, Real]) -> None:
    real = reals[KWS]
    board.push(real.path, real.sha256)
    done = board.work(real.sha256, WorkRequest(windows=2, window_s=0.3, idle_s=0.1, least_inferences=2))
    assert [stretch.kind for stretch in done.stretches] == [StretchKind.IDLE, *2 * [StretchKind.WINDOW], StretchKind.IDLE]
    assert all(earlier.end_s < later.start_s for earlier, later in pairwise(done.stretches))
    assert not done.marked
    with pytest.raises(UsageError, match="port has its own"):
        board.work(real.sha256, WorkRequest(marker_gpio=4))


@dataclass
class Clockwork:
    """A board that takes `pace_s` for a run, on a clock of its own; after three runs it is `faster` times as quick."""

    pace_s: float
    faster: float = 1.0
    now_s: float = 0.0
    counts: list[int] = field(default_factory=list)
    began_s: list[float] = field(default_factory=list)

    def feed(self) -> None:
        self.now_s += 0.001

    def run(self, count: int, *, deadline_s: float) -> None:
        self.counts.append(count)
        self.began_s.append(self.now_s)
        pace_s = self.pace_s / (self.faster if len(self.counts) > 3 else 1.0)
        assert count * pace_s < deadline_s
        self.now_s += count * pace_s

    def round_trip_s(self) -> float:
        return 0.004

    def nap(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.mark.parametrize("pace_s", [0.00002, 0.3, 2.5])
def test_windows_are_long_enough_and_hardly_longer_whatever_the_model_takes(pace_s: float) -> None:
    board = Clockwork(pace_s)
    done = work_on(board, WorkRequest(), marked=True, check=lambda: None, clock=lambda: board.now_s, nap=board.nap)
    windows = [stretch for stretch in done.stretches if stretch.kind is StretchKind.WINDOW]
    assert len(windows) == 5
    for window in windows:
        seconds = window.end_s - window.start_s
        assert max(10.5, 10 * pace_s) - 1e-6 <= seconds <= MARGIN * max(10.5, 10 * pace_s) + 2 * pace_s
        assert window.inferences >= 10
        assert window.uncertainty_s == pytest.approx(0.002 / 3**0.5)


def test_a_window_that_falls_short_is_run_again() -> None:
    board = Clockwork(0.01, faster=1.5)
    done = work_on(board, WorkRequest(), marked=True, check=lambda: None, clock=lambda: board.now_s, nap=board.nap)
    assert all(stretch.end_s - stretch.start_s >= 10.5 for stretch in done.stretches if stretch.kind is StretchKind.WINDOW)


@pytest.mark.parametrize("marked", [True, False])
def test_a_marker_of_a_window_that_fell_short_is_not_between_the_others(marked: bool) -> None:
    board = Clockwork(0.01, faster=1.5)
    done = work_on(board, WorkRequest(), marked=marked, check=lambda: None, clock=lambda: board.now_s, nap=board.nap)
    windows = [stretch for stretch in done.stretches if stretch.kind is StretchKind.WINDOW]
    ran = [at for at in board.began_s if at > done.stretches[0].start_s]
    assert len(windows) == 5
    assert len(ran) == (5 if marked else 6)


def test_a_board_that_is_stopped_ends_its_rest() -> None:
    def stopped() -> None:
        raise Interrupted("m4: stopped")

    board = Clockwork(0.1)
    with pytest.raises(Interrupted):
        work_on(board, WorkRequest(), marked=True, check=stopped, clock=lambda: board.now_s, nap=board.nap)
