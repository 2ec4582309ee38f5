"""Ctrl-C and SIGTERM with several boards: all are let go of, their governors put back, and what was measured is kept."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from board_trees import PI4, plant, python_of
from commandline import EDGEPIPE
from sshd import Sshd, descendants

from benchmarks.synthetic import slow
from edgepipe.reports.store import Store

POLICY = "sys/devices/system/cpu/cpufreq/policy0/scaling_governor"
INVENTORY = """\
schema: 1
devices:
  remote: {{board: linux, target: pi, transport: {{kind: ssh, host: 127.0.0.1, port: {port}, user: {user}, key: {key},
           host_key: "{host_key}", python: {python}}}}}
  here: {{board: linux, target: host, transport: {{kind: local, python: {local}}}}}
  quick: {{board: fake, target: host, transport: {{kind: fake}}}}
"""


@dataclass
class Farm:
    """A board over SSH and one that is this machine, each with a home, and a /sys of files; and one that only exists in memory."""

    folder: Path
    homes: tuple[Path, Path]
    trees: tuple[Path, Path]
    server: Sshd
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *words: object) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "EDGEPIPE_RESULTS": str(self.folder / "results"),
            "EDGEPIPE_HOME": str(self.homes[1]),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
        }
        command = [*EDGEPIPE, *map(str, words), "--inventory", str(self.folder / "farm.yaml")]
        self.started.append(
            subprocess.Popen(command, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        )
        return self.started[-1]

    def governors(self) -> list[str]:
        return [(tree / POLICY).read_text().strip() for tree in self.trees]

    def free(self) -> list[bool]:
        """Whether each board's lock can be had, right now."""
        return [_can_be_had(home / "lock") for home in self.homes]


def _can_be_had(lock: Path) -> bool:
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True


@pytest.fixture
def farm(sshd: Sshd, tmp_path: Path) -> Iterator[Farm]:
    trees = tuple(plant(tmp_path / name, {**PI4, POLICY: "ondemand\n"}) for name in ("far", "near"))
    pythons = [python_of(tree) for tree in trees]
    link = sshd.link()
    text = INVENTORY.format(
        port=link.port, user=link.user, key=link.key, host_key=link.host_key, python=pythons[0], local=pythons[1]
    )
    (tmp_path / "farm.yaml").write_text(text)
    made = Farm(tmp_path, (sshd.home, tmp_path / "near-home"), (trees[0], trees[1]), sshd)
    yield made
    for process in made.started:
        process.kill()
        process.communicate()


def wait_until(happened: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 60
    while not happened():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize(("number", "code", "words"), [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")])
def test_a_bench_on_several_boards_is_stopped_in_good_order(farm: Farm, good: Path, number: int, code: int, words: str) -> None:
    bench = farm.start("bench", good, "--device", "remote,here,quick", "--blocks", "60")
    seen = (set[int](), set[int]())

    def each_is_in_its_second_block() -> bool:
        for pids, parent in zip(seen, (farm.server.process, bench), strict=True):
            pids.update(pid for pid in descendants(parent.pid if parent else 0) if b"block" in _file(pid, "cmdline").split(b"\0"))
        return min(map(len, seen)) >= 2

    wait_until(each_is_in_its_second_block, bench)
    assert farm.governors() == ["performance", "performance"]
    bench.send_signal(number)
    _, said = bench.communicate(timeout=30)
    assert farm.free() == [True, True]
    assert farm.governors() == ["ondemand", "ondemand"]
    assert not [
        pid for pid in descendants(farm.server.process.pid if farm.server.process else 0) if b"python" in _file(pid, "comm")
    ]
    assert bench.returncode == code, said
    assert f"stopped by {words}" in said
    kept = {record.device.name: record for record in Store(folder=farm.folder / "results").runs()}
    assert sorted(kept) == ["here", "quick", "remote"], said
    assert (kept["quick"].outcome, len(kept["quick"].blocks)) == ("ok", 60)
    for name in ("remote", "here"):
        taken = len(kept[name].blocks)
        assert 0 < taken < 60
        assert (kept[name].outcome, kept[name].reason) == ("infra", f"stopped after {taken} of 60 blocks")
        assert f"{name}: infra: stopped after {taken} of 60 blocks; the record is kept" in said


def test_an_evaluation_on_several_boards_says_what_is_kept_and_goes_on(farm: Farm) -> None:
    (farm.folder / "slow.tflite").write_bytes(slow(steps=30_000))
    numbers = np.random.default_rng(0).random(60_000, np.float32)
    np.savez(farm.folder / "test.npz", x=numbers, y=numbers)
    words = ("eval", "slow.tflite", "--data", "test.npz", "--device", "remote,here")
    first = farm.start(*words)
    answers = farm.folder / "cache" / "edgepipe" / "answers"
    wait_until(lambda: len([path for path in answers.glob("*.answers") if path.stat().st_size]) == 2, first)
    first.send_signal(signal.SIGINT)
    _, said = first.communicate(timeout=30)
    assert first.returncode == 130, said
    assert farm.free() == [True, True]
    assert said.count("of 60,000 answers are kept, and the same command goes on from there") >= 2
    assert len(list(answers.iterdir())) == 2


def _file(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""
