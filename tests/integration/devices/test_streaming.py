"""Evaluations over SSH on a line that breaks: what was answered is not asked again, and the result is that of one go."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commandline import EDGEPIPE
from fault_proxy import FaultProxy, Faults, proxy_to
from sshd import Sshd

from benchmarks.synthetic import convolution
from edgepipe.devices.inventory import DeviceEntry
from edgepipe.devices.protocols import RunOptions
from edgepipe.devices.session import Session
from edgepipe.devices.stopping import Stop
from edgepipe.devices.streaming import Questions, Stream
from edgepipe.errors import DeviceUnreachable, InfrastructureError, ModelRejected
from edgepipe.events import unheard
from edgepipe.pipeline import scoring
from edgepipe.pipeline.data import Dataset
from edgepipe.pipeline.inspect.flatbuffer import read_model
from edgepipe.workflows.evaluate import questions

SOON = (0.0, 0.1, 0.2, 0.5, 1.0)
SAMPLES = 300


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def proxy(sshd: Sshd) -> Iterator[FaultProxy]:
    with proxy_to(sshd.port) as made:
        yield made


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.tflite"
    path.write_bytes(convolution(side=8, channels=3))
    return path


@pytest.fixture
def dataset() -> Dataset:
    random = np.random.default_rng(0)
    pictures = random.random((SAMPLES, 8, 8, 3), np.float32)
    return Dataset(inputs={"x": pictures}, labels=random.random((SAMPLES, 8, 8, 3), np.float32), source="test")


class Asked:
    """The questions of a dataset, which remember from where on they were asked."""

    def __init__(self, dataset: Dataset, model: Path) -> None:
        self.plain, self.starts, self.asked = questions(dataset, read_model(model)[1]), list[int](), 0

    def questions(self) -> Questions:
        return replace(self.plain, since=self.since)

    def since(self, start: int) -> Iterator[Sequence[bytes]]:
        self.starts.append(start)
        for sample in self.plain.since(start):
            self.asked += 1
            yield sample


def accuracy(entry: DeviceEntry, model: Path, dataset: Dataset, asked: Asked, heard: object = None) -> tuple[float, int, int]:
    """What the board scores, how many answers were there already, and how often the line broke."""
    advance = heard if callable(heard) else lambda done, detail="": None
    facts = read_model(model)[1]
    stream = Stream(entry, model, facts, asked.questions(), options=RunOptions(), stop=Stop(), advance=advance, waits_s=SOON)
    with stream.answered() as answered:
        return scoring.score(answered.answers, dataset, facts).value, answered.earlier, answered.breaks


def test_a_line_cut_again_and_again_gives_the_same_result_as_one_go(
    sshd: Sshd, proxy: FaultProxy, model: Path, dataset: Dataset
) -> None:
    whole = Asked(dataset, model)
    wanted, _, _ = accuracy(sshd.entry(), model, dataset, whole)
    assert whole.starts == [0]

    cuts = iter([Faults(reset_at=150_000), Faults(reset_at=60_000, backwards=True), Faults(reset_at=80_000)])
    proxy.faults = next(cuts)

    def heard(done: float, detail: str = "") -> None:
        if "again in" in detail:
            proxy.faults = next(cuts, Faults())

    cut = Asked(dataset, model)
    found, earlier, breaks = accuracy(sshd.entry(port=proxy.port), model, dataset, cut, heard)
    assert found == wanted
    assert (earlier, breaks) == (0, 3)
    assert cut.starts == sorted(cut.starts)
    assert cut.starts[-1] > 0
    assert cut.asked - SAMPLES <= 64 * breaks  # no more than a group is asked twice for each break


def test_what_a_command_left_behind_the_next_one_goes_on_with(sshd: Sshd, proxy: FaultProxy, model: Path, dataset: Dataset) -> None:
    wanted, _, _ = accuracy(sshd.entry(), model, dataset, Asked(dataset, model))
    proxy.faults = Faults(reset_at=150_000)

    def cut_for_good(done: float, detail: str = "") -> None:
        if detail:
            proxy.faults = Faults(reset_at=0)

    with pytest.raises(DeviceUnreachable, match=r"of 300 answers are kept, and the same command goes on") as raised:
        accuracy(sshd.entry(port=proxy.port), model, dataset, Asked(dataset, model), cut_for_good)
    kept = int(str(raised.value).partition("; ")[2].split()[0])

    proxy.faults = Faults()
    rest = Asked(dataset, model)
    assert accuracy(sshd.entry(port=proxy.port), model, dataset, rest) == (wanted, kept, 0)
    assert rest.starts == [kept]
    again = Asked(dataset, model)
    accuracy(sshd.entry(), model, dataset, again)
    assert again.starts == [0], "what was scored is forgotten"


def test_other_data_or_another_model_begins_anew(sshd: Sshd, model: Path, dataset: Dataset, tmp_path: Path) -> None:
    def stopped(done: float, detail: str = "") -> None:
        if done:
            raise ModelRejected("enough")

    def starts(model: Path, dataset: Dataset) -> list[int]:
        asked = Asked(dataset, model)
        with pytest.raises(ModelRejected, match="enough"):
            accuracy(sshd.entry(), model, dataset, asked, stopped)
        return asked.starts

    other = tmp_path / "other.tflite"
    other.write_bytes(convolution(side=8, channels=3, seed=1))
    assert [starts(model, dataset), starts(model, dataset.take(range(100))), starts(other, dataset)] == [[0]] * 3
    same = Asked(dataset, model)
    accuracy(sshd.entry(), model, dataset, same)
    assert same.starts == [1]


def test_a_board_that_was_never_there_is_told_at_once(sshd: Sshd, model: Path, dataset: Dataset) -> None:
    sshd.stop()
    asked = Asked(dataset, model)
    with pytest.raises(DeviceUnreachable, match="cannot be reached"):
        accuracy(sshd.entry(), model, dataset, asked)
    assert asked.starts == []


def test_answers_of_two_boards_are_not_mixed(sshd: Sshd, model: Path, dataset: Dataset) -> None:
    facts, asked = read_model(model)[1], Asked(dataset, model).questions()
    stream = Stream(sshd.entry(), model, facts, asked, options=RunOptions(), stop=Stop(), advance=unheard)
    with Session(sshd.entry()) as session:
        runtime = session.board.runtime(RunOptions())
        stream._begin(session.identity, runtime)
        with pytest.raises(InfrastructureError, match="as another board") as raised:
            stream._begin(replace(session.identity, serial="another"), runtime)
    assert raised.value.problems == (f"serial: {session.identity.serial}, then another",)


def test_a_killed_command_goes_on_where_it_was(
    sshd: Sshd, proxy: FaultProxy, model: Path, dataset: Dataset, tmp_path: Path
) -> None:
    from benchmarks.ssh_overhead import write_inventory

    np.savez(tmp_path / "test.npz", x=dataset.inputs["x"], y=dataset.labels)
    inventory = write_inventory(sshd, tmp_path / "farm_inventory.yaml")
    inventory.write_text(inventory.read_text().replace(f"port: {sshd.port}", f"port: {proxy.port}"))
    words = ["eval", str(model), "--data", "test.npz", "--device", "board", "--json"]
    environment = {**os.environ, "EDGEPIPE_RESULTS": str(tmp_path / "results")}
    proxy.faults = Faults(bytes_per_s=100e3)  # so that it is sure to be in the middle
    first = subprocess.Popen([*EDGEPIPE, *words], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    answers, end = tmp_path / "cache" / "edgepipe" / "answers", time.monotonic() + 60
    while not any(path.stat().st_size for path in answers.glob("*.answers")) and time.monotonic() < end:
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    proxy.faults = Faults()
    done = subprocess.run([*EDGEPIPE, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "answers were there already" in done.stderr
    assert list(answers.iterdir()) == []
