"""The real agent over a pipe: what happens to models that crash, hang and grow, to the agent, and to whoever holds the lock."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from benchmarks.synthetic import convolution
from edgepipe.devices.boards.linux import LinuxBoard
from edgepipe.devices.protocols import BlockRequest, RunOptions
from edgepipe.devices.transports.local import LocalTransport
from edgepipe.errors import DeviceBusy, DeviceUnreachable, ModelRejected, RuntimeMissing, UsageError
from edgepipe.records import Block, RunOutcome

QUICK = BlockRequest(index=0, warmup_max_s=0.5, min_s=0.02)
LONG = BlockRequest(index=0, min_s=60.0)


@pytest.fixture
def board() -> Iterator[LinuxBoard]:
    made = LinuxBoard("local", LocalTransport())
    made.open()
    yield made
    made.close()


def measure(board: LinuxBoard, model: Path, options: RunOptions = RunOptions(), request: BlockRequest = QUICK) -> Block:
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
    board.push(model, sha256)
    return board.measure(sha256, replace(request, options=options))


def holder_of(home: Path) -> int:
    text = (home / "lock").read_text()
    return int(json.loads(text)["pid"]) if text else 0


def children_of(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_until(holds: Callable[[], object], seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.01)
    return bool(holds())


def test_a_real_model_is_measured_with_its_memory_and_conditions(board: LinuxBoard, kws: Path) -> None:
    block = measure(board, kws)
    assert block.outcome is RunOutcome.OK
    assert block.peak_memory_bytes is not None
    assert block.model_memory_bytes is not None
    assert kws.stat().st_size < block.model_memory_bytes < block.peak_memory_bytes
    assert block.before.load_average_1m is not None
    assert block.warmup_invocations >= 10


def test_tflite_micro_answers_like_itself_and_not_like_xnnpack(board: LinuxBoard, kws: Path) -> None:
    pytest.importorskip("tflite_micro", reason="pip install 'edgepipe[micro]'")
    fast, again, micro = (measure(board, kws, RunOptions(runtime=name)) for name in ("litert", "litert", "tflm"))
    assert fast.output_sha256 == again.output_sha256
    assert micro.outcome is RunOutcome.OK
    assert micro.output_sha256 != fast.output_sha256


def test_a_crash_costs_the_model_only(board: LinuxBoard, crashing: Path, good: Path) -> None:
    pytest.importorskip("tflite_micro", reason="pip install 'edgepipe[micro]'")
    block = measure(board, crashing, RunOptions(runtime="tflm"))
    assert block.outcome is RunOutcome.REJECTED
    assert "SIG" in block.reason
    assert measure(board, good).outcome is RunOutcome.OK


def test_a_model_that_hangs_ends_at_its_deadline(board: LinuxBoard, hanging: Path, good: Path, agent_home: Path) -> None:
    block = measure(board, hanging, RunOptions(deadline_s=2.0))
    assert block.outcome is RunOutcome.REJECTED
    assert "did not answer within 2 s" in block.reason
    assert wait_until(lambda: not children_of(holder_of(agent_home)))
    assert measure(board, good).outcome is RunOutcome.OK


def test_a_slow_block_is_no_hang(board: LinuxBoard, good: Path) -> None:
    request = BlockRequest(index=0, min_s=2.5)
    assert measure(board, good, RunOptions(deadline_s=1.5), request).outcome is RunOutcome.OK


def test_a_memory_limit_too_small_for_the_model_rejects_it(board: LinuxBoard, kws: Path) -> None:
    block = measure(board, kws, RunOptions(memory_limit_bytes=100_000))
    assert block.outcome is RunOutcome.REJECTED
    assert block.reason
    assert measure(board, kws, RunOptions(memory_limit_bytes=1 << 30)).outcome is RunOutcome.OK


def test_damaged_models_cost_a_block_each_and_never_the_agent(
    board: LinuxBoard, kws: Path, tmp_path: Path, agent_home: Path
) -> None:
    agent, random, damaged = holder_of(agent_home), Random(0), tmp_path / "damaged.tflite"
    outcomes = []
    for _ in range(30):
        content = bytearray(kws.read_bytes())
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)
        damaged.write_bytes(content)
        outcomes.append(measure(board, damaged, RunOptions(deadline_s=5.0)).outcome)
    assert set(outcomes) == {RunOutcome.OK, RunOutcome.REJECTED}
    assert holder_of(agent_home) == agent
    assert measure(board, kws).outcome is RunOutcome.OK


def test_a_file_that_the_runtime_refuses_is_rejected_with_its_words(board: LinuxBoard, refused: Path) -> None:
    block = measure(board, refused)
    assert block.outcome is RunOutcome.REJECTED
    assert block.reason


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (RunOptions(runtime="tensorrt"), "known are litert, tflite, tflm"),
        (RunOptions(delegate="gpu"), "known are xnnpack, none, ref"),
    ],
)
def test_what_the_board_cannot_run_is_said_before_it_runs(board: LinuxBoard, options: RunOptions, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        board.runtime(options)


def test_a_board_that_lacks_the_runtime_says_nothing_about_the_model(board: LinuxBoard) -> None:
    with pytest.raises(RuntimeMissing, match=r"the runtime tflite is not installed; by hand: .* -m pip install") as caught:
        board.runtime(RunOptions(runtime="tflite"))
    assert caught.value.exit_code == 4


def test_the_agent_runs_under_the_oldest_python_and_says_what_is_missing_there(good: Path) -> None:
    if not shutil.which("python3.7") or subprocess.run(["python3.7", "-c", ""], check=False).returncode:
        pytest.skip("no python3.7 here; pyenv install 3.7 brings it")
    board = LinuxBoard("old", LocalTransport(python="python3.7"))
    board.open()
    try:
        board.push(good, hashlib.sha256(good.read_bytes()).hexdigest())
        with pytest.raises(RuntimeMissing, match="pip install ai-edge-litert"):
            board.runtime(RunOptions())
    finally:
        board.close()


def test_predicting_with_a_model_that_hangs_is_rejected(board: LinuxBoard, hanging: Path, good: Path) -> None:
    sha256 = hashlib.sha256(hanging.read_bytes()).hexdigest()
    board.push(hanging, sha256)
    with pytest.raises(ModelRejected, match="did not answer within 2 s"):
        list(board.predict(sha256, iter([(bytes(4),)]), RunOptions(deadline_s=2.0)))
    assert measure(board, good).outcome is RunOutcome.OK


def test_a_sample_of_the_wrong_size_is_rejected(board: LinuxBoard, good: Path) -> None:
    sha256 = hashlib.sha256(good.read_bytes()).hexdigest()
    board.push(good, sha256)
    with pytest.raises(ModelRejected, match="no whole number of samples"):
        list(board.predict(sha256, iter([(bytes(7),)]), RunOptions()))


def test_a_sample_larger_than_a_line_arrives_whole(board: LinuxBoard, tmp_path: Path) -> None:
    model = tmp_path / "large.tflite"
    model.write_bytes(convolution(side=400, channels=2))
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
    board.push(model, sha256)
    size = 400 * 400 * 2 * 4
    answers = list(board.predict(sha256, iter([(bytes(size),)] * 3), RunOptions()))
    assert [[len(output) for output in answer.outputs] for answer in answers] == [[size]] * 3


def test_a_killed_agent_is_unreachable_leaves_no_process_and_frees_the_lock(
    board: LinuxBoard, good: Path, agent_home: Path
) -> None:
    agent, doomed = holder_of(agent_home), list[int]()

    def found() -> list[int]:
        doomed.extend(children_of(agent))
        return doomed

    def kill_while_it_measures() -> None:
        assert wait_until(found)
        os.kill(agent, signal.SIGKILL)

    killer = threading.Thread(target=kill_while_it_measures)
    killer.start()
    with pytest.raises(DeviceUnreachable, match="ended by SIGKILL"):
        measure(board, good, request=LONG)
    killer.join()
    assert doomed
    assert wait_until(lambda: not any(is_running(pid) for pid in doomed))
    other = LinuxBoard("local", LocalTransport())
    other.open()
    other.close()


def test_a_stopped_agent_is_unreachable_after_its_silence(good: Path, agent_home: Path) -> None:
    board = LinuxBoard("local", LocalTransport(), beat_s=0.2, silence_s=1.0)
    board.open()
    agent = holder_of(agent_home)
    os.kill(agent, signal.SIGSTOP)
    try:
        with pytest.raises(DeviceUnreachable, match="said nothing"):
            measure(board, good)
    finally:
        os.kill(agent, signal.SIGCONT)
        board.close()
    assert wait_until(lambda: not is_running(agent))


def test_heartbeats_keep_an_idle_board_and_their_absence_frees_it(agent_home: Path) -> None:
    alive = LinuxBoard("local", LocalTransport(), beat_s=0.1, heartbeat_s=1.0)
    alive.open()
    time.sleep(1.5)
    assert is_running(holder_of(agent_home))
    alive.close()
    silent = LinuxBoard("local", LocalTransport(), beat_s=60.0, heartbeat_s=0.5)
    silent.open()
    agent = holder_of(agent_home)
    assert wait_until(lambda: not is_running(agent))
    silent.close()


HOST = """
import hashlib, sys
from pathlib import Path
from random import Random
from edgepipe.devices.boards.linux import LinuxBoard
from edgepipe.devices.protocols import BlockRequest
from edgepipe.devices.transports.local import LocalTransport
model = Path(sys.argv[1])
sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
board = LinuxBoard("local", LocalTransport())
board.open()
board.push(model, sha256)
board.measure(sha256, BlockRequest(index=0, min_s=60.0))
"""


def test_a_host_that_is_killed_takes_agent_and_child_with_it(good: Path, agent_home: Path) -> None:
    host = subprocess.Popen([sys.executable, "-c", HOST, str(good)])
    assert wait_until(lambda: (agent_home / "lock").exists() and children_of(holder_of(agent_home)))
    processes = [holder_of(agent_home), *children_of(holder_of(agent_home))]
    host.kill()
    host.wait()
    assert wait_until(lambda: not any(is_running(pid) for pid in processes))


def test_who_holds_the_board_is_named(board: LinuxBoard, agent_home: Path) -> None:
    with pytest.raises(DeviceBusy) as raised:
        LinuxBoard("local", LocalTransport()).open()
    assert f"process {holder_of(agent_home)}" in str(raised.value)
    assert f"edgepipe process {os.getpid()}" in str(raised.value)


def test_of_many_who_race_for_the_lock_one_gets_it() -> None:
    boards = [LinuxBoard("local", LocalTransport()) for _ in range(4)]

    def attempt(board: LinuxBoard) -> bool:
        try:
            board.open()
        except DeviceBusy:
            return False
        return True

    with ThreadPoolExecutor(len(boards)) as pool:
        won = list(pool.map(attempt, boards))
    for board in boards:
        board.close()
    assert won.count(True) == 1


def test_a_stored_model_that_was_damaged_is_not_measured_as_itself(board: LinuxBoard, good: Path, agent_home: Path) -> None:
    sha256 = hashlib.sha256(good.read_bytes()).hexdigest()
    board.push(good, sha256)
    stored = agent_home / "store" / f"sha256-{sha256}" / "model.tflite"
    stored.write_bytes(stored.read_bytes()[:-1] + b"\x55")
    assert board.measure(sha256, QUICK).artefact_sha256 != sha256
