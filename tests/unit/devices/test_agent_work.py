"""Long loops for a power meter: as long and as often as asked, marked throughout, and on the host's clock."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.synthetic import convolution
from edgepipe.devices.agent import gpio
from edgepipe.devices.agent.work import loop
from edgepipe.devices.boards.linux import LinuxBoard
from edgepipe.devices.clock_map import ClockMap, Exchange, exchange
from edgepipe.devices.transports.local import LocalTransport
from edgepipe.devices.work import StretchKind, WorkRequest
from edgepipe.errors import InfrastructureError, ModelRejected

KERNELS_OWN = r"""
#include <linux/gpio.h>
#include <stddef.h>
#include <stdio.h>
int main(void) {
    printf("%zu %zu %u %u %zu %u\n", sizeof(struct gpio_v2_line_request), offsetof(struct gpio_v2_line_request, fd),
           (unsigned)GPIO_V2_GET_LINE_IOCTL, (unsigned)GPIO_V2_LINE_SET_VALUES_IOCTL, sizeof(struct gpio_v2_line_values),
           (unsigned)GPIO_V2_LINE_FLAG_OUTPUT);
}
"""


@pytest.fixture
def board(agent_home: Path) -> Iterator[LinuxBoard]:
    with closing(LinuxBoard("pc", LocalTransport())) as opened:
        opened.open()
        yield opened


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.tflite"
    path.write_bytes(convolution(side=4, channels=2))
    return path


def test_a_loop_lasts_both_as_long_and_as_often_as_asked_and_is_marked_throughout() -> None:
    marks: list[bool] = []
    seen: list[bool] = []
    kind, began, ended, count = loop(lambda: seen.append(marks[-1]), 0.05, 1, marks.append, lambda: None)
    assert (kind, count, marks) == ("window", len(seen), [True, False])
    assert ended - began >= 50_000_000 and all(seen)
    assert loop(lambda: None, 0.0, 25, marks.append, lambda: None)[-1] == 25


def test_a_board_rests_loops_and_rests_again_in_order(board: LinuxBoard, model: Path) -> None:
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
    board.push(model, sha256)
    done = board.work(sha256, WorkRequest(windows=2, window_s=0.1, idle_s=0.1, least_inferences=3))
    assert [stretch.kind for stretch in done.stretches] == [StretchKind.IDLE, *2 * [StretchKind.WINDOW], StretchKind.IDLE]
    slack_s = 4 * max(stretch.uncertainty_s for stretch in done.stretches)  # either end is mapped from the board's clock
    assert all(stretch.end_s - stretch.start_s >= 0.1 - slack_s for stretch in done.stretches)
    assert all(earlier.end_s < later.start_s for earlier, later in pairwise(done.stretches))
    assert all(stretch.inferences >= 3 for stretch in done.stretches if stretch.kind is StretchKind.WINDOW)
    assert not done.marked


def test_a_marker_that_is_not_there_is_told_and_is_not_the_models_fault(board: LinuxBoard, model: Path) -> None:
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
    board.push(model, sha256)
    if Path(gpio.CHIP).exists():
        pytest.skip("this machine has a GPIO")
    with pytest.raises(InfrastructureError, match="line 4 of /dev/gpiochip0 cannot be the marker"):
        board.work(sha256, WorkRequest(windows=1, window_s=0.1, idle_s=0.1, marker_gpio=4))


def test_a_model_that_cannot_be_loaded_is_rejected(board: LinuxBoard, tmp_path: Path) -> None:
    path = tmp_path / "broken.tflite"
    path.write_bytes(b"no model")
    sha256 = hashlib.sha256(b"no model").hexdigest()
    board.push(path, sha256)
    with pytest.raises(ModelRejected):
        board.work(sha256, WorkRequest(windows=1, window_s=0.1, idle_s=0.1))


def test_the_gpio_structures_are_the_kernels_own(tmp_path: Path) -> None:
    if shutil.which("gcc") is None or not Path("/usr/include/linux/gpio.h").exists():
        pytest.skip("needs the kernel's headers: apt-get install gcc linux-libc-dev")
    (tmp_path / "own.c").write_text(KERNELS_OWN)
    subprocess.run(["gcc", str(tmp_path / "own.c"), "-o", str(tmp_path / "own")], check=True, timeout=60)
    told = subprocess.run([str(tmp_path / "own")], capture_output=True, text=True, check=True, timeout=10).stdout.split()
    ours = (gpio.REQUEST.size, gpio.REQUEST.size - 4, gpio.GET_LINE, gpio.SET_VALUES, gpio.VALUES.size, gpio.FLAG_OUTPUT)
    assert tuple(map(int, told)) == ours


def test_a_boards_clock_is_mapped_with_its_offset_its_pace_and_what_is_not_known() -> None:
    def at(host_s: float, round_trip_s: float) -> Exchange:
        board_s = 5.0 + 1.001 * host_s  # an offset, and a clock that runs fast
        return Exchange(sent_s=host_s - round_trip_s / 2, board_s=board_s, received_s=host_s + round_trip_s / 2)

    clock = ClockMap(before=at(100.0, 0.002), after=at(160.0, 0.004))
    assert clock.host_s(5.0 + 1.001 * 130.0) == pytest.approx(130.0, abs=1e-9)
    assert clock.uncertainty_s == pytest.approx(0.002 / 3**0.5)


def test_the_quickest_of_several_readings_counts() -> None:
    times = iter([0.0, 9.0, 10.0, 10.5, 11.0, 13.0])
    best = exchange(lambda: 10**9, count=3, clock=lambda: next(times))
    assert (best.sent_s, best.received_s) == (10.0, 10.5)
