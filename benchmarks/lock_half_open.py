"""How long a board stays held by a host that fell silent: half-open, stalled and stopped, with the deadlines of real use."""

from __future__ import annotations

import multiprocessing
import os
import signal
import statistics
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from benchmarks.lock_witness import Claim, Witness, watching
from edgepipe.devices.boards.linux import AGENT_HEARTBEAT_S, LinuxBoard
from edgepipe.devices.inventory import SshLink
from edgepipe.devices.protocols import RunOptions
from edgepipe.devices.transports.ssh import SshTransport
from edgepipe.errors import EdgepipeError

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fault_proxy import FaultProxy, Faults, proxy_to
from sshd import Sshd, running

WANTED_S = 75.0
LONGEST_S = 150.0
MORE_BYTES = 800  # a few requests after the board was opened


def measure(folder: Path, count: int, heartbeat_s: float = AGENT_HEARTBEAT_S) -> dict[str, object]:
    """Return, for each kind of silence, the seconds from the last byte until the board was free, all boards at the same time."""
    kinds: dict[str, Callable[[Path, float], float]] = {"half-open": _half_open, "stalled": _stalled, "host stopped": _host_stopped}
    jobs = [(kind, folder / f"silent-{kind.replace(' ', '-')}-{number}") for kind in kinds for number in range(count)]
    with ThreadPoolExecutor(len(jobs)) as pool:
        taken = list(pool.map(lambda job: kinds[job[0]](job[1], heartbeat_s), jobs))
    by_kind = {kind: [round(value, 2) for job, value in zip(jobs, taken, strict=True) if job[0] == kind] for kind in kinds}
    return {
        "heartbeat_deadline_s": heartbeat_s,
        "free_after_the_last_byte_s": by_kind,
        "median_s": round(statistics.median(taken), 2),
        "largest_s": round(max(taken), 2),
        "wanted": f"within {WANTED_S:g} s",
    }


def _half_open(folder: Path, heartbeat_s: float) -> float:
    return _through_a_proxy(folder, heartbeat_s, lambda at: Faults(half_open_at=at))


def _stalled(folder: Path, heartbeat_s: float) -> float:
    return _through_a_proxy(folder, heartbeat_s, lambda at: Faults(stall_at=at))


def _through_a_proxy(folder: Path, heartbeat_s: float, fault: Callable[[int], Faults]) -> float:
    with watching(folder) as witness, running(folder / "sshd", folder / "home") as server, proxy_to(server.port) as proxy:
        link = server.link(port=proxy.port, python=str(witness.python))
        _board(link, heartbeat_s, lambda board: None)  # brings the agent
        before = proxy.passed_bytes
        _board(link, heartbeat_s, lambda board: None)
        proxy.faults = fault(proxy.passed_bytes - before + MORE_BYTES)
        threading.Thread(target=_board, args=(link, heartbeat_s, _talk), daemon=True).start()
        return _until_free(server, witness, _last_byte(proxy))


def _board(link: SshLink, heartbeat_s: float, use: Callable[[LinuxBoard], None]) -> None:
    board = LinuxBoard("board", SshTransport("board", link), heartbeat_s=heartbeat_s)
    with suppress(EdgepipeError):
        board.open()
        use(board)
    board.close()


def _talk(board: LinuxBoard) -> None:
    """Ask and ask, until nobody answers."""
    while True:
        board.runtime(RunOptions())
        time.sleep(0.05)


def _last_byte(proxy: FaultProxy) -> Callable[[], float]:
    """Follow what passes; the returned function says when the last byte did."""
    last = [time.monotonic()]

    def follow() -> None:
        passed = proxy.passed_bytes
        while True:
            time.sleep(0.005)
            if proxy.passed_bytes != passed:
                passed, last[0] = proxy.passed_bytes, time.monotonic()

    threading.Thread(target=follow, daemon=True).start()
    return lambda: last[0]


def _host_stopped(folder: Path, heartbeat_s: float) -> float:
    """The host's process stands still: its kernel acknowledges whatever comes, and nothing is said any more."""
    with watching(folder) as witness, running(folder / "sshd", folder / "home") as server:
        link = server.link(python=str(witness.python))
        host = multiprocessing.get_context("forkserver").Process(target=_board, args=(link, heartbeat_s, _talk), daemon=True)
        host.start()
        _wait(lambda: witness.holder is not None and "process" in (server.home / "lock").read_text(), "the host has the board")
        os.kill(host.pid or 0, signal.SIGSTOP)
        stopped = time.monotonic()
        try:
            return _until_free(server, witness, lambda: stopped)
        finally:
            host.kill()
            host.join()


def _until_free(server: Sshd, witness: Witness, last_byte: Callable[[], float]) -> float:
    """Return the seconds from the last byte to the end of the agent that holds the board; the next one must get it then."""
    claims = witness.claims["agent"]
    _wait(lambda: witness.holder is not None and time.monotonic() - last_byte() > 2.0, "a host that fell silent")
    holder: Claim | None = witness.holder
    assert holder is not None
    _wait(lambda: not holder.is_alive, "the end of the agent")
    seconds = time.monotonic() - last_byte()
    board = LinuxBoard("board", SshTransport("board", server.link(python=str(witness.python))))
    board.open()
    board.close()
    assert witness.claims["agent"] > claims
    assert witness.overlaps == []
    return seconds


def _wait(true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + LONGEST_S
    while not true():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.01)
