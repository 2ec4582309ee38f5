"""Evaluations over a network that cuts, stalls and half-closes connections: the result of one go, and little asked twice."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

import numpy as np

from benchmarks import result
from benchmarks.synthetic import convolution
from edgepipe.devices.inventory import DeviceEntry
from edgepipe.devices.protocols import RunOptions
from edgepipe.devices.stopping import Stop
from edgepipe.devices.streaming import WAITS_S, Stream
from edgepipe.errors import EdgepipeError
from edgepipe.pipeline import scoring
from edgepipe.pipeline.data import Dataset
from edgepipe.pipeline.inspect.flatbuffer import read_model
from edgepipe.workflows.evaluate import questions

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fault_proxy import Faults, proxy_to
from sshd import running

SAMPLES = 300
LAST_BYTE = 400_000  # of one evaluation in one go, either way
QUIET = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0)


@dataclass
class Tally:
    """What became of the evaluations."""

    evaluations: int = 0
    breaks: int = 0
    another_result: int = 0
    asked_twice: int = 0
    failed: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


class Exam:
    """One model and one set of questions for a board; counts what is asked."""

    def __init__(self, model: Path) -> None:
        random = np.random.default_rng(0)
        pictures = random.random((SAMPLES, 8, 8, 3), np.float32)
        self.dataset = Dataset(inputs={"x": pictures}, labels=random.random(pictures.shape, np.float32), source="made up")
        self.model, self.facts, self.asked = model, read_model(model)[1], 0
        self._plain = questions(self.dataset, self.facts)

    def result(self, entry: DeviceEntry, waits_s: Sequence[float], heard: object = None) -> tuple[float, int]:
        """Return the board's mean squared error, and how often the line broke. Raises EdgepipeError."""
        advance = heard if callable(heard) else lambda done, detail="": None
        mine = replace(self._plain, since=self._since)
        stream = Stream(entry, self.model, self.facts, mine, options=RunOptions(), stop=Stop(), advance=advance, waits_s=waits_s)
        with stream.answered() as answered:
            return scoring.score(answered.answers, self.dataset, self.facts).value, answered.breaks

    def _since(self, start: int) -> Iterator[Sequence[bytes]]:
        for sample in self._plain.since(start):
            self.asked += 1
            yield sample


def campaign(folder: Path, plans: Sequence[Sequence[Faults]], waits_s: Sequence[float] = QUIET) -> Tally:
    """Evaluate once for each plan: its faults befall the first connections, one each, and later ones are well."""
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / "model.tflite"
    model.write_bytes(convolution(side=8, channels=3))
    tally = Tally()
    with running(folder / "sshd", folder / "home") as server, proxy_to(server.port) as proxy:
        exam = Exam(model)
        wanted, _ = exam.result(server.entry(), waits_s)
        entry = server.entry(port=proxy.port)
        for plan in plans:
            coming = iter(plan)
            proxy.faults = next(coming)

            def heard(done: float, detail: str = "", coming: Iterator[Faults] = coming) -> None:
                if "again in" in detail:
                    proxy.faults = next(coming, Faults())

            exam.asked, began = 0, time.monotonic()
            tally.evaluations += 1
            try:
                found, breaks = exam.result(entry, waits_s, heard)
            except EdgepipeError as exc:
                tally.failed.append(f"{plan}: {exc.what}")
                continue
            tally.another_result += found != wanted
            tally.breaks += breaks
            tally.asked_twice += exam.asked - SAMPLES
            tally.seconds.append(time.monotonic() - began)
    return tally


def cuts(count: int, seed: int) -> list[list[Faults]]:
    """Return plans of one to three resets at any byte once the board is reached, some lines slow and in slices."""
    random = Random(seed)
    return [
        [
            Faults(
                reset_at=random.randrange(8_000, LAST_BYTE),
                backwards=random.random() < 0.5,
                slice_bytes=random.choice((None, None, 700)),
                latency_s=random.choice((0.0, 0.0, 0.01)),
            )
            for _ in range(random.randrange(1, 4))
        ]
        for _ in range(count)
    ]


def silences(count: int, seed: int) -> list[list[Faults]]:
    """Return plans of one connection that half-closes or stalls, so that the board is held until its own deadline."""
    random = Random(seed)
    return [
        [Faults(**{("half_open_at", "stall_at")[index % 2]: random.randrange(60_000, LAST_BYTE // 2)})]  # type: ignore[arg-type]
        for index in range(count)
    ]


def figures(tally: Tally) -> dict[str, object]:
    """Return a tally as figures."""
    return {
        "evaluations": tally.evaluations,
        "breaks": tally.breaks,
        "another_result_than_in_one_go": tally.another_result,
        "not_finished": tally.failed,
        "samples_each": SAMPLES,
        "asked_twice_for_each_break": round(tally.asked_twice / max(1, tally.breaks), 1),
        "median_s": round(statistics.median(tally.seconds), 1) if tally.seconds else None,
        "longest_s": round(max(tally.seconds), 1) if tally.seconds else None,
    }


def main(arguments: list[str] | None = None) -> None:
    """Run both campaigns and write benchmarks/results/ssh_evaluations.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=100)
    parser.add_argument("--silences", type=int, default=6)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="edgepipe-evaluations-") as made:
        folder = Path(made)
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        found = {
            "cut": figures(campaign(folder / "cut", cuts(options.cuts, seed=1))),
            "gone_silent": figures(campaign(folder / "silent", silences(options.silences, seed=2), WAITS_S)),
        }
    print(json.dumps(found, indent=2))
    print(result.write("ssh_evaluations", "python -m benchmarks.ssh_evaluations", found))


if __name__ == "__main__":
    main()
