"""The Edge TPU's delegate with the real runtime: one that works, and four ways in which it does not, each with its own answer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from edgetpu_library import build

from benchmarks.synthetic import for_edge_tpu
from edgepipe.devices.agent.edgetpu import ANSWERS, CRASHING, FAILING, HANGING, MISSING
from edgepipe.devices.boards.linux import LinuxBoard
from edgepipe.devices.inventory import DeviceEntry, LocalLink
from edgepipe.devices.protocols import BlockRequest, RunOptions
from edgepipe.devices.session import Session
from edgepipe.devices.transports.local import LocalTransport
from edgepipe.errors import DelegateFailed, ModelRejected
from edgepipe.pipeline.inspect.flatbuffer import read_model
from edgepipe.records import Block, RunOutcome

ON_TPU = RunOptions(delegate="edgetpu", deadline_s=20.0)
SOON = RunOptions(delegate="edgetpu", deadline_s=2.0)
WAYS = [
    ("fails", FAILING, "Failed to open device /dev/apex_0"),
    ("fails without a word", FAILING, "Failed to load delegate"),
    ("is another library", FAILING, "tflite_plugin_create_delegate"),
    ("hangs", HANGING, "it did not answer within 2 s"),
    ("crashes", CRASHING, "SIGSEGV"),
    ("gives up", CRASHING, "exit code 3"),
]


@pytest.fixture
def board_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], LinuxBoard]]:
    boards = []

    def make(kind: str) -> LinuxBoard:
        monkeypatch.setenv("LD_LIBRARY_PATH", str(build(kind, tmp_path / "libraries") if kind else tmp_path))
        boards.append(LinuxBoard("coral", LocalTransport()))
        boards[-1].open()
        return boards[-1]

    yield make
    for board in boards:
        board.close()


@pytest.fixture
def compiled(tmp_path: Path) -> Path:
    path = tmp_path / "model_edgetpu.tflite"
    path.write_bytes(for_edge_tpu())
    return path


def measure(board: LinuxBoard, model: Path, options: RunOptions) -> Block:
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
    board.push(model, sha256)
    return board.measure(sha256, BlockRequest(index=0, options=options, warmup_max_s=0.5, min_s=0.02))


def test_a_compiled_model_runs_on_it_and_loading_the_delegate_has_a_time_of_its_own(
    board_with: Callable[[str], LinuxBoard], compiled: Path
) -> None:
    board = board_with("works")
    assert board.runtime(ON_TPU).delegate == "edgetpu"
    block = measure(board, compiled, ON_TPU)
    assert (block.outcome, block.reason) == (RunOutcome.OK, "")
    assert block.delegate_ns is not None
    sample = np.full(32, 5, np.int8).tobytes()
    (answer,) = board.predict(hashlib.sha256(compiled.read_bytes()).hexdigest(), iter([[sample]]), ON_TPU)
    assert np.frombuffer(answer.outputs[0], np.int8).reshape(4, 4, 2)[1, 1].tolist() == [1, 1]  # 18 * (5 + 1) / 100


def test_a_model_without_a_delegate_has_no_such_time(board_with: Callable[[str], LinuxBoard], good: Path) -> None:
    block = measure(board_with(""), good, RunOptions())
    assert (block.outcome, block.delegate_ns) == (RunOutcome.OK, None)


@pytest.mark.parametrize(("kind", "answer", "words"), WAYS)
def test_each_way_to_fail_has_its_answer_before_a_model_is_sent(
    board_with: Callable[[str], LinuxBoard], good: Path, kind: str, answer: str, words: str
) -> None:
    board = board_with(kind)
    with pytest.raises(DelegateFailed) as caught:
        board.runtime(SOON)
    said = str(caught.value)
    assert ANSWERS[answer][0] in said
    assert words in said
    assert said.count("What to do") == 1
    for number, fix in enumerate(ANSWERS[answer][1], 1):
        assert f"{number}. {fix}" in said
    assert measure(board, good, RunOptions()).outcome is RunOutcome.OK  # the board itself is fine


def test_a_missing_library_is_missing(board_with: Callable[[str], LinuxBoard]) -> None:
    with pytest.raises(DelegateFailed, match="apt-get install libedgetpu1-std") as caught:
        board_with("").runtime(SOON)
    assert ANSWERS[MISSING][0] in str(caught.value)


@pytest.mark.parametrize(("kind", "answer"), [("fails", FAILING), ("hangs", HANGING), ("crashes", CRASHING), ("", MISSING)])
def test_it_is_the_farms_fault_and_not_the_models_also_in_a_block(
    board_with: Callable[[str], LinuxBoard], compiled: Path, kind: str, answer: str
) -> None:
    board = board_with(kind)
    block = measure(board, compiled, SOON)
    assert block.outcome is RunOutcome.INFRA
    assert ANSWERS[answer][0] in block.reason
    sha256 = hashlib.sha256(compiled.read_bytes()).hexdigest()
    with pytest.raises(DelegateFailed, match=ANSWERS[answer][0]):
        list(board.predict(sha256, iter([[bytes(32)]]), SOON))


@pytest.mark.parametrize(
    ("kind", "words"), [("crashes in the middle", "SIGSEGV"), ("hangs in the middle", "did not answer within 2 s")]
)
def test_what_happens_while_the_model_runs_is_the_models_and_says_where(
    board_with: Callable[[str], LinuxBoard], compiled: Path, kind: str, words: str
) -> None:
    block = measure(board_with(kind), compiled, SOON)
    assert block.outcome is RunOutcome.REJECTED
    assert words in block.reason
    assert "on the Edge TPU" in block.reason


def test_without_the_delegate_a_compiled_model_is_refused_by_the_runtime(
    board_with: Callable[[str], LinuxBoard], compiled: Path
) -> None:
    board = board_with("works")
    block = measure(board, compiled, RunOptions())
    assert block.outcome is RunOutcome.REJECTED
    assert "edgetpu-custom-op" in block.reason
    with pytest.raises(ModelRejected, match="edgetpu-custom-op"):
        list(board.predict(hashlib.sha256(compiled.read_bytes()).hexdigest(), iter([[bytes(32)]]), RunOptions()))


def test_a_run_without_its_delegate_sends_no_model(
    board_with: Callable[[str], LinuxBoard], compiled: Path, agent_home: Path
) -> None:
    board = board_with("fails")
    board.close()
    entry = DeviceEntry(name="coral", board="linux", target="coral", transport=LocalLink())
    facts = read_model(compiled)[1]
    with Session(entry, board=board) as session:
        record = session.bench(compiled, facts, blocks=3, options=SOON)
    assert record.outcome is RunOutcome.INFRA
    assert ANSWERS[FAILING][0] in record.reason
    assert not list((agent_home / "store").glob("sha256-*"))
