"""What a board that keeps models promises: asked of one in memory, over a pipe, over a real sshd, and of a microcontroller's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from signatures import make_key, needs_ssh_keygen, public, said

from benchmarks.deployments import current, golden_of
from benchmarks.deployments import order as order_of
from benchmarks.synthetic import convolution
from edgepipe.devices.boards.fake import FakeBoard
from edgepipe.devices.boards.linux import LinuxBoard
from edgepipe.devices.boards.mcu_deployable import DeployableMcu
from edgepipe.devices.deployments import Order, State
from edgepipe.devices.protocols import Deployable
from edgepipe.devices.signing import sign
from edgepipe.devices.transports.fake import FakeHardware
from edgepipe.devices.transports.local import LocalTransport
from edgepipe.devices.transports.ssh import SshTransport
from edgepipe.errors import DeviceBusy, DeviceUnreachable, InfrastructureError, SignatureRefused, UsageError
from tests.firmware.dense import dense
from tests.firmware.host_board import HostBoard, HostTransport, firmware


@dataclass
class Bench:
    """One board, and what makes models for it; `current` says what is current there without asking any host.

    `press_reset` is what ends a trial on a board that has no clock, and checks no signatures.
    """

    connect: Callable[[], Deployable]
    current: Callable[[], str | None]
    folder: Path
    golden: Callable[[Path, bytes], Path]
    content: Callable[[int], bytes] = lambda seed: convolution(side=4, channels=2, seed=seed)
    press_reset: Callable[[], None] | None = None
    handles: list[Deployable] = field(default_factory=list)

    def handle(self) -> Deployable:
        """Return one more host's handle on the board."""
        self.handles.append(self.connect())
        self.handles[-1].open()
        return self.handles[-1]

    def good(self, seed: int = 0, **wishes: object) -> Order:
        """Return an order for a model that answers as its golden samples say."""
        content = self.content(seed)
        return order_of(self.folder, content, self.golden(self.folder, content), **wishes)

    def wrong(self, seed: int) -> Order:
        """Return an order for one that does not."""
        content = self.content(seed)
        with np.load(self.golden(self.folder, content)) as golden:
            np.savez(self.folder / "wrong.npz", input_0=golden["input_0"], output_0=golden["output_0"] + 100)
        return order_of(self.folder, content, self.folder / "wrong.npz")


def backwards(folder: Path, content: bytes) -> Path:
    """Write golden samples for the board in memory, whose models answer with each sample's bytes backwards."""
    folder.mkdir(exist_ok=True)
    samples = np.random.default_rng(0).integers(0, 256, (3, 4), dtype=np.uint8)
    path = folder / "backwards.npz"
    np.savez(path, input_0=samples, output_0=samples[:, ::-1])
    return path


def microcontroller(folder: Path, device: HostBoard) -> Bench:
    def connect() -> DeployableMcu:
        return DeployableMcu("board", HostTransport(device, str(folder)), lock_folder=folder)

    def current() -> str | None:
        board = connect()
        board.open()
        with closing(board):
            return board.standing().current

    return Bench(connect, current, folder / "m", golden_of, dense, device.press_reset)


@pytest.fixture(params=["fake", "linux-local", "linux-ssh", "mcu"])
def bench(request: pytest.FixtureRequest, agent_home: Path, tmp_path: Path, builds: Path) -> Iterator[Bench]:
    device = None
    if request.param == "mcu":
        device = HostBoard(firmware(builds))
        made = microcontroller(tmp_path, device)
    elif request.param == "fake":
        hardware = FakeHardware(name="board")
        made = Bench(lambda: FakeBoard(hardware), lambda: hardware.deployments.standing().current, tmp_path / "m", backwards)
    else:
        link = request.getfixturevalue("sshd").link() if request.param == "linux-ssh" else None
        transport = (lambda: SshTransport("board", link)) if link else LocalTransport
        made = Bench(lambda: LinuxBoard("board", transport()), lambda: current(agent_home), tmp_path / "m", golden_of)
    yield made
    for board in made.handles:
        board.close()
    if device is not None:
        device.close()


class TestDeployable:
    """The contract of `edgepipe.devices.protocols.Deployable`."""

    def test_a_good_model_is_kept_once_confirmed_and_not_sent_again(self, bench: Bench) -> None:
        board, order = bench.handle(), bench.good()
        deployed = board.deploy(order)
        assert (deployed.outcome, deployed.sent_bytes) == (State.TRIAL, order.model.stat().st_size)
        board.confirm(deployed.id)
        board.close()
        again = bench.handle()
        assert (again.standing().state, again.standing().current) == (State.COMMITTED, order.sha256)
        assert (again.deploy(order).unchanged, again.deploy(order).sent_bytes) == (True, 0)

    def test_a_bad_model_leaves_everything_as_it_was(self, bench: Bench) -> None:
        board = bench.handle()
        first, second = bench.good(seed=1), bench.good(seed=2)
        for order in (first, second):
            board.confirm(board.deploy(order).id)
        deployed = board.deploy(bench.wrong(seed=3))
        assert (deployed.outcome, deployed.finding) == (State.ROLLED_BACK, "wrong output")
        standing = board.standing()
        assert (standing.current, standing.previous, standing.candidate) == (second.sha256, first.sha256, None)

    def test_a_trial_outlives_its_host_and_can_be_confirmed_by_the_next(self, bench: Bench) -> None:
        board, order = bench.handle(), bench.good(deadline_s=60.0)
        board.deploy(order)
        board.close()
        again = bench.handle()
        standing = again.standing()
        assert (standing.state, standing.guarded) == (State.TRIAL, True)
        if bench.press_reset:
            assert standing.left_s is None
        else:
            assert standing.left_s is not None
            assert 0 < standing.left_s < 60
        with pytest.raises(DeviceBusy):
            again.deploy(bench.good(seed=9))
        again.confirm()
        assert again.standing().state is State.COMMITTED

    def test_nobody_confirms_and_the_board_goes_back_alone(self, bench: Bench) -> None:
        board, first = bench.handle(), bench.good(seed=1)
        board.confirm(board.deploy(first).id)
        board.deploy(bench.good(seed=2, deadline_s=4.0))
        board.close()
        if bench.press_reset:
            bench.press_reset()
        end = time.monotonic() + 30
        while bench.current() != first.sha256 and time.monotonic() < end:
            time.sleep(0.05)
        again = bench.handle()
        assert again.standing().finding == ("reboot" if bench.press_reset else "deadline")
        with pytest.raises(InfrastructureError, match="the board has gone back"):
            again.confirm()

    def test_going_back_is_said_and_needs_somewhere_to_go(self, bench: Bench) -> None:
        board, first = bench.handle(), bench.good(seed=1)
        with pytest.raises(UsageError, match="nothing was ever deployed") as idle:
            board.confirm()
        assert "`edgepipe deploy MODEL --device board`" in idle.value.todo
        board.confirm(board.deploy(first).id)
        with pytest.raises(UsageError, match="is kept already"):
            board.confirm()
        with pytest.raises(UsageError, match="no previous model") as only_one:
            board.rollback("no reason")
        assert "`edgepipe deploy MODEL --device board`" in only_one.value.todo
        board.confirm(board.deploy(bench.good(seed=2)).id)
        assert board.rollback("a reason") == first.sha256
        assert (board.standing().state, board.standing().reason) == (State.ROLLED_BACK, "a reason")

    def test_an_older_version_is_refused_before_it_is_sent(self, bench: Bench) -> None:
        board = bench.handle()
        board.confirm(board.deploy(bench.good(seed=1, version=2)).id)
        with pytest.raises(UsageError, match="older than version 2") as older:
            board.deploy(bench.good(seed=2, version=1))
        assert "--version 2 or more" in older.value.todo
        assert (board.standing().floor, board.standing().state) == (2, State.COMMITTED)

    def test_a_board_that_trusts_somebody_takes_only_what_they_signed(self, bench: Bench, tmp_path: Path) -> None:
        needs_ssh_keygen()
        key, board, plain = make_key(tmp_path / "key"), bench.handle(), bench.good()
        if bench.press_reset:
            with pytest.raises(SignatureRefused, match="cannot check signatures"):
                board.trust("host", [public(key)])
            with pytest.raises(SignatureRefused, match="nothing was sent"):
                board.deploy(replace(plain, signers=(public(key),)))
            return
        (fingerprint,) = board.trust("host", [public(key)])
        with pytest.raises(SignatureRefused, match="not signed"):
            board.deploy(plain)
        with pytest.raises(SignatureRefused, match="trusts other signers"):
            board.trust("host", [public(make_key(tmp_path / "other"))])
        deployed = board.deploy(replace(plain, signed=sign(said(sha256=plain.sha256), key)))
        assert (deployed.outcome, deployed.signer) == (State.TRIAL, fingerprint)
        board.confirm(deployed.id)
        standing = board.standing()
        assert (standing.floor, standing.signers, standing.signatures) == (5, (fingerprint,), {plain.sha256: "board"})

    def test_a_board_that_is_not_open_does_nothing(self, bench: Bench) -> None:
        board = bench.handle()
        board.close()
        with pytest.raises(DeviceUnreachable):
            board.standing()
