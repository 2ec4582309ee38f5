"""The governor is set while models are measured, and is what it was before however the agent ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from board_trees import CORAL_DEV_BOARD, PI4, THROTTLED_PI4, plant

from benchmarks import governor_kills
from edgepipe.devices.agent.conditions import cool_down, snapshot
from edgepipe.devices.agent.governor import Governor, is_settable

POLICY = "sys/devices/system/cpu/cpufreq/policy0/scaling_governor"
# What holds a governor until it is told to end in one way or another.
HOLDER = """
import sys
from edgepipe.devices.agent.governor import Governor
governor = Governor(sys.argv[1], sys.argv[2])
governor.steady()
print("steady", flush=True)
sys.stdin.read()
governor.restore()
"""


@pytest.fixture
def board(tmp_path: Path) -> Path:
    return plant(tmp_path / "board", {**THROTTLED_PI4, POLICY: "ondemand\n"})


@pytest.fixture
def hold(tmp_path: Path, board: Path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    started = []

    def start() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", HOLDER, str(tmp_path), str(board)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        started.append(process)
        assert process.stdout
        assert process.stdout.readline() == b"steady\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def governor_of(board: Path) -> str:
    return (board / POLICY).read_text().strip()


def wait_for(board: Path, wanted: str) -> None:
    end = time.monotonic() + 10
    while governor_of(board) != wanted and time.monotonic() < end:
        time.sleep(0.01)
    assert governor_of(board) == wanted


def test_it_is_set_and_put_back(tmp_path: Path, board: Path) -> None:
    governor = Governor(str(tmp_path), str(board))
    governor.steady()
    governor.steady()
    assert governor_of(board) == "performance"
    governor.restore()
    governor.restore()
    assert governor_of(board) == "ondemand"


def test_every_group_of_cores_gets_its_own_back(tmp_path: Path, board: Path) -> None:
    plant(board, {POLICY.replace("policy0", f"policy{core}"): value for core, value in ((2, "powersave\n"), (4, "performance\n"))})
    governor = Governor(str(tmp_path), str(board))
    governor.steady()
    governor.restore()
    values = [(board / POLICY.replace("policy0", f"policy{core}")).read_text().strip() for core in (0, 2, 4)]
    assert values == ["ondemand", "powersave", "performance"]


def test_older_kernels_show_it_for_each_core(tmp_path: Path) -> None:
    board = plant(tmp_path / "board", CORAL_DEV_BOARD)
    governor = Governor(str(tmp_path), str(board))
    governor.steady()
    assert snapshot([], str(board))["governor"] == "performance"
    governor.restore()
    assert snapshot([], str(board))["governor"] == "ondemand"


def test_what_somebody_else_set_meanwhile_stays(tmp_path: Path, board: Path) -> None:
    governor = Governor(str(tmp_path), str(board))
    governor.steady()
    (board / POLICY).write_text("schedutil\n")
    governor.restore()
    assert governor_of(board) == "schedutil"


def test_a_board_that_is_steady_already_is_left_alone(tmp_path: Path) -> None:
    board = plant(tmp_path / "board", {**PI4, POLICY: "performance\n"})
    governor = Governor(str(tmp_path), str(board))
    (board / POLICY).chmod(0o444)
    governor.steady()
    assert (tmp_path / "governor.json").read_text() == ""
    governor.restore()
    assert governor_of(board) == "performance"


def test_a_governor_that_does_not_exist_there_changes_nothing(tmp_path: Path, board: Path) -> None:
    (board / POLICY).unlink()
    (board / POLICY).symlink_to("/proc/self/oom_score_adj")  # like a governor, it answers EINVAL to what it does not know
    governor = Governor(str(tmp_path), str(board))
    governor.steady()
    governor.restore()
    assert is_settable(str(board))


def test_without_the_right_to_write_nothing_happens(tmp_path: Path, board: Path) -> None:
    """Root may write anywhere, so the test lets go of being root."""
    code = f"""
import os, sys
from edgepipe.devices.agent.governor import Governor, is_settable
if os.getuid() == 0:
    os.setuid(65534)
governor = Governor({str(tmp_path / "home")!r}, {str(board)!r})
governor.steady()
print(is_settable({str(board)!r}))
governor.restore()
"""
    (tmp_path / "home").mkdir(mode=0o777)
    for folder in (tmp_path, *tmp_path.parents):
        if not folder.stat().st_mode & 0o001 and folder.stat().st_uid == os.getuid():
            folder.chmod(folder.stat().st_mode | 0o011)
    (board / POLICY).chmod(0o444)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "False\n", done.stderr
    assert governor_of(board) == "ondemand"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_the_keeper_puts_it_back_when_the_agent_is_killed(
    hold: Callable[[], subprocess.Popen[bytes]], board: Path, number: signal.Signals
) -> None:
    agent = hold()
    assert governor_of(board) == "performance"
    os.killpg(agent.pid, number)  # a keeper in the same group would die with it
    wait_for(board, "ondemand")


def test_an_agent_that_comes_right_after_a_killed_one_finds_what_there_was_before(
    hold: Callable[[], subprocess.Popen[bytes]], tmp_path: Path, board: Path
) -> None:
    for _ in range(5):
        agent = hold()
        agent.kill()
        governor = Governor(str(tmp_path), str(board))
        governor.steady()
        time.sleep(0.05)
        assert governor_of(board) == "performance"
        governor.restore()
        assert governor_of(board) == "ondemand"


def test_the_next_agent_puts_back_what_agent_and_keeper_left(tmp_path: Path, board: Path) -> None:
    (board / POLICY).write_text("performance\n")
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    (tmp_path / "governor.json").write_text(json.dumps({"boot": boot, "before": {str(board / POLICY): "ondemand"}}))
    Governor(str(tmp_path), str(board))
    assert governor_of(board) == "ondemand"


@pytest.mark.parametrize("note", ['{"boot": "another", "before": {"POLICY": "ondemand"}}', '{"boot": "anoth', ""])
def test_a_note_of_another_boot_or_half_a_note_changes_nothing(tmp_path: Path, board: Path, note: str) -> None:
    (board / POLICY).write_text("performance\n")
    (tmp_path / "governor.json").write_text(note.replace("POLICY", str(board / POLICY)))
    Governor(str(tmp_path), str(board))
    assert governor_of(board) == "performance"


def test_a_slice_of_the_campaign_of_kills_leaves_no_governor_changed(tmp_path: Path) -> None:
    figures = governor_kills.measure(tmp_path, 25, seed=2)
    assert (figures["agents_killed"], figures["governors_left_changed"]) == (25, 0)


def test_a_board_without_frequencies_has_nothing_to_set(tmp_path: Path) -> None:
    governor = Governor(str(tmp_path), str(tmp_path))
    governor.steady()
    governor.restore()
    assert is_settable(str(tmp_path)) is None


def test_a_hot_board_is_waited_for_and_a_cold_one_is_not(tmp_path: Path) -> None:
    board, zone = plant(tmp_path, THROTTLED_PI4), tmp_path / "sys/class/thermal/thermal_zone0/temp"
    signs = []

    def alive() -> None:
        signs.append(zone.read_text())
        zone.write_text(f"{int(zone.read_text()) - 5000}\n")

    assert cool_down(70.0, 60.0, alive, str(board)) > 0
    assert [int(sign) for sign in signs] == [82303, 77303, 72303]
    assert cool_down(70.0, 60.0, pytest.fail, str(board)) < 0.2


def test_cooling_down_has_an_end_and_needs_a_thermometer(tmp_path: Path) -> None:
    board = plant(tmp_path / "board", THROTTLED_PI4)
    assert 0.3 <= cool_down(20.0, 0.3, lambda: None, str(board)) < 5
    assert cool_down(20.0, 60.0, pytest.fail, str(tmp_path)) < 0.2
    assert cool_down(None, 60.0, pytest.fail, str(board)) < 0.2
