"""Clients race for one board over SSH while they, its agents and its connections are killed and stopped: never two holders."""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

from benchmarks import lock_half_open, result, waiting_blocks
from benchmarks.lock_witness import Claim, Witness, process_fields, watching
from benchmarks.synthetic import convolution
from edgepipe.devices.boards.linux import LinuxBoard
from edgepipe.devices.inventory import SshLink
from edgepipe.devices.protocols import BlockRequest
from edgepipe.devices.transports.ssh import SshTransport
from edgepipe.errors import DeviceBusy, InfrastructureError

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from sshd import Sshd, running

HEARTBEAT_S, BEAT_S, SILENCE_S = 2.0, 0.5, 4.0  # instead of 60, 15 and 40 s, so that thousands of turns fit into minutes
BLOCK_S = 0.1
STOPS_PER_KILL = 0.4  # whoever is stopped holds the board for seconds, in which nobody else gets it
MOST_STOPPED = 3  # at the same time: else nobody moves
REQUEST = BlockRequest(index=0, warmup_max_s=0.1, min_s=0.01)


@dataclass(frozen=True, kw_only=True)
class Course:
    """What a client needs: the board, the model, where it writes what happens to it, and how long it rests between attempts."""

    link: SshLink
    model: Path
    sha256: str
    log: Path
    rest_s: float


def client(course: Course, seed: int) -> None:
    """Take the board, use it, let go of it, and so on for ever; every happening is one line of the log."""
    rng, log = random.Random(seed), os.open(course.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    while True:
        time.sleep(rng.expovariate(1 / course.rest_s))
        os.write(log, f"{turn(course, rng)}\n".encode())


def turn(course: Course, rng: random.Random) -> str:
    """One attempt; returns what became of it."""
    transport = SshTransport("board", course.link)
    board = LinuxBoard("board", transport, beat_s=BEAT_S, silence_s=SILENCE_S, heartbeat_s=HEARTBEAT_S)
    came_to = "lost before it was had"
    try:
        board.open()
        came_to = "lost while it was had"
        if rng.random() < 0.2:
            board.push(course.model, course.sha256)
            came_to = "used" if board.measure(course.sha256, REQUEST).outcome == "ok" else "lost while it was had"
        else:
            time.sleep(rng.uniform(0.0, 0.1))
            came_to = "had"
    except DeviceBusy:
        return "busy"
    except InfrastructureError:
        return came_to
    finally:
        board.close()
    return came_to


@dataclass
class Race:
    """The clients, and what is done to them."""

    course: Course
    home: Path
    witness: Witness
    rng: random.Random
    clients: list[BaseProcess] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    freed_s: dict[str, list[float]] = field(default_factory=dict)
    _stopped: dict[int, float] = field(default_factory=dict)  # when each goes on
    _were_stopped: set[int] = field(default_factory=set)

    def enter(self) -> None:
        """Let one more client race."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["benchmarks.lock_races"])  # so that a new client costs a fork only
        process = context.Process(target=client, args=(self.course, self.rng.getrandbits(32)), daemon=True)
        process.start()
        self.clients.append(process)

    def disturb(self) -> None:
        """Let those go on that rested long enough, and do one bad thing to the holder, or to anybody."""
        now = time.monotonic()
        for pid in [pid for pid, until in self._stopped.items() if until <= now]:
            del self._stopped[pid]
            _signal(pid, signal.SIGCONT)
        deeds: dict[str, Callable[[Claim | None], bool]] = {"client killed": self._kill_client, "client stopped": self._stop_client}
        holder = self.witness.holder
        if holder is not None and holder.is_alive:
            deeds["agent killed"] = lambda _: self._kill_agent(holder)
            deeds["agent stopped"] = lambda _: self._stop_agent(holder)
            deeds["connection killed"] = lambda _: self._kill_connection(holder)
        else:
            holder = None
        deed = self.rng.choices(list(deeds), [STOPS_PER_KILL if "stopped" in deed else 1.0 for deed in deeds])[0]
        if "stopped" not in deed or len(self._stopped) < MOST_STOPPED:
            self.done[deed] += deeds[deed](holder)

    def _kill_client(self, holder: Claim | None) -> bool:
        victim = self._client_of(holder) if holder else None
        if victim is None or holder is None:
            victim = self.rng.choice(self.clients)
        else:
            self._time_until_free("the client was killed", holder)
        _signal(victim.pid, signal.SIGKILL)
        victim.join()
        self.clients.remove(victim)
        self._stopped.pop(victim.pid or 0, None)
        self.enter()
        return True

    def _stop_client(self, holder: Claim | None) -> bool:
        victim = (self._client_of(holder) if holder else None) or self.rng.choice(self.clients)
        return self._stop(victim.pid or 0, self.rng.uniform(0.1, 2 * HEARTBEAT_S))

    def _kill_agent(self, holder: Claim) -> bool:
        self._time_until_free("the agent was killed", holder)
        return _signal(holder.pid, signal.SIGKILL)

    def _stop_agent(self, holder: Claim) -> bool:
        self._were_stopped.add(holder.pid)
        return self._stop(holder.pid, self.rng.uniform(0.1, 1.0))

    def _kill_connection(self, holder: Claim) -> bool:
        """The server's process that speaks for the agent; what its agent says to nobody is heard by nobody."""
        fields = process_fields(holder.pid)
        parent = int(fields[1]) if fields else 1
        if not (process_fields(parent) and "sshd" in Path(f"/proc/{parent}/comm").read_text()):
            return False
        self._time_until_free("the connection was killed", holder)
        return _signal(parent, signal.SIGKILL)

    def _stop(self, pid: int, seconds: float) -> bool:
        self._stopped[pid] = time.monotonic() + seconds
        return _signal(pid, signal.SIGSTOP)

    def _client_of(self, holder: Claim) -> BaseProcess | None:
        """The client that signed the board's lock; nobody yet, where the holder's has not come to that."""
        try:
            signed = json.loads((self.home / "lock").read_text())
        except (OSError, ValueError):
            return None
        pid = signed["holder"].rpartition(" ")[2]
        if signed["pid"] != holder.pid:
            return None
        return next((process for process in self.clients if str(process.pid) == pid), None)

    def _time_until_free(self, why: str, holder: Claim) -> None:
        began = time.monotonic()

        def wait() -> None:
            while holder.is_alive:
                time.sleep(0.002)
            if holder.pid not in self._were_stopped:
                self.freed_s.setdefault(why, []).append(time.monotonic() - began)

        threading.Thread(target=wait, daemon=True).start()

    def over(self) -> None:
        """End everybody."""
        for process in self.clients:
            _signal(process.pid, signal.SIGKILL)
        for process in self.clients:
            process.join()
        for pid in self._stopped:
            _signal(pid, signal.SIGCONT)


def _signal(pid: int | None, number: signal.Signals) -> bool:
    """Signal a process; one that is gone already is no matter."""
    with suppress(ProcessLookupError):
        os.kill(pid or 0, number) if pid else None
        return bool(pid)
    return False


def race(
    folder: Path,
    *,
    clients: int,
    acquisitions: int,
    seed: int,
    disturb_every_s: float = 1.3,
    rest_s: float | None = None,
    is_locking: bool = True,
    longest_s: float = 3600.0,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, object]:
    """Return what happened until the board was acquired so often; without locking, until the witness saw two holders at once."""
    folder.mkdir(exist_ok=True)
    model = folder / "model.tflite"
    model.write_bytes(convolution(side=4, channels=2))
    with ExitStack() as stack:
        witness = stack.enter_context(watching(folder / "w", is_locking=is_locking))
        server: Sshd = stack.enter_context(running(folder / "sshd", folder / "home"))
        waiting_blocks.install(server.home, BLOCK_S, witness=witness.folder)
        course = Course(
            link=server.link(python=str(witness.python)),
            model=model,
            sha256=hashlib.sha256(model.read_bytes()).hexdigest(),
            log=folder / "log",
            rest_s=rest_s if rest_s is not None else clients / 1.6,
        )
        running_race = Race(course, server.home, witness, random.Random(seed))
        stack.callback(running_race.over)
        began = last = time.monotonic()
        for _ in range(clients):
            running_race.enter()
        while witness.claims["agent"] < acquisitions and time.monotonic() - began < longest_s:
            if witness.overlaps and not is_locking:
                break
            time.sleep(running_race.rng.expovariate(1 / disturb_every_s))
            running_race.disturb()
            if time.monotonic() - last > 30:
                last = time.monotonic()
                say(f"{last - began:5.0f} s: {dict(witness.claims)}, {dict(running_race.done)}, {len(witness.overlaps)} overlaps")
        running_race.over()
        figures = _figures(running_race, time.monotonic() - began)
        figures["free_at_the_end"] = _is_free(course)
    return figures


def _is_free(course: Course) -> bool:
    """Whether the board can be had once all clients are gone."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if turn(course, random.Random(0)) in ("had", "used"):
            return True
        time.sleep(0.2)
    return False


def _figures(over: Race, seconds: float) -> dict[str, object]:
    freed = {
        why: {"times": len(taken), "median_s": round(statistics.median(taken), 3), "largest_s": round(max(taken), 3)}
        for why, taken in sorted(over.freed_s.items())
    }
    return {
        "seconds": round(seconds),
        "acquisitions_seen_by_the_witness": over.witness.claims["agent"],
        "blocks_seen_by_the_witness": over.witness.claims["block"],
        "two_holders_at_once": over.witness.overlaps,
        "attempts": dict(sorted(Counter(over.course.log.read_text().splitlines()).items())) if over.course.log.exists() else {},
        "done_to_them": dict(sorted(over.done.items())),
        "freed_after": freed,
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure and write benchmarks/results/lock_races.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--acquisitions", type=int, default=2000)
    parser.add_argument("--half-open", type=int, default=3, help="boards for each kind of silence, with the real deadline of 60 s")
    parser.add_argument("--seed", type=int, default=20261122)
    options = parser.parse_args(arguments)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="race-") as name:
        silences = lock_half_open.measure(Path(name), options.half_open)
        print(json.dumps(silences, indent=2), file=sys.stderr, flush=True)
        raced = race(
            Path(name) / "race",
            clients=options.clients,
            acquisitions=options.acquisitions,
            seed=options.seed,
            say=lambda line: print(line, file=sys.stderr, flush=True),
        )
    count = int(str(raced["acquisitions_seen_by_the_witness"]))
    figures = {
        "clients": options.clients,
        "seed": options.seed,
        **raced,
        "two_holders_note": f"0 in {count} shows a rate below {3 / count:.2%} (95 %)",
        "a_silent_host": silences,
        "load_average_1m_at_start": load,
    }
    print(json.dumps(figures, indent=2))
    print(result.write("lock_races", "python -m benchmarks.lock_races", figures))


if __name__ == "__main__":
    main()
