"""What every board promises, asked of each of them: the fake one, the Linux one over a fake transport, and over real ones."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import pytest

from benchmarks.synthetic import convolution
from edgepipe.devices.boards.fake import FakeBoard
from edgepipe.devices.boards.linux import LinuxBoard
from edgepipe.devices.protocols import BlockRequest, Board, RunOptions
from edgepipe.devices.transports.fake import FakeHardware, FakeTransport
from edgepipe.devices.transports.local import LocalTransport
from edgepipe.devices.transports.ssh import SshTransport
from edgepipe.errors import DeviceBusy, DeviceUnreachable, InfrastructureError, Interrupted
from edgepipe.records import RunOutcome, unpack_samples_ns

MODEL = convolution(side=4, channels=2)
SHA256 = hashlib.sha256(MODEL).hexdigest()
SAMPLE = bytes(4 * 4 * 4 * 2)  # one 4 x 4 x 2 picture of float32 zeros
QUICK = BlockRequest(index=0, warmup_max_s=0.5, min_s=0.02)


@dataclass
class Bench:
    """A physical board and the model file on the host: `handle()` makes one more host's handle on the same board."""

    handle: Callable[[], Board]
    model: Path
    handles: list[Board]

    def board(self) -> Board:
        self.handles.append(self.handle())
        return self.handles[-1]

    def open_board(self) -> Board:
        board = self.board()
        board.open()
        return board

    def board_with_model(self) -> Board:
        board = self.open_board()
        board.push(self.model, SHA256)
        return board


def _handles(request: pytest.FixtureRequest) -> Callable[[], Board]:
    if request.param == "linux-ssh":
        link = request.getfixturevalue("sshd").link()
        return lambda: LinuxBoard("board", SshTransport("board", link))
    hardware = FakeHardware(name="board", sample_bytes=len(SAMPLE))
    kinds: dict[str, Callable[[], Board]] = {
        "fake": lambda: FakeBoard(hardware),
        "linux-fake": lambda: LinuxBoard("board", FakeTransport(hardware), emulated=True),
        "linux-local": lambda: LinuxBoard("board", LocalTransport()),
    }
    return kinds[request.param]


@pytest.fixture(params=["fake", "linux-fake", "linux-local", "linux-ssh"])
def bench(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.setenv("EDGEPIPE_HOME", str(tmp_path / "home"))
    model = tmp_path / "model.tflite"
    model.write_bytes(MODEL)
    made = Bench(_handles(request), model, [])
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
        assert holder.measure(SHA256, QUICK).outcome is RunOutcome.OK

    def test_it_runs_what_was_asked_for(self, bench: Bench) -> None:
        runtime = bench.open_board().runtime(RunOptions(runtime="litert", delegate="none", threads=2))
        assert (runtime.name, runtime.delegate, runtime.threads) == ("litert", "none", 2)

    def test_a_file_with_another_hash_is_refused(self, bench: Bench) -> None:
        with pytest.raises(InfrastructureError, match=r"sha256|another file"):
            bench.open_board().push(bench.model, "0" * 64)

    def test_a_block_has_its_samples_and_the_hash_of_what_ran(self, bench: Bench) -> None:
        block = bench.board_with_model().measure(SHA256, QUICK)
        samples = unpack_samples_ns(block.samples_ns_zlib)
        assert block.outcome is RunOutcome.OK
        assert block.artefact_sha256 == SHA256
        assert block.invocations >= 50
        assert len(samples) * block.stride >= block.invocations
        assert block.median_ns is not None
        assert min(samples) <= block.median_ns <= max(samples)
        assert block.load_ns is not None
        assert block.first_ns is not None

    def test_the_same_input_gives_the_same_output_in_every_block(self, bench: Bench) -> None:
        board = bench.board_with_model()
        hashes = {board.measure(SHA256, QUICK).output_sha256 for _ in range(2)}
        assert len(hashes) == 1
        assert None not in hashes

    def test_a_model_that_was_never_pushed_cannot_run(self, bench: Bench) -> None:
        with pytest.raises(InfrastructureError, match="no model"):
            bench.open_board().measure(SHA256, QUICK)

    def test_a_model_stays_on_the_board_from_one_session_to_the_next(self, bench: Bench) -> None:
        bench.board_with_model().close()
        assert bench.open_board().measure(SHA256, QUICK).outcome is RunOutcome.OK

    def test_every_sample_is_answered_in_order(self, bench: Bench) -> None:
        board = bench.board_with_model()
        answers = list(board.predict(SHA256, iter([(SAMPLE,)] * 150), RunOptions()))
        assert len(answers) == 150
        assert len(set(answers)) == 1
        assert len(answers[0].outputs) == 1

    def test_predicting_may_be_left_early(self, bench: Bench) -> None:
        board = bench.board_with_model()
        answers = board.predict(SHA256, iter([(SAMPLE,)] * 150), RunOptions())
        next(answers)
        answers.close()  # type: ignore[attr-defined]
        assert board.measure(SHA256, QUICK).outcome is RunOutcome.OK

    def test_a_board_that_is_not_open_does_nothing(self, bench: Bench) -> None:
        with pytest.raises(DeviceUnreachable):
            bench.board().identify()
        with pytest.raises(DeviceUnreachable):
            bench.board().measure(SHA256, QUICK)

    def test_one_that_is_stopped_ends_whatever_waits_and_lets_go_when_closed(self, bench: Bench) -> None:
        board = bench.board_with_model()
        answers = board.predict(SHA256, cycle([(SAMPLE,)]), RunOptions())  # would go on for ever
        next(answers)
        threading.Timer(0.2, board.stop).start()
        with pytest.raises(Interrupted):
            for _ in answers:
                pass
        with pytest.raises(Interrupted):
            board.measure(SHA256, QUICK)
        board.close()
        bench.open_board()
