"""An upload of 10 MB through 100 Mbit/s, by edgepipe and by scp in turns, neither with the time that connecting takes."""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import result

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fault_proxy import Faults, proxy_to
from sshd import Sshd, running

BYTES, BITS_PER_S = 10_000_000, 100e6
LEAST = 0.9  # of scp's throughput
ENOUGH_S = 300.0
# A process of its own, as scp is one: the proxy's work must not be done in the interpreter that is timed.
UPLOADER = """
import sys, time
from edgepipe.devices.inventory import SshLink
from edgepipe.devices.transports.ssh import SshTransport
from pathlib import Path

link = SshLink(**eval(sys.argv[1]))
transport = SshTransport("board", link)
transport.open(deadline_s=60)
for line in sys.stdin:
    source = Path(line.strip())
    began = time.monotonic()
    transport.put(source, source.name, deadline_s=300)
    print(time.monotonic() - began, flush=True)
transport.close()
"""


@dataclass(frozen=True)
class Lines:
    """Both ways to send a file through the proxy at `port`, each over a connection that stands already."""

    server: Sshd
    port: int
    uploader: subprocess.Popen[str]

    def edgepipe(self, source: Path) -> float:
        """Send a file by edgepipe, and see that it arrived; returns the seconds."""
        assert self.uploader.stdin and self.uploader.stdout
        self.uploader.stdin.write(f"{source}\n")
        self.uploader.stdin.flush()
        seconds = float(self.uploader.stdout.readline())
        arrived = self.server.home / "incoming" / source.name
        assert arrived.read_bytes() == source.read_bytes()
        arrived.unlink()
        return seconds

    def scp(self, source: Path) -> float:
        """Send a file by scp; returns the seconds from its start to its end."""
        place = self.server.folder / "by_scp"
        began = time.monotonic()
        subprocess.run(["scp", "-q", *self.options("-P"), str(source), f"{self.address}:{place}"], check=True, timeout=ENOUGH_S)
        seconds = time.monotonic() - began
        assert place.read_bytes() == source.read_bytes()
        place.unlink()
        return seconds

    @property
    def address(self) -> str:
        """Whom ssh is to reach."""
        return f"{self.server.link().user}@127.0.0.1"

    def options(self, port_flag: str) -> list[str]:
        """What ssh and scp need: the board's keys, nothing of this machine's user, and one connection for all."""
        folder = self.server.folder
        known = folder / "known_hosts"
        known.write_text(f"[127.0.0.1]:{self.port} {self.server.host_key()}\n")
        options = ["IdentitiesOnly=yes", f"UserKnownHostsFile={known}", "GlobalKnownHostsFile=/dev/null"]
        options += ["StrictHostKeyChecking=yes", f"ControlPath={folder}/control"]
        words = [word for option in options for word in ("-o", option)]
        return ["-F", "none", port_flag, str(self.port), "-i", str(folder / "user_key"), *words]


@contextmanager
def lines(folder: Path, bits_per_s: float) -> Iterator[Lines]:
    """A server behind a slow network, and both connections to it."""
    faults = Faults(bytes_per_s=bits_per_s / 8, burst_bytes=64 << 10)
    with running(folder / "sshd", folder / "home") as server, proxy_to(server.port, faults) as proxy:
        link = server.link(port=proxy.port)
        fields = repr({name: getattr(link, name) for name in ("host", "user", "port", "key", "host_key", "python")})
        command = [sys.executable, "-c", UPLOADER, fields]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as uploader:
            both = Lines(server, proxy.port, uploader)
            master = ["ssh", *both.options("-p"), "-M", "-N", "-f", both.address]
            subprocess.run(master, check=True, timeout=ENOUGH_S)
            try:
                yield both
            finally:
                subprocess.run(["ssh", *both.options("-p"), "-q", "-O", "exit", both.address], check=False)
                uploader.kill()


def measure(folder: Path, pairs: int, seed: int, size: int = BYTES, bits_per_s: float = BITS_PER_S) -> dict[str, object]:
    """Return the times of both, in turns A B B A; the shares are of what remains without the time of a file of one byte.

    That is for scp the start of a process and a session, for edgepipe what it asks the board before and after a file.
    """
    taken: dict[str, list[float]] = {"edgepipe": [], "scp": []}
    tiny: dict[str, list[float]] = {"edgepipe": [], "scp": []}
    small, source = folder / "small", folder / "ten.tflite"
    small.write_bytes(b"1")
    with lines(folder, bits_per_s) as both:
        ways = {"edgepipe": both.edgepipe, "scp": both.scp}
        for index in range(pairs):
            source.write_bytes(random.Random(f"{seed} {index}").randbytes(size))
            for name in list(ways) if index % 2 == 0 else list(ways)[::-1]:
                ways[name](small)  # the first one of all starts what serves the others
                tiny[name].append(ways[name](small))
                taken[name].append(ways[name](source))
    wire = {name: [whole - one for whole, one in zip(taken[name], tiny[name], strict=True)] for name in ways}
    shares = [theirs / ours for ours, theirs in zip(wire["edgepipe"], wire["scp"], strict=True)]
    return {
        "bytes": size,
        "bits_per_s": bits_per_s,
        "pairs": pairs,
        "edgepipe_s": [round(value, 3) for value in taken["edgepipe"]],
        "scp_s": [round(value, 3) for value in taken["scp"]],
        "one_byte_median_s": {name: round(statistics.median(values), 3) for name, values in tiny.items()},
        "share_of_scps_throughput": [round(value, 3) for value in shares],
        "share_of_scps_throughput_median": round(statistics.median(shares), 3),
        "wanted": f"at least {LEAST}",
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure and write benchmarks/results/ssh_throughput.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=20261122)
    options = parser.parse_args(arguments)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="edgepipe-speed-") as folder:
        figures = {**measure(Path(folder), options.pairs, options.seed), "load_average_1m_at_start": load}
    print(json.dumps(figures, indent=2))
    print(result.write("ssh_throughput", "python -m benchmarks.ssh_throughput", figures))


if __name__ == "__main__":
    main()
