"""Conditions of a block with the real agent: governor, temperature and cores, on a board whose /sys is a folder of files."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from board_trees import THROTTLED_PI4, plant, python_of
from sshd import Sshd

from edgepipe.devices.boards.linux import LinuxBoard
from edgepipe.devices.inventory import DeviceEntry, LocalLink
from edgepipe.devices.protocols import BlockRequest, Conditions, RunOptions
from edgepipe.devices.session import Session
from edgepipe.devices.transports.local import LocalTransport
from edgepipe.devices.transports.ssh import SshTransport
from edgepipe.errors import UsageError
from edgepipe.pipeline.inspect.flatbuffer import read_model
from edgepipe.records import Block, RunOutcome

POLICY = "sys/devices/system/cpu/cpufreq/policy0/scaling_governor"
SHOWN = "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"
ZONE = "sys/class/thermal/thermal_zone0/temp"
QUICK = BlockRequest(index=0, warmup_max_s=0.5, min_s=0.02)
LONG = BlockRequest(index=0, min_s=60.0)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A Pi that is hot and follows the load; as on a real one, what its cores show is what their policy says."""
    root = plant(tmp_path / "pi4", {**THROTTLED_PI4, POLICY: "ondemand\n"})
    (root / SHOWN).unlink()
    (root / SHOWN).symlink_to(root / POLICY)
    return root


@pytest.fixture
def board(tree: Path) -> Iterator[LinuxBoard]:
    made = LinuxBoard("pi4", LocalTransport(python_of(tree)))
    made.open()
    yield made
    made.close()


def measure(board: LinuxBoard, model: Path, request: BlockRequest = QUICK) -> Block:
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
    board.push(model, sha256)
    return board.measure(sha256, request)


def in_the_middle_of_a_block(board: LinuxBoard, model: Path, tree: Path) -> threading.Thread:
    """Start a block that lasts, and return once the governor is set for it."""

    def run() -> None:
        with pytest.raises(Exception, match=r"."):
            measure(board, model, LONG)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    wait_for(tree, "performance")
    return thread


def wait_for(tree: Path, wanted: str) -> None:
    end = time.monotonic() + 20
    while (tree / POLICY).read_text().strip() != wanted and time.monotonic() < end:
        time.sleep(0.02)
    assert (tree / POLICY).read_text().strip() == wanted


def agent_of(home: Path) -> int:
    return int(json.loads((home / "lock").read_text())["pid"])


def test_blocks_run_steadily_and_the_board_is_afterwards_as_it_was(board: LinuxBoard, good: Path, tree: Path) -> None:
    block = measure(board, good)
    assert block.outcome is RunOutcome.OK
    assert (block.before.governor, block.after.governor) == ("performance", "performance")
    assert block.before.temperature_c == 82.303
    board.close()
    assert (tree / POLICY).read_text() == "ondemand"


def test_a_governor_that_is_to_stay_stays(board: LinuxBoard, good: Path, tree: Path) -> None:
    block = measure(board, good, BlockRequest(index=0, min_s=0.02, conditions=Conditions(steady=False)))
    assert block.before.governor == "ondemand"
    assert (tree / POLICY).read_text() == "ondemand\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGKILL])
def test_an_agent_that_is_told_to_end_or_killed_leaves_the_governor_as_it_was(
    board: LinuxBoard, good: Path, tree: Path, agent_home: Path, number: signal.Signals
) -> None:
    thread = in_the_middle_of_a_block(board, good, tree)
    os.kill(agent_of(agent_home), number)
    wait_for(tree, "ondemand")
    thread.join(20)
    assert not thread.is_alive()


def test_a_host_that_falls_silent_leaves_it_as_it_was(sshd: Sshd, tree: Path, good: Path) -> None:
    board = LinuxBoard("pi4", SshTransport("pi4", sshd.link(python=python_of(tree))), beat_s=3600.0, heartbeat_s=2.0)
    board.open()
    in_the_middle_of_a_block(board, good, tree)
    wait_for(tree, "ondemand")
    board.close()


def test_a_connection_that_is_lost_leaves_it_as_it_was(sshd: Sshd, tree: Path, good: Path) -> None:
    board = LinuxBoard("pi4", SshTransport("pi4", sshd.link(python=python_of(tree))))
    board.open()
    in_the_middle_of_a_block(board, good, tree)
    sshd.stop()
    wait_for(tree, "ondemand")
    board.close()


def test_ctrl_c_at_the_command_leaves_it_as_it_was(tree: Path, good: Path, tmp_path: Path) -> None:
    inventory = tmp_path / "farm.yaml"
    entry = {"board": "linux", "target": "host", "transport": {"kind": "local", "python": python_of(tree)}}
    inventory.write_text(json.dumps({"schema": 1, "devices": {"pi4": entry}}))
    command = [
        str(Path(sys.executable).with_name("edgepipe")),
        "bench",
        str(good),
        "--device",
        "pi4",
        "--inventory",
        str(inventory),
    ]
    done = subprocess.Popen([*command, "--blocks", "50", "--quiet"], stderr=subprocess.PIPE, start_new_session=True)
    wait_for(tree, "performance")
    os.killpg(done.pid, signal.SIGINT)
    _, said = done.communicate(timeout=30)
    assert done.returncode == 130, said
    wait_for(tree, "ondemand")


def test_a_hot_board_cools_down_first(board: LinuxBoard, good: Path, tree: Path) -> None:
    def cool() -> None:
        time.sleep(1.0)
        (tree / ZONE).write_text("60000\n")

    threading.Thread(target=cool).start()
    wishes = Conditions(cool_below_c=65.0)
    block = measure(board, good, BlockRequest(index=0, warmup_max_s=0.5, min_s=0.02, conditions=wishes))
    assert block.outcome is RunOutcome.OK
    assert block.cooled_s > 0
    assert block.before.temperature_c == 60.0


def test_a_run_waits_for_a_board_that_stays_hot_once_only(tree: Path, good: Path) -> None:
    entry = DeviceEntry(name="pi4", board="linux", target="host", transport=LocalLink(python=python_of(tree)), cool_below_c=65.0)
    facts = read_model(good)[1]
    with Session(entry) as session:
        record = session.bench(good, facts, blocks=2, conditions=Conditions(cool_longest_s=1.0))
    assert record.outcome is RunOutcome.OK
    assert [block.cooled_s >= 1.0 for block in record.blocks] == [True, False]


def test_a_model_runs_on_the_cores_that_are_named(board: LinuxBoard, good: Path) -> None:
    core = max(os.sched_getaffinity(0))
    options = RunOptions(affinity=(core,))
    assert board.runtime(options).affinity == (core,)
    assert measure(board, good, BlockRequest(index=0, min_s=0.02, options=options)).outcome is RunOutcome.OK


def test_a_core_that_there_is_not_is_named_before_anything_is_sent(board: LinuxBoard) -> None:
    with pytest.raises(UsageError, match="there is no core 4096; there are 0"):
        board.runtime(RunOptions(affinity=(4096,)))
