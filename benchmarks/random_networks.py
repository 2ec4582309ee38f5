"""Random small networks through the whole way to a microcontroller: what comes out of `quantize --mode int8 --target mcu`."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from benchmarks.result import write
from edgepipe.diagnosis import Severity
from edgepipe.errors import EdgepipeError
from edgepipe.events import silent
from edgepipe.pipeline.artefacts import MODEL
from edgepipe.pipeline.cache import Cache
from edgepipe.pipeline.export.arena import find_arena
from edgepipe.pipeline.inspect.admission import admit
from edgepipe.pipeline.inspect.keras_archive import require_fixed_inputs
from edgepipe.pipeline.inspect.verify import verify
from edgepipe.pipeline.recipe import DataSpec, ModelSource, Step, TrainSpec
from edgepipe.pipeline.runner import Runner
from edgepipe.pipeline.splits import prepare, stored
from edgepipe.pipeline.targets import TARGETS
from edgepipe.pipeline.worker import Worker
from edgepipe.workflows.doctor import diagnose
from tests.random_networks import UNUSUAL, drawn, networks, unusual_networks
from tests.small_networks import Network

COUNT, OF_EACH_UNUSUAL, SEED, JOBS = 200, 2, 20261122, 2
MODELS_EACH = 25
INT8 = Step(stage="quantize", parameters={"mode": "int8"})
WANTED = (
    "for every usual network 0 float tensors, no dynamic dimension, and TFLite Micro invokes; "
    "the doctor's verdict on the .keras is what then happens for at least 99 %"
)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one network. None: it did not come as far."""

    float_tensors: int | None = None
    dynamic_tensors: int | None = None
    problems_for_mcu: tuple[str, ...] = ()
    arena_bytes: int | None = None
    message: str = ""
    doctor_fits: bool = False
    doctor_found: tuple[str, ...] = ()

    @property
    def reached(self) -> bool:
        """Whether the network runs on integers only, in TFLite Micro."""
        return self.float_tensors == 0 and self.dynamic_tensors == 0 and not self.problems_for_mcu and bool(self.arena_bytes)

    @property
    def foretold(self) -> bool:
        """Whether the doctor said what then happened."""
        return self.doctor_fits == self.reached


def main() -> None:
    """Draw, build, examine, quantise and run the networks; write what happened to each that did not get through."""
    usual, unusual = both()
    seen: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="random-networks-") as folder:
        for outcome in outcomes_of([*usual, *unusual], Path(folder), jobs=JOBS):
            seen.append(outcome)
            print(f"{len(seen)}: reached {outcome.reached}, the doctor said {outcome.doctor_fits}", flush=True)
    path = write("random_networks", "python -m benchmarks.random_networks", figures(usual, unusual, seen))
    print(path.read_text())


def both() -> tuple[list[Network], list[Network]]:
    """Return the usual networks of the campaign, and the unusual ones."""
    usual = drawn(networks(), COUNT, seed=SEED)
    return usual, [network for name in sorted(UNUSUAL) for network in drawn(unusual_networks(name), OF_EACH_UNUSUAL, seed=SEED)]


def figures(usual: Sequence[Network], unusual: Sequence[Network], seen: Sequence[Outcome]) -> dict[str, Any]:
    """Return what the campaign shows; `seen` are the outcomes of the usual networks, then of the unusual ones."""
    pairs = list(zip([*usual, *unusual], seen, strict=True))
    return {
        "wanted": WANTED,
        "seed": SEED,
        "parts": dict(Counter(part.kind for network in usual for part in (*network.body, *network.tail)).most_common()),
        "usual": summary(pairs[: len(usual)]),
        "unusual": summary(pairs[len(usual) :]),
        "doctor_agreed": sum(outcome.foretold for outcome in seen) / len(seen),
    }


def summary(seen: Sequence[tuple[Network, Outcome]]) -> dict[str, Any]:
    """Return the counts, and the descriptions of those that did not get through and of those that the doctor misjudged."""
    return {
        "networks": len(seen),
        "reached": sum(outcome.reached for _, outcome in seen),
        "doctor_agreed": sum(outcome.foretold for _, outcome in seen),
        "not_reached": [
            {"network": network.to_json(), "message": outcome.message, "problems": outcome.problems_for_mcu}
            for network, outcome in seen
            if not outcome.reached
        ],
        "misjudged": [
            {"network": network.to_json(), "reached": outcome.reached, "doctor": outcome.doctor_found}
            for network, outcome in seen
            if not outcome.foretold
        ],
    }


def outcomes_of(described: Sequence[Network], folder: Path, *, jobs: int = 1) -> Iterator[Outcome]:
    """Build the networks in `folder`, in one process with Keras, and yield what became of each, in order.

    `jobs` processes with TensorFlow share the work.
    """
    build_all(described, folder)
    with ThreadPoolExecutor(jobs) as pool, ExitStack() as until_the_end:
        idle: SimpleQueue[Worker] = SimpleQueue()
        for _ in range(jobs):
            idle.put(until_the_end.enter_context(Worker(silent)))

        def outcome(number: int) -> Outcome:
            worker = idle.get()
            try:
                return _outcome(worker, Cache(folder / "cache"), folder, number)
            finally:
                if number % MODELS_EACH == MODELS_EACH - 1:
                    worker.close()  # and the next request starts another: TensorFlow keeps something of every model
                idle.put(worker)

        yield from pool.map(outcome, range(len(described)))


def build_all(described: Sequence[Network], folder: Path) -> None:
    """Write <number>.keras and <number>.npz for each network. Raises CalledProcessError where a description is no network."""
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    program = "import sys; from benchmarks.random_networks import build_here; build_here(sys.argv[1])"
    lines = "\n".join(network.to_json() for network in described)
    with (folder / "build.log").open("wb") as log:
        subprocess.run([sys.executable, "-c", program, str(folder)], env=environment, check=True, input=lines.encode(), stderr=log)


def build_here(folder: str) -> None:
    """Build what standard input describes, one network a line; for a process of its own, since it imports Keras."""
    import numpy as np

    from tests.small_networks import build, data

    for number, line in enumerate(sys.stdin):
        network = Network.from_json(line)
        build(network).save(Path(folder) / f"{number}.keras")
        np.savez(Path(folder) / f"{number}.npz", **data(network))


def _outcome(worker: Worker, cache: Cache, folder: Path, number: int) -> Outcome:
    seen = _examined(folder / f"{number}.keras")
    try:
        archive = admit(folder / f"{number}.keras", trusted=False, emit=silent)
        assert archive is not None
        require_fixed_inputs(archive.inputs)
        spec = DataSpec(train=f"{number}.npz")
        splits = prepare(spec, folder, archive.inputs, seed=0, rescales=archive.rescales, emit=silent)
        runner = Runner(worker, cache, {name: stored(cache, split) for name, split in splits.items()}, seed=0)
        loaded = runner.load(ModelSource(path=f"{number}.keras"), folder)
        artefact = runner.run(INT8, loaded.artefact, TrainSpec()).artefact
        seen["float_tensors"] = len(artefact.facts.float_tensors)
        seen["dynamic_tensors"] = len(artefact.facts.dynamic_tensors)
        seen["problems_for_mcu"] = tuple(str(problem) for problem in verify(artefact.facts, TARGETS["mcu"]).problems)
        seen["arena_bytes"] = find_arena(Path(artefact.folder) / MODEL).smallest_bytes
    except EdgepipeError as exc:
        seen["message"] = f"{type(exc).__name__}: {exc}".replace(f"{folder}/", "")
    return Outcome(**seen)


def _examined(path: Path) -> dict[str, Any]:
    try:
        found = diagnose(str(path), target="mcu")
    except EdgepipeError as exc:
        return {"doctor_fits": False, "doctor_found": (str(exc),)}
    errors = [each for each in found.findings if each.severity is Severity.ERROR]
    return {"doctor_fits": found.fits, "doctor_found": tuple(f"{each.code} {each.layer}: {each.what}" for each in errors)}


if __name__ == "__main__":
    main()
