"""Agents killed at any moment while they set the governor and put it back: what a board is left with afterwards.

The board is a folder with two groups of cores. Each round starts a process that sets and puts back without a pause, as the agent
does for a session, and kills it after a random time. In every fourth round its keeper is killed as well, so that the next agent has
to put back what both left.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.result import write
from edgepipe.devices.agent.governor import Governor

ROUNDS, SEED, PATIENCE_S, LONGEST_S = 1000, 0, 10.0, 0.02
BEFORE = {0: "ondemand", 2: "schedutil"}
AGENT = """
import sys
from edgepipe.devices.agent.governor import Governor
sys.stdout.write("ready\\n")
sys.stdout.flush()
while True:
    governor = Governor(sys.argv[1], sys.argv[2])
    governor.steady()
    governor.restore()
"""


def measure(folder: Path, rounds: int, seed: int) -> dict[str, Any]:
    """Kill `rounds` agents and return what was found afterwards."""
    chance, board, home = random.Random(seed), folder / "board", folder / "home"
    home.mkdir(parents=True)
    files = {_policy(board, core): governor for core, governor in BEFORE.items()}
    caught = both = left = 0
    waits = []
    for number in range(rounds):
        for path, governor in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(governor)
        agent = _start(home, board)
        time.sleep(chance.uniform(0, LONGEST_S))
        os.kill(agent.pid, signal.SIGSTOP)
        steady = any(path.read_text() != governor for path, governor in files.items())
        caught += steady
        keepers = _keepers(home) - {agent.pid} if number % 4 == 0 else set()
        both += bool(keepers)
        for pid in (agent.pid, *keepers):
            _kill(pid)
        agent.communicate()
        began = time.monotonic()
        if keepers:
            Governor(str(home), str(board))
        while (not _is_as_before(files) or _keepers(home)) and time.monotonic() - began < PATIENCE_S:
            time.sleep(0.001)
        left += not _is_as_before(files)
        waits += [time.monotonic() - began] if steady else []
    return {
        "agents_killed": rounds,
        "of_these_while_the_governor_was_changed": caught,
        "of_these_with_their_keeper": both,
        "governors_left_changed": left,
        "longest_wait_s": round(max(waits, default=0.0), 3),
    }


def _start(home: Path, board: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", AGENT, str(home), str(board)]
    agent = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, start_new_session=True)
    assert agent.stdout
    agent.stdout.readline()
    return agent


def _policy(board: Path, core: int) -> Path:
    return board / f"sys/devices/system/cpu/cpufreq/policy{core}/scaling_governor"


def _is_as_before(files: dict[Path, str]) -> bool:
    return all(path.read_text() == governor for path, governor in files.items())


def _keepers(home: Path) -> set[int]:
    """Return the processes that were started for this home: the agent, and its keepers, which are forks of it."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(home).encode() in path.read_bytes().split(b"\0"):
                found.add(int(path.parent.name))
        except OSError:
            continue
    return found - {os.getpid()}


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def main() -> None:
    """Run the campaign and write its figures."""
    with tempfile.TemporaryDirectory(prefix="edgepipe-governor-") as folder:
        figures = measure(Path(folder), ROUNDS, SEED)
    print(write("governor_kills", "python -m benchmarks.governor_kills", figures))
    print(figures)


if __name__ == "__main__":
    main()
