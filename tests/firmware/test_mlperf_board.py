"""Boards that speak MLPerf Tiny's text protocol are measured as they are: our own firmware's, on this machine and in QEMU."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.noisy_line import NoisyLine
from edgepipe.devices.boards.mlperf_tiny import MlperfTinyBoard
from edgepipe.devices.connect import connect, connect_deployable
from edgepipe.devices.inventory import DeviceEntry, SerialLink
from edgepipe.devices.protocols import BlockRequest, RunOptions
from edgepipe.devices.transports.serial_line import Line
from edgepipe.errors import DeviceUnreachable, InfrastructureError, UsageError, WrongBoard
from edgepipe.records import Block, RunOutcome, unpack_samples_ns
from tests.firmware.emulated_board import in_qemu
from tests.firmware.host_board import HostBoard, push
from tests.firmware.tflm import Case, answers

QUICK = BlockRequest(index=0, warmup_min=1, min_invocations=10, min_s=0.0)


@dataclass
class OneLine:
    """A transport whose line is open already, and stays so."""

    line: Line
    key: str = "here"
    baud: int = 115_200

    def open(self, *, deadline_s: float) -> Line:
        return self.line

    def close(self) -> None:
        pass


@pytest.fixture
def model(kws: Path, tmp_path: Path) -> Path:
    """Keyword spotting, under the name that the benchmark has for it."""
    path = tmp_path / "kws01.tflite"
    path.write_bytes(kws.read_bytes())
    return path


@pytest.fixture
def host(program: Path, model: Path) -> Iterator[HostBoard]:
    """The host's firmware with the model in it."""
    started = HostBoard(program)
    push(started, model.read_bytes(), "kws01")
    yield started
    started.close()


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def board_on(line: Line, folder: Path, *, emulated: bool = False, board_id: str | None = None) -> MlperfTinyBoard:
    return MlperfTinyBoard("dut", OneLine(line), emulated=emulated, board_id=board_id, lock_folder=folder)


def measured(board: MlperfTinyBoard, model: Path) -> Block:
    with closing(board):
        board.open()
        board.push(model, sha256_of(model))
        return board.measure(sha256_of(model), QUICK)


def test_a_board_is_measured_in_windows_of_many_runs(host: HostBoard, model: Path, tmp_path: Path) -> None:
    block = measured(board_on(host, tmp_path), model)
    samples = unpack_samples_ns(block.samples_ns_zlib)
    assert block.outcome is RunOutcome.OK
    assert (len(samples), block.stride, block.invocations) == (5, 2, 10)
    assert block.median_ns == sorted(samples)[2]
    assert block.resolution_ns == 500.0  # a microsecond in two runs


def test_a_time_that_this_machine_did_not_see_pass_is_refused(host: HostBoard, model: Path, tmp_path: Path) -> None:
    class Quicker:
        """A line behind which a board's clock seems to run a thousand times as fast."""

        def read(self, *, deadline_s: float) -> bytes:
            return re.sub(
                rb"m-lap-us-(\d+)", lambda lap: b"m-lap-us-%d" % (int(lap[1]) * 1000 % 2**32), host.read(deadline_s=deadline_s)
            )

        def write(self, data: bytes, *, deadline_s: float) -> None:
            host.write(data, deadline_s=deadline_s)

        def close(self) -> None:
            pass

    with pytest.raises(InfrastructureError, match=r"runs took .* s, but they took .* s here"):
        measured(board_on(Quicker(), tmp_path), model)


def test_it_is_measured_as_long_as_usual(host: HostBoard, model: Path, tmp_path: Path) -> None:
    with closing(board_on(host, tmp_path)) as board:
        board.open()
        board.push(model, sha256_of(model))
        block = board.measure(sha256_of(model), BlockRequest(index=0, min_s=0.3))
    assert block.outcome is RunOutcome.OK
    assert block.invocations >= 50
    assert block.median_ns is not None


def test_it_says_who_it_is_as_far_as_the_protocol_does(host: HostBoard, tmp_path: Path) -> None:
    with closing(board_on(host, tmp_path)) as board:
        board.open()
        identity, runtime = board.identify(), board.runtime(RunOptions())
    assert (identity.board, identity.serial) == ("mlperf-tiny", "edgepipe on here")
    assert not identity.counts_instructions
    assert (runtime.name, runtime.version) == ("mlperf-tiny", "edgepipe ULPMark for tinyML Firmware V0.0.1")


def test_it_scores_samples_as_tflite_micro_does(host: HostBoard, model: Path, tmp_path: Path) -> None:
    pytest.importorskip("tflite_micro", reason="pip install 'edgepipe[micro]' (x86-64 Linux only)")
    rows = [np.random.default_rng(seed).integers(-128, 128, size=(1, 49, 10, 1), dtype=np.int8) for seed in range(3)]
    (found,) = answers([Case(model=model.read_bytes(), rows=tuple((row,) for row in rows))])
    assert found is not None
    with closing(board_on(host, tmp_path)) as board:
        board.open()
        board.push(model, sha256_of(model))
        given = list(board.predict(sha256_of(model), iter([(row.tobytes(),) for row in rows]), RunOptions()))
    for answer, prediction in zip(found, given, strict=True):
        scores = (np.frombuffer(answer[0], np.int8).astype(np.float32) + 128) / 256  # the scale and zero point of every SOFTMAX
        assert np.frombuffer(prediction.outputs[0], "<f4") == pytest.approx(scores, abs=0.0006)


def test_a_model_that_is_not_on_the_board_cannot_be_sent(host: HostBoard, model: Path, tmp_path: Path) -> None:
    other = model.rename(tmp_path / "ad01.tflite")
    with closing(board_on(host, tmp_path)) as board:
        board.open()
        with pytest.raises(InfrastructureError, match='has the model "kws01" in its firmware, not "ad01"') as raised:
            board.push(other, sha256_of(other))
        assert "Flash a firmware with ad01" in raised.value.todo
        with pytest.raises(InfrastructureError, match="has no model"):
            board.measure(sha256_of(other), QUICK)
    with pytest.raises(DeviceUnreachable, match="is not open"):
        board.identify()


def test_a_board_without_a_model_names_the_command_that_brings_it(program: Path, model: Path, tmp_path: Path) -> None:
    model = model.rename(tmp_path / "none.tflite")  # no model is not a model of that name
    with closing(HostBoard(program)) as empty, closing(board_on(empty, tmp_path)) as board:
        board.open()
        with pytest.raises(InfrastructureError, match="has no model in its firmware") as raised:
            board.push(model, sha256_of(model))
    assert "`edgepipe deploy none.tflite --device" in raised.value.todo


def test_a_model_of_another_name_is_asked_what_it_takes(host: HostBoard, model: Path, tmp_path: Path) -> None:
    push(host, model.read_bytes(), "mine")
    assert measured(board_on(host, tmp_path), model.rename(tmp_path / "mine.tflite")).outcome is RunOutcome.OK


def test_a_board_that_calls_itself_something_else_is_refused(host: HostBoard, tmp_path: Path) -> None:
    with pytest.raises(WrongBoard, match='should be the board "STMicroelectronics", but "edgepipe" is on its line'):
        board_on(host, tmp_path, board_id="STMicroelectronics").open()
    with closing(board_on(host, tmp_path, board_id="edgepipe")) as board:
        board.open()


@pytest.mark.parametrize(("rate", "count"), [(1e-4, 4), (5e-4, 3)])
def test_over_a_line_that_damages_bytes_there_is_never_a_wrong_number(
    host: HostBoard, model: Path, tmp_path: Path, rate: float, count: int
) -> None:
    right = measured(board_on(host, tmp_path), model)
    assert right.median_ns is not None
    for seed in range(count):
        try:
            block = measured(board_on(NoisyLine(host, rate=rate, seed=seed), tmp_path), model)
        except InfrastructureError:
            continue
        assert block.outcome is RunOutcome.OK
        assert block.output_sha256 == right.output_sha256
        assert block.median_ns is not None
        assert abs(block.median_ns - right.median_ns) < 0.1e9  # what a digit that was damaged unseen may be worth at most


def test_an_emulated_board_is_measured_the_same_way(model: Path, tmp_path: Path, builds: Path) -> None:
    with closing(in_qemu("m4", builds)) as transport:
        line = transport.open(deadline_s=20)
        push(line, model.read_bytes(), "kws01")
        block = measured(board_on(line, tmp_path, emulated=True), model)
    samples = unpack_samples_ns(block.samples_ns_zlib)
    assert block.outcome is RunOutcome.OK
    assert max(samples) - min(samples) <= 2000  # two stamps of a microsecond each; the emulated core itself repeats
    assert block.resolution_ns == 500.0


def test_the_inventory_says_what_a_board_speaks() -> None:
    entry = DeviceEntry(name="dut", board="mcu", target="mcu", transport=SerialLink(by_id="usb-1"), protocol="mlperf-tiny")
    assert isinstance(connect(entry), MlperfTinyBoard)
    with pytest.raises(UsageError, match="speaks mlperf-tiny, which can bring no model"):
        connect_deployable(entry)
    assert not isinstance(connect(replace(entry, protocol="edgepipe")), MlperfTinyBoard)
