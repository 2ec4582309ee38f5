"""A real disk (tmpfs) that is full in the middle of an upload over SSH or, page by page, of a deployment: nothing is ever torn.

Needs the right to mount. python -m benchmarks.deploy_full_disk [--every N]
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.deploy_bad_models import board_with
from benchmarks.deploy_crash_messages import board_at
from benchmarks.deploy_crash_points import end_processes, is_torn, resolved
from benchmarks.deployments import golden_of, good, order, signed
from benchmarks.result import write
from benchmarks.synthetic import convolution
from edgepipe.devices.agent.deployment import COMMITTED, TRIAL, Deployment
from edgepipe.devices.boards.linux import LinuxBoard
from edgepipe.devices.deployments import Order
from edgepipe.devices.protocols import Transport
from edgepipe.devices.transports.local import LocalTransport
from edgepipe.devices.transports.ssh import SshTransport
from edgepipe.errors import EdgepipeError, StorageError

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from sshd import Sshd, running

PAGE_BYTES = 4096
DISK_BYTES = 32 << 20
PAGES = 72  # a little more than a deployment writes beside the model: golden samples, agent, manifests, journal
UPLOADS = 12


class Lab:
    """Two orders for small boards: the model that is there, and a signed one of about 1 MB that goes there."""

    def __init__(self, folder: Path) -> None:
        self.folder, key = folder, folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        self.first = good(folder / "models", seed=1)
        content = convolution(side=4, channels=160, seed=2)
        self.second = signed(order(folder / "models", content, golden_of(folder / "models", content)), key)
        board_with(self.first, folder / "template")

    @property
    def size_bytes(self) -> int:
        """The size of the model that goes there."""
        return self.second.model.stat().st_size


@contextmanager
def small_disk(lab: Lab, name: str) -> Iterator[Path]:
    """Yield the home of a board on a disk of its own. Raises PermissionError where nothing may be mounted."""
    home = lab.folder / name
    home.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", str(home)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        raise PermissionError("a full disk needs the right to mount a tmpfs: run as root")
    try:
        shutil.copytree(lab.folder / "template", home, symlinks=True, dirs_exist_ok=True)
        yield home
    finally:
        end_processes(home)
        subprocess.run(["umount", "--lazy", str(home)], check=True)


def fill(home: Path, free_bytes: int) -> None:
    """Leave so much of the disk free, whoever else writes to it meanwhile."""
    with (home / "ballast").open("wb") as ballast:
        while True:
            room, taken = os.statvfs(home), os.fstat(ballast.fileno()).st_size
            more = room.f_bavail * room.f_frsize - free_bytes
            if more <= 0:
                return
            with suppress(OSError):
                os.posix_fallocate(ballast.fileno(), taken, more)


def deploy(transport: Transport, wanted: Order) -> str:
    """Deploy and confirm; returns "committed", what the health check found, or the error."""
    board = LinuxBoard("board", transport)
    try:
        board.open()
        if board.standing().state == TRIAL:
            board.rollback("the disk was full when it should have been confirmed")
        deployed = board.deploy(wanted)
        if deployed.outcome == TRIAL:
            board.confirm(deployed.id)
            return COMMITTED
        return deployed.finding or deployed.outcome
    except StorageError:
        return "storage"
    except EdgepipeError as exc:
        return f"{exc.slug}: {exc}"
    finally:
        board.close()


def wrong(lab: Lab, home: Path, said: str) -> Iterator[str]:
    """Yield what is wrong with a board whose disk is full."""
    if said not in (COMMITTED, "storage", "broken"):
        yield f"it said {said}"
    expected = {lab.second.sha256} if said == COMMITTED else {lab.first.sha256, lab.second.sha256}
    if resolved(home) not in expected:
        yield f"current was {resolved(home)} after it said {said}"
    yield from (f"torn entry {path.parent.name}" for path in (home / "store").glob("sha256-*/model.tflite") if is_torn(path))


def wrong_afterwards(lab: Lab, home: Path, transport: Transport) -> Iterator[str]:
    """Make room, deploy again, and yield what is wrong then."""
    (home / "ballast").unlink(missing_ok=True)
    said = deploy(transport, lab.second)
    deployment = Deployment(str(home))
    if said != COMMITTED or resolved(home) != lab.second.sha256 or deployment.floor() != 1:
        yield f"with room again it said {said}, and current is {resolved(home)}"
    left = [path.name for path in (home / "store").iterdir() if not path.name.startswith("sha256-")]
    if left:
        yield f"left behind: {left}"


def deployment(lab: Lab, free_bytes: int) -> tuple[str, list[str]]:
    """Deploy with so much free space; returns how that ended and what was wrong."""
    with small_disk(lab, f"free-{free_bytes}") as home, board_at(home):
        fill(home, free_bytes)
        said = deploy(LocalTransport(), lab.second)
        return said, [*wrong(lab, home, said), *wrong_afterwards(lab, home, LocalTransport())]


def upload(lab: Lab, number: int, at_bytes: int) -> tuple[str, list[str]]:
    """Deploy over SSH; the disk is full once `at_bytes` of the model have arrived. Returns the same."""
    with small_disk(lab, f"upload-{number}") as home, running(lab.folder / f"sshd-{number}", home) as server:
        part, over = home / "incoming" / f"{lab.second.sha256}.part", threading.Event()
        filler = threading.Thread(target=_fill_at, args=(home, part, at_bytes, over))
        filler.start()
        try:
            said = deploy(_link(server), lab.second)
        finally:
            over.set()
            filler.join()
        arrived = part.stat().st_size if part.exists() else 0
        problems = [*wrong(lab, home, said)]
        ending = "in the middle" if 0 < arrived < lab.size_bytes else "afterwards" if said == "storage" else said
        return ending, [*problems, *wrong_afterwards(lab, home, _link(server))]


def _fill_at(home: Path, part: Path, at_bytes: int, over: threading.Event) -> None:
    while not over.is_set():
        if part.exists() and part.stat().st_size >= at_bytes:
            fill(home, 0)
            return
        time.sleep(0.0002)


def _link(server: Sshd) -> SshTransport:
    return SshTransport("board", server.link())


def campaign(every: int = 1, uploads: int = UPLOADS) -> dict[str, object]:
    """Run every `every`-th level of free space, and some uploads; returns the figures."""
    with tempfile.TemporaryDirectory(prefix="edgepipe-full-disk-") as name:
        lab = Lab(Path(name))
        levels = [0, lab.size_bytes // 2, *(lab.size_bytes + PAGE_BYTES * page for page in range(-2, PAGES))]
        ended = [deployment(lab, free_bytes) for free_bytes in levels[::every]]
        sent = [upload(lab, number, lab.size_bytes * (number + 1) // (uploads + 2)) for number in range(uploads)]
        model_bytes = lab.size_bytes
    problems = [problem for _, found in (*ended, *sent) for problem in found]
    return {
        "model_bytes": model_bytes,
        "deployments": len(ended),
        "deployments_ended": dict(collections.Counter(said for said, _ in ended)),
        "uploads": len(sent),
        "uploads_ended": dict(collections.Counter(said for said, _ in sent)),
        "current_not_whole": sum("current was" in problem for problem in problems),
        "torn": sum("torn" in problem for problem in problems),
        "problems": problems[:20],
    }


def main() -> None:
    """Run the campaign and write its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="only every N-th level; nothing is written then")
    every = parser.parse_args().every
    figures = campaign(every)
    print(json.dumps(figures, indent=1))
    if every == 1:
        write("deploy_full_disk", "python -m benchmarks.deploy_full_disk", figures)
    sys.exit(bool(figures["problems"]))


if __name__ == "__main__":
    main()
