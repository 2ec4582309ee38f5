"""SIGKILL, ENOSPC and EIO at every system call of a deployment on the board: current always resolves, recovery is idempotent.

Each point is one run of a step in a fresh process under strace, on a copy of a board with two confirmed models. A kill comes just
before the system call. Then either everything dies (a power cut) and the boot hook's work is done, or only the agent dies and its
guard is waited for. python -m benchmarks.deploy_crash_points [--every N]
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.result import write
from edgepipe.devices import agent_bundle
from edgepipe.devices.agent.deployment import COMMITTED, ROLLED_BACK, Deployment

AT_ONCE = 4  # much of a run is waiting
MARKS = ("/edgepipe-begins", "/edgepipe-ends")
DRIVER = """
import os, sys
agent, home, incoming, sha256, step = sys.argv[1:]
sys.path.insert(0, agent)
from edgepipe_agent import guard
from edgepipe_agent.deployment import Deployment
from edgepipe_agent.lines import Refused
from edgepipe_agent.signing import Signed, Verified
deployment, lines = Deployment(home), []
os.access("/edgepipe-begins", 0)
try:
    if step == "recover":
        deployment.recover(guard.is_guarded(home))
    elif step == "guard":
        watch = guard.Watch(deployment, deployment.now().id, 0, 0.0)
        watch.run(sys.stdin.buffer)
    else:
        deployment.store.clean()
        deployment.recover(guard.is_guarded(home))
        deployment.store.add(incoming, sha256, name="two.tflite")
        deployment.store.prune(deployment.in_use(), kept=1)
        arm = lambda trial: lines.append(guard.arm(home, agent, trial))
        manifest = '{"sha256": "%s", "version": 3, "floor": 0}' % sha256
        verified = Verified(Signed(manifest, "a signature"), {"version": 3}, "somebody", "board")
        trial = deployment.begin(sha256, deadline_s=60.0, version=None, protected="no", arm=arm, verified=verified)
        if step == "commit":
            deployment.healthy(trial)
            deployment.commit(trial)
        else:
            deployment.roll_back(trial, "it crashed", "crashed")
except (OSError, Refused) as exc:
    sys.stderr.write(repr(exc))
    os.access("/edgepipe-ends", 0)
    os._exit(3)
os.access("/edgepipe-ends", 0)
os._exit(0)
"""
WRITING = ("write", "fsync", "rename", "symlink", "mkdir", "openat", "ftruncate", "sendfile", "copy_file_range", "utime")
READING = ("read", "newfstatat", "fstat", "lseek", "unlink", "rmdir", "readlink", "getdents64", "flock", "close", "pread64")


@dataclass(frozen=True)
class Point:
    """One thing that goes wrong: in which step, at which call of which system call, and what; `guarded`: the guard survives."""

    step: str
    syscall: str
    number: int
    fault: str
    guarded: bool = False


class Board:
    """A template of a board with two confirmed models, and the agent's file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.agent = folder / "agent.pyz"
        self.agent.write_bytes(agent_bundle.build().content)
        self.driver = folder / "driver.py"
        self.driver.write_text(DRIVER)
        self.zero, self.one = (self._confirm(word) for word in ("zero", "one"))
        for word in ("old", "older", "oldest"):
            self._store(word)
        self.two = hashlib.sha256(b"two").hexdigest()
        shutil.copytree(self.idle, self.on_trial, symlinks=True)
        deployment = Deployment(str(self.on_trial))
        self._store("two", deployment)
        deployment.begin(self.two, deadline_s=60.0, version=None, protected="no", arm=lambda trial: None)

    @property
    def idle(self) -> Path:
        """The board on which nothing goes on."""
        return self.folder / "idle"

    @property
    def on_trial(self) -> Path:
        """The board during a trial that nothing watches over."""
        return self.folder / "on-trial"

    def _store(self, word: str, deployment: Deployment | None = None) -> str:
        deployment = deployment or Deployment(str(self.idle))
        path = self.folder / word
        path.write_text(word)
        sha256 = hashlib.sha256(word.encode()).hexdigest()
        deployment.store.add(str(path), sha256)
        return sha256

    def _confirm(self, word: str) -> str:
        self.idle.mkdir(exist_ok=True)
        deployment, sha256 = Deployment(str(self.idle)), self._store(word)
        trial = deployment.begin(sha256, deadline_s=60.0, version=None, protected="no", arm=lambda trial: None)
        deployment.healthy(trial)
        deployment.commit(trial)
        return sha256

    def copy(self, step: str, to: Path) -> None:
        """Make a fresh board for one run."""
        shutil.copytree(self.on_trial if step in ("recover", "guard") else self.idle, to, symlinks=True)

    def command(self, step: str, home: Path) -> list[str]:
        """Return the command of a step on the board at `home`."""
        incoming = home.with_suffix(".incoming")
        incoming.write_text("two")
        return [sys.executable, "-I", "-S", str(self.driver), str(self.agent), str(home), str(incoming), self.two, step]


def calls(board: Board, step: str) -> list[tuple[str, int]]:
    """Return each system call between the marks: its name, and its number among those of that name."""
    home, log = board.folder / f"{step}-calls", board.folder / f"{step}.log"
    board.copy(step, home)
    command = ["strace", "-qq", "-o", str(log), *board.command(step, home)]
    subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=120)
    seen: collections.Counter[str] = collections.Counter()
    found, inside = [], False
    for line in log.read_text().splitlines():
        if not (name := re.match(r"(\w+)\(", line)):
            continue
        seen[name[1]] += 1
        if MARKS[1] in line:
            break
        if inside:
            found.append((name[1], seen[name[1]]))
        inside = inside or MARKS[0] in line
    end_processes(home)
    return found


def points(board: Board) -> Iterator[Point]:
    """Yield every point of the campaign."""
    for step in ("commit", "roll back", "recover", "guard"):
        for syscall, number in calls(board, step):
            yield Point(step, syscall, number, "SIGKILL")
            if step in ("commit", "roll back"):
                yield Point(step, syscall, number, "SIGKILL", guarded=True)
            if syscall in WRITING:
                yield Point(step, syscall, number, "ENOSPC")
            if syscall in WRITING + READING:
                yield Point(step, syscall, number, "EIO")


def hurt(board: Board, point: Point, home: Path) -> list[str]:
    """Let one thing go wrong and return what is wrong with the board afterwards."""
    board.copy(point.step, home)
    fault = f"signal={point.fault}" if point.fault.startswith("SIG") else f"error={point.fault}"
    inject = f"inject={point.syscall}:{fault}:when={point.number}"
    command = ["strace", "-qq", "-o", "/dev/null", "-e", f"trace={point.syscall}", "-e", inject, *board.command(point.step, home)]
    try:
        subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, timeout=30
        )
    except subprocess.TimeoutExpired:
        return ["it hung"]
    if point.guarded:
        end = time.monotonic() + 20
        while processes(home) and time.monotonic() < end and Deployment(str(home)).now().healthy is False:
            time.sleep(0.02)
    end_processes(home)
    return list(_wrong(board, home))


def _wrong(board: Board, home: Path) -> Iterator[str]:
    before = resolved(home)
    if before not in (board.one, board.two):
        yield f"current was {before} when the power went"
    yield from (f"torn entry {path.parent.name}" for path in (home / "store").glob("sha256-*/model.tflite") if is_torn(path))
    deployment = Deployment(str(home))
    deployment.recover(guarded=False)
    now = deployment.now()
    if now.state not in (COMMITTED, ROLLED_BACK):
        yield f"the state after recovery is {now.state}"
    wanted = (board.two, board.one) if (now.state, now.model) == (COMMITTED, board.two) else (board.one, board.zero)
    if (resolved(home), deployment.slots.read("previous")) != wanted:
        yield f"slots after recovery in state {now.state}: {deployment.slots.all()}"
    after = snapshot(home)
    deployment.recover(guarded=False)
    if snapshot(home) != after:
        yield "a second recovery changed something"


def resolved(home: Path) -> str | None:
    """Return the hash of what `current` holds, None where it holds nothing whole."""
    link = home / "slots" / "current"
    try:
        sha256 = hashlib.sha256((link / "model.tflite").read_bytes()).hexdigest()
        manifest = json.loads((link / "manifest.json").read_text())
    except (OSError, ValueError):
        return None
    return sha256 if link.resolve().name == f"sha256-{sha256}" and manifest["sha256"] == sha256 else None


def is_torn(path: Path) -> bool:
    """Return whether a model in the store is not what its entry is called."""
    return hashlib.sha256(path.read_bytes()).hexdigest() != path.parent.name[len("sha256-") :]


def snapshot(home: Path) -> dict[str, str]:
    """Return every file and link of the board with what is in it."""
    return {
        str(path): str(path.readlink()) if path.is_symlink() else path.read_bytes().hex() if path.is_file() else ""
        for path in home.rglob("*")
    }


def processes(home: Path) -> list[int]:
    """Return the guard and the agent of the board at `home`, and what they started: their environment names it."""
    wanted, found = f"EDGEPIPE_HOME={home}".encode(), []
    for each in Path("/proc").iterdir():
        try:
            if each.name.isdigit() and wanted in (each / "environ").read_bytes().split(b"\0"):
                found.append(int(each.name))
        except OSError:
            continue
    return found


def end_processes(home: Path) -> None:
    """Kill them all."""
    for pid in processes(home):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    end = time.monotonic() + 5
    while processes(home) and time.monotonic() < end:
        time.sleep(0.005)


def campaign(every: int = 1, first: int = 0) -> dict[str, object]:
    """Run every `every`-th point and return the figures."""
    with tempfile.TemporaryDirectory(prefix="edgepipe-crash-points-") as name:
        folder = Path(name)
        board = Board(folder)
        chosen = list(points(board))[first::every]

        def one(numbered: tuple[int, Point]) -> list[str]:
            home = folder / f"board-{numbered[0]}"
            try:
                return [f"{numbered[1]}: {words}" for words in hurt(board, numbered[1], home)]
            finally:
                shutil.rmtree(home, ignore_errors=True)

        began = time.monotonic()
        with ThreadPoolExecutor(AT_ONCE) as threads:
            problems = [words for found in threads.map(one, enumerate(chosen)) for words in found]
    kinds = collections.Counter(f"{point.step}, {point.fault}{', guard lives' * point.guarded}" for point in chosen)
    return {
        "points": len(chosen),
        "by_step_and_fault": dict(sorted(kinds.items())),
        "system_calls": len({point.syscall for point in chosen}),
        "boards_without_a_whole_current": sum("current was" in problem for problem in problems),
        "torn": sum("torn" in problem for problem in problems),
        "not_recovered": sum("after recovery" in problem for problem in problems),
        "recovery_not_idempotent": sum("second recovery" in problem for problem in problems),
        "problems": problems[:20],
        "seconds": round(time.monotonic() - began, 1),
    }


def main() -> None:
    """Run the campaign and write its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="only every N-th point; nothing is written then")
    every = parser.parse_args().every
    figures = campaign(every)
    print(json.dumps(figures, indent=1))
    if every == 1:
        write("deploy_crash_points", "python -m benchmarks.deploy_crash_points", figures)
    sys.exit(bool(figures["problems"]))


if __name__ == "__main__":
    main()
