"""What each technique costs and saves, setting by setting, on the digits network: the figures behind the pages of docs/techniques.

Three networks are trained from three seeds; every setting is applied to each of them. Accuracy is the paired difference to the same
network in float, on the test answers of all seeds together. What is meant to go wrong does so in networks with one poisoned layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import poisoned_layer
from benchmarks.result import write
from edgepipe.cli.output import progress
from edgepipe.documents import parse
from edgepipe.errors import EdgepipeError
from edgepipe.events import Emit
from edgepipe.pipeline.artefacts import MODEL
from edgepipe.pipeline.cache import Cache, key_of
from edgepipe.pipeline.data import Dataset, calibration, load
from edgepipe.pipeline.inspect.graph import read_graph
from edgepipe.pipeline.recipe import DataSpec, ModelSource, Step, TrainSpec, read_recipe
from edgepipe.pipeline.runner import Runner
from edgepipe.pipeline.splits import prepare, stored
from edgepipe.pipeline.worker import Worker
from edgepipe.records import Accuracy, Artefact, as_json
from edgepipe.reports.stats import paired_difference
from edgepipe.workflows.evaluate import evaluate
from edgepipe.workflows.remedy import remedy

SEEDS = range(3)
EPOCHS = {"prune": 10, "cluster": 3, "quantize": 4}
TEST, VALIDATION, SAMPLES = 0.3, 0.15, 200
SPARSITIES = (0.01, 0.5, 0.7, 0.8, 0.9, 0.95)  # the first is a control: trained on as long, with next to no zeros
IN_BLOCKS = (0.5, 0.8, 0.9, 0.95)
ENDS = {"strokes": 0.5, "digit": 0.5}  # the first and the last layer, which hold 1.1 % of the weights
CLUSTERS = {"kmeans++": (2, 4, 8, 16, 32, 64), **dict.fromkeys(("linear", "density", "random"), (2, 4, 8, 16))}
CALIBRATION = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
QAT_EPOCHS = (1, 4, 12)
POISONS = {"channel": "one loud channel", "weight": "one outlier weight", "bias": "one loud bias"}
MODES: dict[str, dict[str, Any]] = {
    "float16": {"mode": "float16"},
    "dynamic": {"mode": "dynamic"},
    "int4 weights (aeq)": {"mode": "int4", "backend": "aeq"},
    "int8": {"mode": "int8"},
    "int8, per tensor": {"mode": "int8", "per_channel": False},
    "int8 (aeq)": {"mode": "int8", "backend": "aeq"},
    "int16x8": {"mode": "int16x8"},
    "qat": {"mode": "qat"},
}


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One point of a plot: stages in order, on all networks of one kind: healthy, or poisoned in one way."""

    series: str
    x: float | None
    steps: tuple[Step, ...]
    samples: int = SAMPLES
    network: str = "healthy"


def _setting(series: str, x: float | None, stage: str, **parameters: Any) -> Setting:
    return Setting(series=series, x=x, steps=(Step(stage=stage, parameters=parameters),))


def _with_training(series: str, network: str, *first: Step) -> list[Setting]:
    """Return int8 without training, 0 epochs, and QAT with more and more of it."""
    modes: dict[int, dict[str, Any]] = {0: {"mode": "int8"}, **{epochs: {"mode": "qat", "epochs": epochs} for epochs in QAT_EPOCHS}}
    return [
        Setting(series=series, x=epochs, steps=(*first, Step(stage="quantize", parameters=mode)), network=network)
        for epochs, mode in modes.items()
    ]


PLOTS: dict[str, list[Setting]] = {
    "calibration": [replace(_setting("int8", count, "quantize", mode="int8"), samples=count) for count in CALIBRATION],
    "quantising": [_setting(name, None, "quantize", **mode) for name, mode in MODES.items()],
    "pruning": [
        *(_setting("single weights", share, "prune", sparsity=share) for share in SPARSITIES),
        *(_setting("blocks of 4x1", share, "prune", sparsity=share, block=[4, 1]) for share in IN_BLOCKS),
        _setting("2:4", 0.5, "prune", pattern="2:4"),
        *(_setting("ends kept at 50 %", share, "prune", sparsity=share, layers=ENDS) for share in IN_BLOCKS[1:]),
    ],
    "qat": [
        *_with_training("healthy", "healthy"),
        *_with_training("pruned to 80 %", "healthy", Step(stage="prune", parameters={"sparsity": 0.8})),
        *_with_training(POISONS["channel"], "channel"),
    ],
    "clustering": [
        _setting(start, clusters, "cluster", clusters=clusters, init=start)
        for start, counts in CLUSTERS.items()
        for clusters in counts
    ],
}


class Network:
    """A trained network with its data: float once, then as many settings as wanted."""

    def __init__(self, model: Path, splits: dict[str, Dataset], worker: Worker, *, seed: int, emit: Emit) -> None:
        self.splits = splits
        self._worker = worker
        self._seed = seed
        self._emit = emit
        self._cache = Cache()
        self.before = self._runner(SAMPLES).load(ModelSource(path=model.name), model.parent).artefact
        self.answers = self.score(self.before).correct or ()

    def apply(self, setting: Setting) -> Artefact:
        """Return what the setting makes of the float network, from the cache or made now."""
        runner, artefact = self._runner(setting.samples), self.before
        for step in setting.steps:
            artefact = runner.run(step, artefact, TrainSpec(epochs=EPOCHS[step.stage])).artefact
        return artefact

    def score(self, artefact: Artefact) -> Accuracy:
        """Return the accuracy on the test data, computed by LiteRT on the file."""
        key = key_of(what="accuracy", model=artefact.sha256, data=self.splits["test"].sha256, engine="litert")
        if (known := self._cache.value(key)) is None:
            found = evaluate(Path(artefact.folder) / MODEL, self.splits["test"], emit=self._emit).accuracy
            known = as_json(found) if found else None
            self._cache.keep(key, known)
        return parse(Accuracy, known, source="cached accuracy")

    def _runner(self, samples: int) -> Runner:
        splits = {**self.splits, "calibration": calibration(self.splits["train"], samples, seed=self._seed)}
        folders = {name: stored(self._cache, data) for name, data in splits.items() if name != "test"}
        return Runner(self._worker, self._cache, folders, self._seed)


def main() -> None:
    """Apply every setting to every network, climb the ladder of remedies, and write the result.

    It takes an hour on two cores, so what is done is kept in the cache: started again, it goes on where it was stopped.
    """
    folder = Cache().root / "curves" / key_of(what="technique_curves")
    folder.mkdir(parents=True, exist_ok=True)
    with progress() as emit:
        ladders = remedies(folder / "poisoned", emit)
        with Worker(emit) as worker:
            networks = {
                "healthy": [train(folder, worker, seed, emit) for seed in SEEDS],
                "channel": [spoilt(folder / "poisoned", worker, case, emit) for case in cases("channel")],
            }
            plots = {plot: [measure(each, networks[each.network]) for each in settings] for plot, settings in PLOTS.items()}
    figures = {
        "networks": "the digits network of `edgepipe demo`, trained from each seed; poisoned ones as in benchmarks.poisoned_layer",
        "seeds": len(SEEDS),
        "epochs": EPOCHS,
        "engine": "litert",
        "accuracy": "paired difference to float in percentage points, test answers of all seeds together, with its 95 % interval",
        "float": {kind: floats(each) for kind, each in networks.items()},
        **plots,
        "remedies": ladders,
    }
    print(write("technique_curves", "python -m benchmarks.technique_curves", figures))


def train(folder: Path, worker: Worker, seed: int, emit: Emit) -> Network:
    """Return the digits network as this seed trains it."""
    model = folder / f"digits-{seed}.keras"
    splits = prepare(DataSpec(train="digits", test=TEST, validation=VALIDATION), folder, (), seed=seed, rescales=False, emit=emit)
    data = {name: str(stored(Cache(), splits[name])) for name in ("train", "validation")}
    if not model.exists():
        part = folder / f"part-{seed}.keras"
        worker.request(do="demo", to=str(part), data=data, seed=seed)
        part.replace(model)
    return Network(model, splits, worker, seed=seed, emit=emit)


def cases(kind: str) -> list[int]:
    """Return the seeds with which benchmarks.poisoned_layer poisons in this way, one for each of ours."""
    every = len(poisoned_layer.KINDS)
    return [poisoned_layer.KINDS.index(kind) + every * seed for seed in SEEDS]


def spoilt(folder: Path, worker: Worker, case: int, emit: Emit) -> Network:
    """Return a poisoned network with the data that it has not seen as its test."""
    spec = DataSpec(train="train.npz", test="test.npz", validation=VALIDATION)
    splits = prepare(spec, folder, (), seed=0, rescales=False, emit=emit)
    return Network(folder / f"{case}.keras", splits, worker, seed=0, emit=emit)


def measure(setting: Setting, networks: Sequence[Network]) -> dict[str, Any]:
    """Return one point: accuracy against float with its interval, sizes, and what an int8 file says of its ranges."""
    told: dict[str, Any] = {"series": setting.series, "x": setting.x}
    try:
        made = [network.apply(setting) for network in networks]
    except EdgepipeError as exc:  # a setting that cannot be had is a finding, too
        return {**told, "failed": exc.what, "problems": list(exc.problems)}
    scores = [network.score(artefact) for network, artefact in zip(networks, made, strict=True)]
    found = {
        **told,
        **against_float([network.answers for network in networks], [score.correct or () for score in scores]),
        "accuracy_by_seed": [score.value for score in scores],
        "size_bytes_by_seed": [artefact.facts.size_bytes for artefact in made],
        "gzip_bytes_by_seed": [artefact.facts.gzip_bytes for artefact in made],
        "skipped_layers": list(made[0].skipped_layers),
    }
    if setting.samples != SAMPLES:
        widest = [network.apply(replace(setting, samples=max(CALIBRATION))) for network in networks]
        found["range_share_by_seed"] = [range_share(*pair) for pair in zip(made, widest, strict=True)]
        found["settled_by_seed"] = [bool(artefact.calibration and artefact.calibration.converged) for artefact in made]
    return found


def against_float(before: Sequence[Sequence[bool]], after: Sequence[Sequence[bool]]) -> dict[str, Any]:
    """Return the paired difference in points of the answers of all networks together."""
    pooled = [[answer for answers in side for answer in answers] for side in (before, after)]
    paired = paired_difference(*pooled)
    return {"points": paired.points, "low": paired.low, "high": paired.high, "samples": paired.samples}


def range_share(artefact: Artefact, widest: Artefact) -> float:
    """Return how wide the ranges of a file's int8 activations are, as a share of those of `widest`; the mean over tensors."""
    own, full = (_steps(Path(each.folder) / MODEL) for each in (artefact, widest))
    return float(np.mean([own[name] / full[name] for name in full]))


def _steps(model: Path) -> dict[str, float]:
    """Return the scale of every computed int8 tensor by name; a range is 255 of them wide."""
    tensors = read_graph(model.read_bytes())[0].tensors
    return {each.name: float(each.scales[0]) for each in tensors if each.data is None and each.dtype == "int8" and each.quantised}


def floats(networks: Sequence[Network]) -> dict[str, Any]:
    """Return what the networks are before anything is done to them."""
    return {
        "accuracy_by_seed": [sum(network.answers) / len(network.answers) for network in networks],
        "size_bytes_by_seed": [network.before.facts.size_bytes for network in networks],
        "gzip_bytes_by_seed": [network.before.facts.gzip_bytes for network in networks],
        "test_samples": [len(network.answers) for network in networks],
    }


def remedies(folder: Path, emit: Emit) -> list[dict[str, Any]]:
    """Return for each kind of poison what every rung answers on test data; none is called good enough, so that all are tried."""
    folder.mkdir(exist_ok=True)
    data = load("digits", base=folder)
    parts = {"train": np.arange(poisoned_layer.TRAINED_ON), "test": np.arange(poisoned_layer.TRAINED_ON, data.samples)}
    for name, indices in parts.items():
        part = data.take(indices)
        np.savez(folder / f"{name}.npz", x=next(iter(part.inputs.values())), y=part.labels)
    if not (folder / "cases.json").exists():
        poisoned_layer.make(folder, [case for kind in POISONS for case in cases(kind)])
    found = []
    for kind, words in POISONS.items():
        ladders = [_ladder(folder, case, emit) for case in cases(kind)]
        floating = [ladder["float_test"] for ladder in ladders]
        for rungs in zip(*(ladder["rungs"] for ladder in ladders), strict=True):
            why_not = sorted({rung["why_not"] for rung in rungs} - {""})
            answers = {"test_by_network": [rung["test"] for rung in rungs], "float_test_by_network": floating}
            found.append({"poison": words, "rung": rungs[0]["name"], **answers, "why_not": why_not})
    return found


def _ladder(folder: Path, case: int, emit: Emit) -> dict[str, Any]:
    content = {
        "schema": 1,
        "model": {"path": f"{case}.keras"},
        "data": {"train": "train.npz", "test": "test.npz", "validation": VALIDATION},
        "train": {"epochs": EPOCHS["quantize"]},
        "stages": [{"quantize": {"mode": "int8", "per_channel": False}}],
    }
    recipe = read_recipe(content, source="benchmark", name=f"poisoned {case}", base=folder)
    climbed: dict[str, Any] = as_json(remedy(recipe, max_drop_points=-100.0, emit=emit))
    return climbed


if __name__ == "__main__":
    main()
