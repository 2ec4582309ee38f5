"""Many boards at once: `edgepipe bench` on eight boards over SSH against one, with blocks that wait instead of computing."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks import result, waiting_blocks
from benchmarks.synthetic import convolution

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from sshd import Sshd, running

BOARD = """\
  board-{number}:
    board: linux
    target: host
    transport: {{kind: ssh, host: 127.0.0.1, port: {port}, user: {user}, key: {key}, host_key: "{host_key}", python: {python}}}
"""
MOST = 1.3  # times what one board takes


@contextmanager
def farm(folder: Path, boards: int) -> Iterator[Path]:
    """So many servers, each a board with a home of its own, and the inventory that names them board-1 and so on."""
    with ExitStack() as stack:
        names = [f"board-{number}" for number in range(1, boards + 1)]
        servers = [stack.enter_context(running(folder / name / "sshd", folder / name / "home")) for name in names]
        inventory = folder / "farm_inventory.yaml"
        inventory.write_text("schema: 1\ndevices:\n" + "".join(map(_entry, range(1, boards + 1), servers)))
        yield inventory


def _entry(number: int, server: Sshd) -> str:
    link = server.link()
    fields = {"port": link.port, "user": link.user, "key": link.key, "host_key": link.host_key, "python": link.python}
    return BOARD.format(number=number, **fields)


def seconds(inventory: Path, model: Path, selector: str, boards: int, folder: Path) -> float:
    """Return how long the whole command takes, from the interpreter's start to its end; every board must have answered."""
    command = [sys.executable, "-c", "from edgepipe.cli import main; main()", "bench", str(model), "--device", selector]
    began = time.monotonic()
    done = subprocess.run(
        [*command, "--inventory", str(inventory), "--blocks", "1", "--json"],
        check=False,
        capture_output=True,
        env={**os.environ, "EDGEPIPE_RESULTS": str(folder / "results")},
    )
    took = time.monotonic() - began
    assert done.returncode == 0, f"{done.stderr.decode()}\n{done.stdout.decode()[-3000:]}"
    outcomes = [(run["record"]["outcome"], run["record"]["reason"]) for run in json.loads(done.stdout)["runs"]]
    assert outcomes == [("ok", "")] * boards, outcomes
    return took


def measure(folder: Path, boards: int, block_s: float, rounds: int) -> dict[str, object]:
    """Return the times of one board and of all of them, in turns."""
    model = folder / "model.tflite"
    model.write_bytes(convolution(side=4, channels=2))
    with farm(folder, boards) as inventory:
        for number in range(1, boards + 1):
            waiting_blocks.install(folder / f"board-{number}" / "home", block_s)
        turns: Sequence[tuple[str, int]] = (("board-1", 1), ("board-*", boards))
        taken: dict[int, list[float]] = {1: [], boards: []}
        for index in range(rounds):
            for selector, count in turns if index % 2 == 0 else turns[::-1]:
                taken[count].append(seconds(inventory, model, selector, count, folder))
    ratios = [many / one for one, many in zip(taken[1], taken[boards], strict=True)]
    return {
        "boards": boards,
        "a_block_waits_s": block_s,
        "one_board_s": [round(value, 2) for value in taken[1]],
        "all_boards_s": [round(value, 2) for value in taken[boards]],
        "times_of_one": [round(value, 3) for value in ratios],
        "times_of_one_median": round(statistics.median(ratios), 3),
        "times_of_one_largest": round(max(ratios), 3),
        "wanted": f"at most {MOST} times the time of one",
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure and write benchmarks/results/ssh_many_boards.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--boards", type=int, default=8)
    parser.add_argument("--block-s", type=float, default=30.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="edgepipe-farm-") as name:
        figures = {**measure(Path(name), options.boards, options.block_s, options.rounds), "load_average_1m_at_start": load}
    print(json.dumps(figures, indent=2))
    print(result.write("ssh_many_boards", "python -m benchmarks.ssh_many_boards", figures))


if __name__ == "__main__":
    main()
