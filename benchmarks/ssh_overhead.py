"""What `edgepipe bench` on a board over SSH spends outside the blocks, from a cold start, on loopback."""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import result
from benchmarks.synthetic import convolution
from edgepipe.devices.boards.linux import LinuxBoard
from edgepipe.devices.transports.ssh import SshTransport

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from sshd import Sshd, running

INVENTORY = """\
schema: 1
devices:
  board:
    board: linux
    target: host
    transport: {{kind: ssh, host: 127.0.0.1, port: {port}, user: {user}, key: {key}, host_key: "{host_key}", python: {python}}}
"""
MOST_S = 2.5
# What `bench` over SSH imports before it connects and before it ends; the blocks wait for none of it.
IMPORTS = (
    "import edgepipe.cli, edgepipe.workflows.bench, edgepipe.devices.transports.ssh;"
    "import edgepipe.reports.store, edgepipe.reports.render.console"
)
FEW, MANY = 1, 3  # blocks; the difference is what blocks take, the rest is not


def write_inventory(server: Sshd, path: Path, *, port: int | None = None) -> Path:
    """Write an inventory with the server as its only board, as a user would; `port`: that of a proxy before it."""
    link = server.link(port=port)
    fields = {"port": link.port, "user": link.user, "key": link.key, "host_key": link.host_key, "python": link.python}
    path.write_text(INVENTORY.format(**fields))
    return path


def seconds(inventory: Path, model: Path, blocks: int, folder: Path) -> tuple[float, float]:
    """Return how long one command takes, interpreter start to exit, and the processor time that it takes on the host."""
    command = [sys.executable, "-c", "from edgepipe.cli import main; main()", "bench", str(model), "--device", "board"]
    environment = {**os.environ, "EDGEPIPE_RESULTS": str(folder / "results")}
    began, before = time.monotonic(), _children_s()
    subprocess.run(
        [*command, "--inventory", str(inventory), "--blocks", str(blocks), "--json"],
        check=True,
        capture_output=True,
        env=environment,
    )
    return time.monotonic() - began, _children_s() - before


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def phases(server: Sshd) -> dict[str, float]:
    """Return the seconds of what the command does before and after its blocks, each by itself."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", IMPORTS], check=True)
    imported = time.monotonic()
    board = LinuxBoard("board", SshTransport("board", server.link()))
    board.open()
    opened = time.monotonic()
    board.close()
    return {
        "interpreter_and_imports": imported - began,
        "connect_and_start_the_agent": opened - imported,
        "end_the_agent_and_disconnect": time.monotonic() - opened,
    }


def measure(folder: Path, rounds: int) -> dict[str, object]:
    """Return the time outside the blocks: of each round, the time of a run less what its blocks take."""
    model = folder / "model.tflite"
    model.write_bytes(convolution(side=16, channels=4))
    outside, inside, processor, parts = list[float](), list[float](), list[float](), list[dict[str, float]]()
    with running(folder / "sshd", folder / "home") as server:
        inventory = write_inventory(server, folder / "farm_inventory.yaml")
        seconds(inventory, model, FEW, folder)  # the board is provisioned: it has the agent and the model from here on
        for index in range(rounds):
            order = (FEW, MANY) if index % 2 == 0 else (MANY, FEW)
            took = {blocks: seconds(inventory, model, blocks, folder) for blocks in order}
            inside.append((took[MANY][0] - took[FEW][0]) / (MANY - FEW))
            outside.append(took[FEW][0] - FEW * inside[-1])
            processor.append(took[FEW][1])
            parts.append(phases(server))
    return {
        "rounds": rounds,
        "outside_the_blocks_s": [round(value, 3) for value in outside],
        "outside_the_blocks_median_s": round(statistics.median(outside), 3),
        "processor_time_on_the_host_median_s": round(statistics.median(processor), 3),
        "one_block_median_s": round(statistics.median(inside), 3),
        "parts_of_it_median_s": {name: round(statistics.median(part[name] for part in parts), 3) for name in parts[0]},
        "wanted": f"under {MOST_S} s outside the blocks",
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure and write benchmarks/results/ssh_overhead.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args(arguments)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="edgepipe-overhead-") as folder:
        figures = {**measure(Path(folder), options.rounds), "load_average_1m_at_start": load}
    print(json.dumps(figures, indent=2))
    print(result.write("ssh_overhead", "python -m benchmarks.ssh_overhead", figures))


if __name__ == "__main__":
    main()
