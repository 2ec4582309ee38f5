"""Uploads over SSH through a bad network: none arrives damaged, no call outlives its deadline, none begins anew."""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import result
from edgepipe.devices.transports.ssh import SshTransport
from edgepipe.errors import InfrastructureError

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fault_proxy import FaultProxy, Faults, proxy_to
from sshd import Sshd, running

DEADLINE_S = 3.0
ENOUGH_S = 60.0
SLACK_S = 0.5  # what a busy machine may take to notice that a deadline has passed
HANDSHAKE_BYTES = 4000  # a little more than what passes before the first byte of a file
FAULTS: dict[str, Callable[[random.Random, int], Faults]] = {
    "none": lambda rng, size: Faults(),
    "latency": lambda rng, size: Faults(latency_s=rng.uniform(0.001, 0.05)),
    "slices": lambda rng, size: Faults(slice_bytes=rng.randint(1, 2000)),
    "slow": lambda rng, size: Faults(bytes_per_s=1024.0),
    "reset": lambda rng, size: Faults(reset_at=rng.randrange(size + HANDSHAKE_BYTES)),
    "reset backwards": lambda rng, size: Faults(reset_at=rng.randrange(8000), backwards=True),
    "stall": lambda rng, size: Faults(stall_at=rng.randrange(size + HANDSHAKE_BYTES)),
    "half-open": lambda rng, size: Faults(half_open_at=rng.randrange(size + HANDSHAKE_BYTES)),
}
WEIGHTS = (4, 8, 8, 6, 14, 8, 6, 10)  # those that break a connection more often than those that only slow it


@dataclass
class Tally:
    """What was seen."""

    uploads: int = 0
    by_fault: Counter[str] = field(default_factory=Counter)
    corrupt: int = 0
    past_deadline: int = 0
    largest_overrun_s: float = 0.0
    never_arrived: int = 0
    failed_unexpectedly: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Bench:
    """A server, the proxy before it, and where its files arrive."""

    server: Sshd
    proxy: FaultProxy

    @property
    def arrived(self) -> Path:
        """The folder of arrived files."""
        return self.server.home / "incoming"

    def transport(self) -> SshTransport:
        """A new connection through the proxy."""
        return SshTransport("board", self.server.link(port=self.proxy.port))


@contextmanager
def bench(folder: Path) -> Iterator[Bench]:
    """A server behind a proxy."""
    with running(folder / "sshd", folder / "home") as server, proxy_to(server.port) as proxy:
        yield Bench(server, proxy)


def upload(there: Bench, source: Path, deadline_s: float, tally: Tally) -> tuple[str, int]:
    """Connect and upload once; return "" or what was raised, and the bytes of the file that were sent."""
    transport, said = there.transport(), ""
    try:
        for call in (
            lambda: transport.open(deadline_s=deadline_s),
            lambda: transport.put(source, source.name, deadline_s=deadline_s),
        ):
            began = time.monotonic()
            try:
                call()
            except InfrastructureError as exc:
                said = exc.what
                break
            finally:
                overrun_s = time.monotonic() - began - deadline_s
                tally.largest_overrun_s = max(tally.largest_overrun_s, overrun_s)
                tally.past_deadline += overrun_s > SLACK_S
    finally:
        sent = transport.sent_bytes
        transport.close()
    tally.uploads += 1
    return said, sent


def trial(there: Bench, folder: Path, index: int, rng: random.Random, tally: Tally) -> None:
    """One upload under a fault, then one that must succeed; the name is there only with the right bytes, at any time."""
    source = folder / f"model-{index}.tflite"
    source.write_bytes(rng.randbytes(rng.randint(1, 400_000)))
    fault = rng.choices(list(FAULTS), WEIGHTS)[0]
    tally.by_fault[fault] += 1
    there.proxy.faults = FAULTS[fault](rng, source.stat().st_size)
    for faults, deadline_s in ((there.proxy.faults, DEADLINE_S), (Faults(), ENOUGH_S)):
        there.proxy.faults = faults
        said, _ = upload(there, source, deadline_s, tally)
        place = there.arrived / source.name
        if place.exists() and place.read_bytes() != source.read_bytes():
            tally.corrupt += 1
        if not said and not place.exists():
            tally.never_arrived += 1
    if said:
        tally.failed_unexpectedly.append(f"{index}: {said}")
    place.unlink(missing_ok=True)
    source.unlink()


def campaign(folder: Path, trials: int, seed: int) -> Tally:
    """Run the trials on one server."""
    tally = Tally()
    with bench(folder) as there:
        for index in range(trials):
            trial(there, folder, index, random.Random(f"{seed} {index}"), tally)
    return tally


def resumes(folder: Path, count: int, seed: int) -> list[float]:
    """Return, of uploads cut midway, the share of the bytes that had passed before the cut and were not sent again."""
    shares = []
    with bench(folder) as there:
        for index in range(count):
            rng = random.Random(f"{seed} resume {index}")
            source = folder / f"large-{index}.tflite"
            size = rng.randint(3 << 20, 8 << 20)
            source.write_bytes(rng.randbytes(size))
            cut = int(size * rng.uniform(0.4, 0.6))
            tally = Tally()
            there.proxy.faults = Faults(reset_at=HANDSHAKE_BYTES + cut, bytes_per_s=20e6, burst_bytes=64 << 10)
            said, _ = upload(there, source, ENOUGH_S, tally)
            assert said, "the connection was not cut"
            there.proxy.faults = Faults()
            said, sent = upload(there, source, ENOUGH_S, tally)
            assert not said, said
            assert (there.arrived / source.name).read_bytes() == source.read_bytes()
            shares.append((size - sent) / cut)
            (there.arrived / source.name).unlink()
            source.unlink()
    return shares


def main(arguments: list[str] | None = None) -> None:
    """Measure and write benchmarks/results/ssh_uploads.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=520, help="two uploads each")
    parser.add_argument("--servers", type=int, default=4, help="at the same time, a share of the trials each")
    parser.add_argument("--seed", type=int, default=20261122)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="edgepipe-uploads-") as name:
        folder = Path(name)
        shares = resumes(folder / _made(folder, "resumes"), 40, options.seed)
        places = [folder / _made(folder, f"server-{number}") for number in range(options.servers)]
        with ThreadPoolExecutor(len(places)) as pool:
            each = -(-options.trials // len(places))
            tallies = list(pool.map(lambda item: campaign(item[1], each, options.seed + item[0]), enumerate(places)))
    uploads = sum(tally.uploads for tally in tallies)
    figures = {
        "uploads": uploads,
        "seed": options.seed,
        "trials_by_fault": dict(sorted(sum((tally.by_fault for tally in tallies), Counter[str]()).items())),
        "corrupt": sum(tally.corrupt for tally in tallies),
        "corrupt_note": f"0 in {uploads} shows a rate below {3 / uploads:.2%} (95 %)",
        "said_to_be_there_and_was_not": sum(tally.never_arrived for tally in tallies),
        "calls_past_their_deadline": sum(tally.past_deadline for tally in tallies),
        "deadline_slack_s": SLACK_S,
        "largest_overrun_s": round(max(tally.largest_overrun_s for tally in tallies), 3),
        "second_attempts_that_failed": [said for tally in tallies for said in tally.failed_unexpectedly],
        "resumed_after_a_cut_midway": len(shares),
        "resumed_files_mib": [3, 8],
        "share_not_sent_again_smallest": round(min(shares), 3),
        "share_not_sent_again_median": round(statistics.median(shares), 3),
        "load_average_1m_at_end": os.getloadavg()[0],
    }
    print(json.dumps(figures, indent=2))
    print(result.write("ssh_uploads", "python -m benchmarks.ssh_uploads", figures))


def _made(folder: Path, name: str) -> str:
    (folder / name).mkdir()
    return name


if __name__ == "__main__":
    main()
