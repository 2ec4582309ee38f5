"""The real agent, guard and health check over a pipe: a bad model never stays, whoever dies, and a good one only if confirmed."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.deployments import BAD, bad, current, good, journal
from edgepipe.devices.boards.linux import LinuxBoard
from edgepipe.devices.deployments import Order, State
from edgepipe.devices.transports.local import LocalTransport
from edgepipe.errors import DeviceBusy, InfrastructureError, UsageError


@pytest.fixture
def board() -> Iterator[LinuxBoard]:
    made = opened()
    yield made
    made.close()


def opened() -> LinuxBoard:
    made = LinuxBoard("local", LocalTransport())
    made.open()
    return made


def confirmed(board: LinuxBoard, order: Order) -> str:
    board.confirm(board.deploy(order).id)
    return order.sha256


def agent_pid(home: Path) -> int:
    return int(json.loads((home / "lock").read_text())["pid"])


def guard_pids(home: Path) -> list[int]:
    """Return the processes that run this board's kept agent."""
    found = []
    for each in Path("/proc").iterdir():
        if each.name.isdigit():
            try:
                words = (each / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if str(home / "agent.pyz").encode() in words:
                found.append(int(each.name))
    return found


def wait_until(holds: Callable[[], object], seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.02)
    return bool(holds())


def kept_agent(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the agent's file that stays on the board."""
    return subprocess.run(
        [sys.executable, "-I", str(home / "agent.pyz"), *arguments], capture_output=True, text=True, check=True, timeout=60
    )


def test_a_good_model_is_current_at_once_and_stays_when_confirmed(board: LinuxBoard, tmp_path: Path, agent_home: Path) -> None:
    order = good(tmp_path / "m")
    deployed = board.deploy(order)
    assert deployed.outcome is State.TRIAL
    assert deployed.sent_bytes == order.model.stat().st_size
    assert deployed.measured.median_us
    assert current(agent_home) == order.sha256
    board.confirm(deployed.id)
    standing = board.standing()
    assert (standing.state, standing.current, standing.names[order.sha256]) == (State.COMMITTED, order.sha256, order.name)
    assert wait_until(lambda: not guard_pids(agent_home)), "the guard of a trial that is over goes home"


def test_an_unchanged_model_sends_no_byte(board: LinuxBoard, tmp_path: Path, agent_home: Path) -> None:
    order = good(tmp_path / "m")
    confirmed(board, order)
    entries = journal(agent_home)
    again = board.deploy(order)
    assert (again.unchanged, again.sent_bytes, again.outcome) == (True, 0, State.COMMITTED)
    assert journal(agent_home) == entries


def test_a_damaged_copy_on_the_board_is_sent_again(board: LinuxBoard, tmp_path: Path, agent_home: Path) -> None:
    order = good(tmp_path / "m")
    confirmed(board, order)
    stored = agent_home / "slots" / "current" / "model.tflite"
    stored.write_bytes(stored.read_bytes()[:-1])
    assert board.deploy(order).sent_bytes
    assert current(agent_home) == order.sha256


@pytest.mark.parametrize("kind", BAD)
def test_each_kind_of_bad_model_is_told_apart_and_rolled_back(
    board: LinuxBoard, tmp_path: Path, agent_home: Path, kind: str
) -> None:
    first = confirmed(board, good(tmp_path / "m", seed=1))
    deployed = board.deploy(bad(tmp_path / "m", kind, seed=2))
    assert (deployed.outcome, deployed.finding) == (State.ROLLED_BACK, kind), deployed.reason
    assert current(agent_home) == first
    assert board.standing().finding == kind


def test_a_trial_that_nobody_confirms_ends_at_its_deadline_with_the_host_gone(tmp_path: Path, agent_home: Path) -> None:
    board = opened()
    first = confirmed(board, good(tmp_path / "m", seed=1))
    order = good(tmp_path / "m", seed=2, deadline_s=10.0)
    assert board.deploy(order).outcome is State.TRIAL
    board.close()
    assert current(agent_home) == order.sha256
    assert wait_until(lambda: current(agent_home) == first)
    assert wait_until(lambda: journal(agent_home)[-1].get("finding") == "deadline")


def test_a_host_that_comes_back_in_time_can_confirm(tmp_path: Path, agent_home: Path) -> None:
    board = opened()
    order = good(tmp_path / "m")
    board.deploy(order)
    board.close()
    again = opened()
    again.confirm()
    again.close()
    assert journal(agent_home)[-1]["event"] == "committed"
    assert current(agent_home) == order.sha256


def test_too_late_is_too_late(board: LinuxBoard, tmp_path: Path, agent_home: Path) -> None:
    deployed = board.deploy(good(tmp_path / "m", deadline_s=3.0))
    assert wait_until(lambda: current(agent_home) is None)
    with pytest.raises(InfrastructureError, match="over"):
        board.confirm(deployed.id)


def test_a_second_deployment_during_a_trial_is_refused(board: LinuxBoard, tmp_path: Path, agent_home: Path) -> None:
    order = good(tmp_path / "m", seed=1)
    board.deploy(order)
    with pytest.raises(DeviceBusy, match="runs already"):
        board.deploy(good(tmp_path / "m", seed=2))
    assert current(agent_home) == order.sha256


def start_checking(board: LinuxBoard, order: Order) -> subprocess.Popen[bytes]:
    """Let another host deploy a model that never answers."""
    code = (
        "import pickle, sys\n"
        "from edgepipe.devices.boards.linux import LinuxBoard\n"
        "from edgepipe.devices.transports.local import LocalTransport\n"
        "board = LinuxBoard('local', LocalTransport())\n"
        "board.open()\n"
        "board.deploy(pickle.loads(bytes.fromhex(sys.argv[1])))\n"
    )
    board.close()
    return subprocess.Popen([sys.executable, "-c", code, pickle.dumps(order).hex()])


@pytest.mark.parametrize("victim", ["host", "agent"])
def test_whoever_dies_during_the_health_check_the_board_goes_back(
    board: LinuxBoard, tmp_path: Path, agent_home: Path, victim: str
) -> None:
    first = confirmed(board, good(tmp_path / "m", seed=1))
    hanging = bad(tmp_path / "m", "hung")
    host = start_checking(board, hanging)
    assert wait_until(lambda: current(agent_home) == hanging.sha256)
    os.kill(host.pid if victim == "host" else agent_pid(agent_home), signal.SIGKILL)
    host.wait()
    assert wait_until(lambda: current(agent_home) == first)
    assert wait_until(lambda: journal(agent_home)[-1]["event"] == "rolled_back")
    assert journal(agent_home)[-1]["finding"] == ("hung" if victim == "host" else "interrupted")


def test_a_stopped_agent_does_not_stop_the_guard(board: LinuxBoard, tmp_path: Path, agent_home: Path) -> None:
    first = confirmed(board, good(tmp_path / "m", seed=1))
    board.deploy(good(tmp_path / "m", seed=2, deadline_s=3.0))
    agent = agent_pid(agent_home)
    os.kill(agent, signal.SIGSTOP)
    try:
        assert wait_until(lambda: current(agent_home) == first)
    finally:
        os.kill(agent, signal.SIGCONT)


def test_a_reboot_during_a_trial_ends_it(board: LinuxBoard, tmp_path: Path, agent_home: Path) -> None:
    """Without an init, a reboot is: every process is killed, then what the boot hook runs."""
    first = confirmed(board, good(tmp_path / "m", seed=1))
    order = good(tmp_path / "m", seed=2)
    board.deploy(order)
    for pid in [agent_pid(agent_home), *guard_pids(agent_home)]:
        os.kill(pid, signal.SIGKILL)
    assert current(agent_home) == order.sha256
    kept_agent(agent_home, "guard", "--boot")
    assert current(agent_home) == first
    entries = journal(agent_home)
    kept_agent(agent_home, "guard", "--boot")
    assert journal(agent_home) == entries


def test_a_shutdown_during_a_trial_ends_it(board: LinuxBoard, tmp_path: Path, agent_home: Path) -> None:
    first = confirmed(board, good(tmp_path / "m", seed=1))
    board.deploy(good(tmp_path / "m", seed=2))
    os.kill(guard_pids(agent_home)[0], signal.SIGTERM)
    assert wait_until(lambda: current(agent_home) == first)


def test_without_its_guard_a_trial_ends_when_the_next_host_comes(board: LinuxBoard, tmp_path: Path, agent_home: Path) -> None:
    first = confirmed(board, good(tmp_path / "m", seed=1))
    board.deploy(good(tmp_path / "m", seed=2))
    os.kill(guard_pids(agent_home)[0], signal.SIGKILL)
    board.close()
    again = opened()
    assert again.standing().finding == "unguarded"
    again.close()
    assert current(agent_home) == first


def test_three_reported_crashes_end_a_trial(board: LinuxBoard, tmp_path: Path, agent_home: Path) -> None:
    first = confirmed(board, good(tmp_path / "m", seed=1))
    board.deploy(good(tmp_path / "m", seed=2))
    said = [kept_agent(agent_home, "report-crash", "SIGSEGV", "in", "my-app").stderr for _ in range(3)]
    assert said[:2] == ["", ""]
    assert "back to the previous model" in said[2]
    assert current(agent_home) == first
    assert journal(agent_home)[-1]["finding"] == "crash reports"


def test_going_back_by_hand_ends_a_trial_and_undoes_a_confirmed_model(board: LinuxBoard, tmp_path: Path, agent_home: Path) -> None:
    first = confirmed(board, good(tmp_path / "m", seed=1))
    board.deploy(good(tmp_path / "m", seed=2))
    assert board.rollback("second thoughts") == first
    second = confirmed(board, good(tmp_path / "m", seed=2))
    assert current(agent_home) == second
    assert board.rollback("third thoughts") == first
    assert current(agent_home) == first
    with pytest.raises(UsageError, match="no previous model"):
        board.rollback("fourth")


def test_a_board_without_a_boot_hook_takes_no_trial_unless_that_is_accepted(board: LinuxBoard, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="boot hook"):
        board.deploy(good(tmp_path / "m", protected=True))
    assert board.standing().state is State.IDLE
    assert board.deploy(good(tmp_path / "m")).protected == "no"


def test_an_older_version_is_refused(board: LinuxBoard, tmp_path: Path, agent_home: Path) -> None:
    second = confirmed(board, good(tmp_path / "m", seed=1, version=2))
    with pytest.raises(UsageError, match="older than version 2"):
        board.deploy(good(tmp_path / "m", seed=2, version=1))
    assert current(agent_home) == second


def test_going_back_needs_no_space_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "small"
    home.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(home)], capture_output=True, check=False).returncode:
        pytest.skip("a full disk needs the right to mount a tmpfs: run the tests as root")
    monkeypatch.setenv("EDGEPIPE_HOME", str(home))
    try:
        board = opened()
        first = confirmed(board, good(tmp_path / "m", seed=1))
        second = good(tmp_path / "m", seed=2, deadline_s=6.0)
        assert board.deploy(second).outcome is State.TRIAL
        board.close()
        with pytest.raises(OSError, match="No space"), (home / "ballast").open("wb") as ballast:
            while True:
                ballast.write(bytes(1 << 12))
                ballast.flush()
        assert current(home) == second.sha256
        assert wait_until(lambda: current(home) == first)
        assert wait_until(lambda: not guard_pids(home))
        (home / "ballast").unlink()
        kept_agent(home, "guard", "--boot")
        assert current(home) == first
        assert journal(home)[-1]["event"] == "rolled_back"
    finally:
        subprocess.run(["umount", "--lazy", str(home)], check=True)


def test_old_models_are_pruned_and_those_that_slots_name_are_not(board: LinuxBoard, tmp_path: Path, agent_home: Path) -> None:
    first = confirmed(board, good(tmp_path / "m", seed=1))
    second = confirmed(board, good(tmp_path / "m", seed=2))
    pushed = []
    for seed in range(20):
        model = tmp_path / f"{seed}.tflite"
        model.write_bytes(bytes([seed]))
        pushed.append(hashlib.sha256(model.read_bytes()).hexdigest())
        board.push(model, pushed[-1])
        if seed == 18:  # what one session used, it keeps
            assert len(list((agent_home / "store").iterdir())) == 23
            board.close()
            board.open()
    kept = {path.name[7:] for path in (agent_home / "store").iterdir()}
    assert {first, second, *pushed[-16:]} <= kept
    assert not kept & set(pushed[:3])
