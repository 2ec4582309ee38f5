"""What every board promises, asked of each of them: fake ones, the Linux one over real and fake transports, microcontrollers."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import pytest

from benchmarks.synthetic import convolution
from edgepipe.devices.boards.fake import FakeBoard
from edgepipe.devices.boards.linux import LinuxBoard
from edgepipe.devices.boards.mcu import McuBoard
from edgepipe.devices.boards.mlperf_tiny import MlperfTinyBoard
from edgepipe.devices.protocols import BlockRequest, Board, RunOptions
from edgepipe.devices.transports.fake import FakeHardware, FakeTransport
from edgepipe.devices.transports.fake_mcu import FakeMcu, FakeMcuTransport
from edgepipe.devices.transports.local import LocalTransport
from edgepipe.devices.transports.ssh import SshTransport
from edgepipe.errors import DeviceBusy, DeviceUnreachable, InfrastructureError, Interrupted
from edgepipe.records import RunOutcome, unpack_samples_ns
from tests.firmware.emulated_board import in_qemu, needs_emulator
from tests.firmware.host_board import HostBoard, KeptLine, firmware
from tests.firmware.random_models import random_model

FLOATS = convolution(side=4, channels=2)
FLOAT_SAMPLE = bytes(4 * 4 * 4 * 2)  # one 4 x 4 x 2 picture of float32 zeros
QUICK = BlockRequest(index=0, warmup_max_s=0.5, min_s=0.02)


@dataclass
class Bench:
    """A physical board and the model file on the host: `handle()` makes one more host's handle on the same board.

    A microcontroller keeps no model from one session to the next that nobody brings again, has one engine, whose loading nobody
    times, and an emulated one makes three exact runs a block. What speaks the text protocol of MLPerf Tiny has a model that was
    flashed, and tells its scores.
    """

    handle: Callable[[], Board]
    model: Path
    content: bytes = FLOATS
    sample: bytes = FLOAT_SAMPLE
    handles: list[Board] = field(default_factory=list)
    least_invocations: int = 50
    is_micro: bool = False

    def __post_init__(self) -> None:
        self.model.write_bytes(self.content)
        self.sha256 = hashlib.sha256(self.content).hexdigest()

    def board(self) -> Board:
        self.handles.append(self.handle())
        return self.handles[-1]

    def open_board(self) -> Board:
        board = self.board()
        board.open()
        return board

    def board_with_model(self) -> Board:
        board = self.open_board()
        board.push(self.model, self.sha256)
        return board


def _linux(request: pytest.FixtureRequest, folder: Path, held: ExitStack) -> Bench:
    model = folder / "model.tflite"
    if request.param == "linux-ssh":
        link = request.getfixturevalue("sshd").link()
        return Bench(lambda: LinuxBoard("board", SshTransport("board", link)), model)
    hardware = FakeHardware(name="board", sample_bytes=len(FLOAT_SAMPLE))
    kinds: dict[str, Callable[[], Board]] = {
        "fake": lambda: FakeBoard(hardware),
        "linux-fake": lambda: LinuxBoard("board", FakeTransport(hardware), emulated=True),
        "linux-local": lambda: LinuxBoard("board", LocalTransport()),
    }
    return Bench(kinds[request.param], model)


def _micro(request: pytest.FixtureRequest, folder: Path, held: ExitStack) -> Bench:
    content, rows = random_model("SOFTMAX", 1, rows=1)
    sample, builds = rows[0][0].tobytes(), request.getfixturevalue("builds")
    exact = request.param in ("mcu-fake", "mcu-qemu")
    if request.param == "mcu-fake":
        fake = FakeMcu(name="board", sample_bytes=len(sample))
        handle: Callable[[], Board] = lambda: McuBoard("board", FakeMcuTransport(fake), emulated=True, lock_folder=folder)  # noqa: E731
    elif request.param == "mcu-qemu":
        needs_emulator()
        handle = lambda: McuBoard("board", in_qemu("board", builds), emulated=True, lock_folder=folder)  # noqa: E731
    else:
        line = KeptLine(HostBoard(firmware(builds)))
        held.callback(line.switch_off)
        handle = lambda: McuBoard("board", line, lock_folder=folder)  # noqa: E731
        if request.param == "mlperf-tiny":
            line.flash(content, "model")
            handle = lambda: MlperfTinyBoard("board", line, lock_folder=folder)  # noqa: E731
    model = folder / "model.tflite"
    return Bench(handle, model, content, sample, least_invocations=3 if exact else 50, is_micro=True)


LINUX, MICRO = ("fake", "linux-fake", "linux-local", "linux-ssh"), ("mcu-fake", "mcu-host", "mcu-qemu", "mlperf-tiny")


@pytest.fixture(params=[*LINUX, *MICRO])
def bench(request: pytest.FixtureRequest, tmp_path: Path, agent_home: Path) -> Iterator[Bench]:
    with ExitStack() as held:
        made = (_micro if request.param in MICRO else _linux)(request, tmp_path, held)
        yield made
        for board in made.handles:
            board.close()


class TestBoard:
    """The contract of `edgepipe.devices.protocols.Board`."""

    def test_it_says_which_board_it_is_the_same_every_time(self, bench: Bench) -> None:
        board = bench.open_board()
        first = board.identify()
        board.close()
        assert bench.open_board().identify() == first
        assert first.name == "board"
        assert first.serial

    def test_it_is_held_by_one_at_a_time(self, bench: Bench) -> None:
        bench.open_board()
        with pytest.raises(DeviceBusy, match="process"):
            bench.board().open()

    def test_closing_frees_it_at_once_and_twice_is_fine(self, bench: Bench) -> None:
        board = bench.open_board()
        board.close()
        board.close()
        bench.open_board()

    def test_one_that_was_refused_leaves_the_holder_alone(self, bench: Bench) -> None:
        holder = bench.board_with_model()
        other = bench.board()
        with pytest.raises(DeviceBusy):
            other.open()
        other.close()
        assert holder.measure(bench.sha256, QUICK).outcome is RunOutcome.OK

    def test_it_runs_what_was_asked_for(self, bench: Bench) -> None:
        runtime = bench.open_board().runtime(RunOptions(runtime="litert", delegate="none", threads=2))
        if bench.is_micro:  # there is one engine, whatever is asked for
            assert (runtime.delegate, runtime.threads) == ("none", 1)
        else:
            assert (runtime.name, runtime.delegate, runtime.threads) == ("litert", "none", 2)

    def test_a_file_with_another_hash_is_refused(self, bench: Bench) -> None:
        with pytest.raises(InfrastructureError, match=r"sha256|another file"):
            bench.open_board().push(bench.model, "0" * 64)

    def test_a_block_has_its_samples_and_the_hash_of_what_ran(self, bench: Bench) -> None:
        block = bench.board_with_model().measure(bench.sha256, QUICK)
        samples = unpack_samples_ns(block.samples_ns_zlib)
        assert block.outcome is RunOutcome.OK
        assert block.artefact_sha256 == bench.sha256
        assert block.invocations >= bench.least_invocations
        assert len(samples) * block.stride >= block.invocations
        assert block.median_ns is not None
        assert min(samples) <= block.median_ns <= max(samples)
        assert block.load_ns is not None or bench.is_micro
        assert block.first_ns is not None

    def test_the_same_input_gives_the_same_output_in_every_block(self, bench: Bench) -> None:
        board = bench.board_with_model()
        hashes = {board.measure(bench.sha256, QUICK).output_sha256 for _ in range(2)}
        assert len(hashes) == 1
        assert None not in hashes

    def test_a_model_that_was_never_pushed_cannot_run(self, bench: Bench) -> None:
        with pytest.raises(InfrastructureError, match="no model"):
            bench.open_board().measure(bench.sha256, QUICK)

    def test_a_model_stays_on_the_board_from_one_session_to_the_next(self, bench: Bench) -> None:
        bench.board_with_model().close()
        board = bench.board_with_model() if bench.is_micro else bench.open_board()
        assert board.measure(bench.sha256, QUICK).outcome is RunOutcome.OK

    def test_every_sample_is_answered_in_order(self, bench: Bench) -> None:
        board = bench.board_with_model()
        answers = list(board.predict(bench.sha256, iter([(bench.sample,)] * 150), RunOptions()))
        assert len(answers) == 150
        assert len(set(answers)) == 1
        assert len(answers[0].outputs) == 1

    def test_predicting_may_be_left_early(self, bench: Bench) -> None:
        board = bench.board_with_model()
        answers = board.predict(bench.sha256, iter([(bench.sample,)] * 150), RunOptions())
        next(answers)
        answers.close()  # type: ignore[attr-defined]
        assert board.measure(bench.sha256, QUICK).outcome is RunOutcome.OK

    def test_a_board_that_is_not_open_does_nothing(self, bench: Bench) -> None:
        with pytest.raises(DeviceUnreachable):
            bench.board().identify()
        with pytest.raises(DeviceUnreachable):
            bench.board().measure(bench.sha256, QUICK)

    def test_one_that_is_stopped_ends_whatever_waits_and_lets_go_when_closed(self, bench: Bench) -> None:
        board = bench.board_with_model()
        answers = board.predict(bench.sha256, cycle([(bench.sample,)]), RunOptions())  # would go on for ever
        next(answers)
        threading.Timer(0.2, board.stop).start()
        with pytest.raises(Interrupted):
            for _ in answers:
                pass
        with pytest.raises(Interrupted):
            board.measure(bench.sha256, QUICK)
        board.close()
        bench.open_board()
