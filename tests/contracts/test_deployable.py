"""What a board that keeps models promises, asked of one over a pipe and one over a real sshd."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.deployments import bad, current, good
from edgepipe.devices.boards.linux import LinuxBoard
from edgepipe.devices.deployments import State
from edgepipe.devices.protocols import Deployable
from edgepipe.devices.transports.local import LocalTransport
from edgepipe.devices.transports.ssh import SshTransport
from edgepipe.errors import DeviceBusy, DeviceUnreachable, UsageError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEPIPE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(params=["linux-local", "linux-ssh"])
def handle(request: pytest.FixtureRequest, home: Path) -> Iterator[Callable[[], Deployable]]:
    """Return what makes one more host's handle on the same board."""
    link = request.getfixturevalue("sshd").link() if request.param == "linux-ssh" else None
    made: list[Deployable] = []

    def opened() -> Deployable:
        made.append(LinuxBoard("board", SshTransport("board", link) if link else LocalTransport()))
        made[-1].open()
        return made[-1]

    yield opened
    for board in made:
        board.close()


class TestDeployable:
    """The contract of `edgepipe.devices.protocols.Deployable`."""

    def test_a_good_model_is_kept_once_confirmed_and_not_sent_again(self, handle: Callable[[], Deployable], tmp_path: Path) -> None:
        board, order = handle(), good(tmp_path / "m")
        deployed = board.deploy(order)
        assert (deployed.outcome, deployed.sent_bytes) == (State.TRIAL, order.model.stat().st_size)
        board.confirm(deployed.id)
        board.close()
        again = handle()
        assert (again.standing().state, again.standing().current) == (State.COMMITTED, order.sha256)
        assert (again.deploy(order).unchanged, again.deploy(order).sent_bytes) == (True, 0)

    def test_a_bad_model_leaves_everything_as_it_was(self, handle: Callable[[], Deployable], tmp_path: Path) -> None:
        board = handle()
        first, second = good(tmp_path / "m", seed=1), good(tmp_path / "m", seed=2)
        for order in (first, second):
            board.confirm(board.deploy(order).id)
        deployed = board.deploy(bad(tmp_path / "m", "wrong output", seed=3))
        assert (deployed.outcome, deployed.finding) == (State.ROLLED_BACK, "wrong output")
        standing = board.standing()
        assert (standing.current, standing.previous, standing.candidate) == (second.sha256, first.sha256, None)

    def test_a_trial_outlives_its_host_and_can_be_confirmed_by_the_next(
        self, handle: Callable[[], Deployable], tmp_path: Path
    ) -> None:
        board, order = handle(), good(tmp_path / "m", deadline_s=60.0)
        board.deploy(order)
        board.close()
        again = handle()
        standing = again.standing()
        assert (standing.state, standing.guarded) == (State.TRIAL, True)
        assert standing.left_s is not None
        assert 0 < standing.left_s < 60
        with pytest.raises(DeviceBusy):
            again.deploy(good(tmp_path / "m", seed=9))
        again.confirm()
        assert again.standing().state is State.COMMITTED

    def test_nobody_confirms_and_the_board_goes_back_alone(
        self, handle: Callable[[], Deployable], tmp_path: Path, home: Path
    ) -> None:
        board, first = handle(), good(tmp_path / "m", seed=1)
        board.confirm(board.deploy(first).id)
        board.deploy(good(tmp_path / "m", seed=2, deadline_s=4.0))
        board.close()
        end = time.monotonic() + 30
        while current(home) != first.sha256 and time.monotonic() < end:
            time.sleep(0.05)
        assert handle().standing().finding == "deadline"

    def test_going_back_is_said_and_needs_somewhere_to_go(self, handle: Callable[[], Deployable], tmp_path: Path) -> None:
        board, first = handle(), good(tmp_path / "m", seed=1)
        board.confirm(board.deploy(first).id)
        with pytest.raises(UsageError):
            board.rollback("no reason")
        board.confirm(board.deploy(good(tmp_path / "m", seed=2)).id)
        assert board.rollback("a reason") == first.sha256
        assert (board.standing().state, board.standing().reason) == (State.ROLLED_BACK, "a reason")

    def test_a_board_that_is_not_open_does_nothing(self, handle: Callable[[], Deployable]) -> None:
        board = handle()
        board.close()
        with pytest.raises(DeviceUnreachable):
            board.standing()
