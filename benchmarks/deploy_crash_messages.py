"""SIGKILL at every message between host and agent of a signed deployment: the host, the agent, or everything (a power cut) dies.

A host of its own deploys and confirms over a pipe; when the N-th message is about to be sent, was sent, or has come, somebody dies.
Then the board is left to itself, and the next host finds what there is. python -m benchmarks.deploy_crash_messages [--every N]
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.deploy_bad_models import board_with
from benchmarks.deploy_crash_points import end_processes, processes, resolved, snapshot
from benchmarks.deployments import good, signed
from benchmarks.result import write
from edgepipe.devices.agent.deployment import COMMITTED, ROLLED_BACK, TRIAL, Deployment
from edgepipe.devices.agent.lines import decode
from edgepipe.devices.boards.linux import LinuxBoard
from edgepipe.devices.deployments import Order
from edgepipe.devices.protocols import Channel
from edgepipe.devices.transports.local import LocalTransport
from edgepipe.errors import EdgepipeError

VICTIMS = ("host", "agent", "everything")
QUIET_S = 45.0
Trip = Callable[[str], None]


@dataclass(frozen=True)
class Point:
    """Who dies at which message: `number` counts the moments before a request, after it, and after its answer."""

    number: int
    victim: str
    moment: str


class WatchedChannel:
    """Tells of each message that passes, heartbeats left out."""

    def __init__(self, channel: Channel, trip: Trip) -> None:
        self._channel, self._trip = channel, trip

    def send(self, line: bytes, *, deadline_s: float) -> None:
        """Tell before and after."""
        said = decode(line)
        name = f"{said.get('do')}{' ' + said['content'] if 'content' in said else ''}"
        self._trip(f"before {name}")
        self._channel.send(line, deadline_s=deadline_s)
        self._trip(f"after {name}")

    def receive(self, *, deadline_s: float) -> bytes:
        """Tell after."""
        line = self._channel.receive(deadline_s=deadline_s)
        self._trip(f"answer {decode(line).get('id', 'ready')}")
        return line

    def close(self) -> None:
        """Close."""
        self._channel.close()


class WatchedTransport(LocalTransport):
    """This machine, with a watched channel to its agent."""

    def __init__(self, trip: Trip) -> None:
        super().__init__()
        self._trip = trip

    def start_agent(self, agent: str, *, deadline_s: float, role: str = "serve") -> Channel:  # type: ignore[override]
        """Start it and watch."""
        return WatchedChannel(super().start_agent(agent, deadline_s=deadline_s, role=role), self._trip)


def host(order: Order, trip: Trip) -> None:
    """Deploy and confirm as `edgepipe deploy` does."""
    board = LinuxBoard("local", WatchedTransport(trip), beat_s=600.0, silence_s=60.0)
    try:
        board.open()
        deployed = board.deploy(order)
        if deployed.outcome == TRIAL:
            board.confirm(deployed.id)
    finally:
        board.close()


def doomed_host(order: Path, number: int, victim: str) -> None:
    """Be the host of one run, in a process of its own."""
    seen, home = 0, Path(os.environ["EDGEPIPE_HOME"])

    def trip(moment: str) -> None:
        nonlocal seen
        seen += 1
        if seen == number + 1:
            own = os.getpid()
            for pid in processes(home) if victim == "everything" else _agents(home) if victim == "agent" else []:
                with suppress(ProcessLookupError):  # it may have ended by itself
                    if pid != own:
                        os.kill(pid, signal.SIGKILL)
            if victim != "agent":
                os.kill(own, signal.SIGKILL)

    try:
        host(pickle.loads(order.read_bytes()), trip)  # noqa: S301 - our own, written a moment ago
    except EdgepipeError as exc:
        sys.exit(str(exc))


def _agents(home: Path) -> list[int]:
    """Return the agent of the board: the process that its lock file names, while it lives."""
    try:
        pid = int(json.loads((home / "lock").read_text())["pid"])
    except (OSError, ValueError, KeyError):
        return []
    return [pid] if pid in processes(home) else []


class Board:
    """A template of a board with a confirmed model that demands signatures, and the order for the next one."""

    def __init__(self, folder: Path) -> None:
        self.folder, key = folder, folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        self.first = good(folder / "models", seed=1)
        board_with(self.first, folder / "template")
        self.order = signed(good(folder / "models", seed=2, deadline_s=60.0), key)
        self.pickled = folder / "order"
        self.pickled.write_bytes(pickle.dumps(self.order))

    def copy(self, name: str) -> Path:
        """Make a fresh board for one run."""
        home = self.folder / name
        shutil.copytree(self.folder / "template", home, symlinks=True)
        return home

    def moments(self) -> list[str]:
        """Return what happens in a deployment that nobody disturbs, message by message."""
        told: list[str] = []
        home = self.copy("undisturbed")
        with board_at(home):
            host(self.order, told.append)
        assert resolved(home) == self.order.sha256
        return told

    def points(self) -> Iterator[Point]:
        """Yield every point of the campaign."""
        for number, moment in enumerate(self.moments()):
            yield from (Point(number, victim, moment) for victim in VICTIMS)


@contextmanager
def board_at(home: Path) -> Iterator[None]:
    """Let agents keep their board in `home`."""
    before = os.environ.get("EDGEPIPE_HOME")
    os.environ["EDGEPIPE_HOME"] = str(home)
    try:
        yield
    finally:
        os.environ.pop("EDGEPIPE_HOME")
        if before is not None:
            os.environ["EDGEPIPE_HOME"] = before


def hurt(board: Board, point: Point) -> list[str]:
    """Let somebody die at one message and return what is wrong with the board then and afterwards."""
    home = board.copy(f"{point.number}-{point.victim}")
    scratch = home.with_suffix(".tmp")
    scratch.mkdir()
    command = [sys.executable, "-m", "benchmarks.deploy_crash_messages", "--host", str(board.pickled)]
    process = subprocess.Popen(
        [*command, "--at", str(point.number), "--victim", point.victim],
        cwd=Path(__file__).parents[1],
        env={**os.environ, "EDGEPIPE_HOME": str(home), "TMPDIR": str(scratch)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        problems = list(_watched(board, home, process))
        if (point.victim == "agent") == (process.returncode == -signal.SIGKILL):
            problems.append(f"not the {point.victim} was killed: the host ended with {process.returncode}")
        afterwards = _after_power_cut if point.victim == "everything" else _with_the_next_host
        return [*problems, *afterwards(board, home, point), *_used_again(board, home)]
    finally:
        process.kill()
        process.wait()
        end_processes(home)
        shutil.rmtree(home, ignore_errors=True)
        shutil.rmtree(scratch, ignore_errors=True)


def _watched(board: Board, home: Path, process: subprocess.Popen[bytes]) -> Iterator[str]:
    """Look at `current` all the time until the host has ended and the board has come to rest."""
    seen, end = set[str | None](), time.monotonic() + QUIET_S
    while process.poll() is None or not _rests(home):
        seen.add(resolved(home))
        if time.monotonic() > end:
            yield "it did not come to rest"
            break
        time.sleep(0.01)
    yield from (f"current was {each}" for each in (seen | {resolved(home)}) - {board.first.sha256, board.order.sha256})


def _rests(home: Path) -> bool:
    """Return whether nothing goes on any more, or only a trial that waits for its confirmation."""
    now = Deployment(str(home)).now()
    return not _agents(home) and (now.state != TRIAL or now.healthy or not processes(home))


def _after_power_cut(board: Board, home: Path, point: Point) -> Iterator[str]:
    """Do what runs at boot, twice."""
    end_processes(home)
    deployment = Deployment(str(home))
    deployment.recover(guarded=False)
    yield from _standing_wrong(board, home)
    after = snapshot(home)
    deployment.recover(guarded=False)
    if snapshot(home) != after:
        yield "a second recovery changed something"


def _with_the_next_host(board: Board, home: Path, point: Point) -> Iterator[str]:
    """Let another host come; a trial that waits for a word gets one or the other."""
    with board_at(home):
        other = LinuxBoard("local", LocalTransport())
        try:
            other.open()
            standing = other.standing()
            if standing.state == TRIAL:
                if point.number % 2:
                    other.confirm(standing.id)
                else:
                    other.rollback("the host died")
        finally:
            other.close()
    yield from _standing_wrong(board, home)


def _standing_wrong(board: Board, home: Path) -> Iterator[str]:
    now = Deployment(str(home)).now()
    if now.state not in (COMMITTED, ROLLED_BACK):
        yield f"the state is {now.state} in the end"
    wanted = board.order.sha256 if (now.state, now.model) == (COMMITTED, board.order.sha256) else board.first.sha256
    if resolved(home) != wanted:
        yield f"current is {resolved(home)} in state {now.state}"


def _used_again(board: Board, home: Path) -> Iterator[str]:
    """The same deployment must work now, and its signed manifest must stand beside the model."""
    try:
        with board_at(home):
            host(board.order, lambda moment: None)
    except EdgepipeError as exc:
        yield f"it could not be used again: {exc}"
    kept = tuple((home / "slots" / "current" / name).read_text() for name in ("manifest.json", "manifest.sig"))
    if resolved(home) != board.order.sha256 or kept != board.order.signed or Deployment(str(home)).floor() != 1:
        yield "after the next deployment it does not stand as it should"


def campaign(every: int = 1, first: int = 0) -> dict[str, object]:
    """Run every `every`-th point and return the figures."""
    with tempfile.TemporaryDirectory(prefix="edgepipe-crash-messages-") as name:
        board = Board(Path(name))
        points = list(board.points())
        chosen = points[first::every]
        began = time.monotonic()
        problems = [f"{point}: {words}" for point in chosen for words in hurt(board, point)]
    return {
        "messages": len({point.moment for point in points if not point.moment.startswith("before")}),
        "points": len(chosen),
        "by_victim": dict(collections.Counter(point.victim for point in chosen)),
        "current_not_whole": sum("current was" in problem for problem in problems),
        "problems": problems[:20],
        "seconds": round(time.monotonic() - began, 1),
    }


def main() -> None:
    """Run the campaign and write its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="only every N-th point; nothing is written then")
    parser.add_argument("--host", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--at", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--victim", choices=VICTIMS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.host:
        doomed_host(given.host, given.at, given.victim)
        return
    figures = campaign(given.every)
    print(json.dumps(figures, indent=1))
    if given.every == 1:
        write("deploy_crash_messages", "python -m benchmarks.deploy_crash_messages", figures)
    sys.exit(bool(figures["problems"]))


if __name__ == "__main__":
    main()
