"""Compress: run a recipe's stages, measure every artefact on this machine, hold the last one against the gates."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from uuid import uuid4

from edgepipe.devices.protocols import RunOptions
from edgepipe.documents import parse
from edgepipe.errors import EdgepipeError, ModelRejected, Stopped, UnsupportedModel, WorkerDied
from edgepipe.events import Emit, Note, step
from edgepipe.facts import TensorPort
from edgepipe.pipeline.artefacts import MODEL, publish
from edgepipe.pipeline.cache import Cache, key_of
from edgepipe.pipeline.data import Dataset, check, raise_errors
from edgepipe.pipeline.export.aeq import require_installed
from edgepipe.pipeline.export.arena import find_arena, has_tflm
from edgepipe.pipeline.inspect.admission import admit, is_function
from edgepipe.pipeline.inspect.edgetpu import map_model
from edgepipe.pipeline.inspect.keras_archive import require_fixed_inputs
from edgepipe.pipeline.inspect.keras_modules import own_modules
from edgepipe.pipeline.inspect.verify import verify
from edgepipe.pipeline.ledger import judge_gates, ledger_row
from edgepipe.pipeline.recipe import Recipe, Step
from edgepipe.pipeline.runner import Made, Runner
from edgepipe.pipeline.splits import prepare, stored
from edgepipe.pipeline.stages.layer_choice import chosen_layers
from edgepipe.pipeline.targets import TARGETS, Target
from edgepipe.pipeline.worker import LONGEST_REQUEST_S, Worker
from edgepipe.places import results_dir
from edgepipe.records import Accuracy, Artefact, CompressionRecord, LedgerRow, as_json
from edgepipe.reports.store import Store
from edgepipe.version import VERSION
from edgepipe.workflows.bench import bench
from edgepipe.workflows.evaluate import evaluate

REFERENCES = (
    ("dynamic range", Step(stage="quantize", parameters={"mode": "dynamic"})),
    ("int8", Step(stage="quantize", parameters={"mode": "int8"})),
)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one run may use: memory of the TensorFlow process, seconds of one stage."""

    memory_bytes: int | None = None
    timeout_s: float = LONGEST_REQUEST_S


def compress(
    recipe: Recipe,
    *,
    emit: Emit,
    limits: Limits = Limits(),
    references: bool = True,
    trusted: bool = False,
    modules: Sequence[str] = (),
) -> CompressionRecord:
    """Run a recipe and return its record, which is also in the store, its artefacts under results/artefacts.

    Data is checked before any work. Raises the error of the first stage that fails; what was finished before it stays cached.
    `trusted` loads a model that may run code; `modules` are those of the user's own that a `.keras` may name.
    No recipe can ask for either.
    """
    began = monotonic()
    _check_extras(recipe)
    base, cache = Path(recipe.base), Cache()
    own = own_modules(modules)
    ports, rescales = _ports(recipe, trusted, own, emit)
    splits = prepare(recipe.data, base, ports, seed=recipe.seed, rescales=rescales, emit=emit) if recipe.data else {}
    folders = {name: stored(cache, data) for name, data in splits.items() if name != "test"}
    target = TARGETS[recipe.target]
    gauge = _Gauge(cache=cache, test=splits.get("test"), target=target, emit=emit)
    with Worker(emit, memory_bytes=limits.memory_bytes, timeout_s=limits.timeout_s) as worker:
        runner = Runner(worker, cache, folders, recipe.seed, base)
        baseline = runner.load(recipe.model, base, trusted=trusted, modules=own)
        _check_answers(splits, baseline.artefact)
        _check_layers(recipe, baseline.artefact)
        made: list[tuple[str, Made, bool]] = [("float", baseline, True)]
        made += [(name, done, True) for name, done in _references(runner, baseline, recipe, emit)] if references else []
        latest = baseline
        for number, stage in enumerate(recipe.steps, 1):
            with step(emit, f"stage {number} of {len(recipe.steps)}: {describe(stage)}"):
                latest = runner.run(stage, latest.artefact, recipe.train)
            made.append((describe(stage), latest, False))
    rows: list[LedgerRow] = []
    for name, done, reference in made:
        before = None if reference else (rows[-1] if not rows[-1].reference else rows[0])
        rows.append(gauge.row(name, done, before))
    problems = verify(latest.artefact.facts, target).problems
    results = results_dir()
    record = CompressionRecord(
        id=uuid4().hex,
        started_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        recipe=recipe.name,
        target=recipe.target,
        metric=gauge.metric,
        test_samples=gauge.test.samples if gauge.test else 0,
        test_sha256=gauge.test.sha256 if gauge.test else None,
        rows=tuple(rows),
        gates=judge_gates(
            recipe.gates, rows[0], rows[-1], len(problems), metric=gauge.metric, cpu_mac_percent=_cpu_mac_percent(latest, target)
        ),
        artefacts=tuple(publish(done.artefact, results) for _, done, _ in made),
        seconds=monotonic() - began,
        edgepipe_version=VERSION,
    )
    Store().add(record)
    return record


def describe(stage: Step) -> str:
    """Return a stage in a few words: its name with its first parameter, as `prune 0.8`."""
    return " ".join([stage.stage, *(str(value) for value in list(stage.parameters.values())[:1])])


def _cpu_mac_percent(made: Made, target: Target) -> float | None:
    """Return the percentage of the multiply-accumulates that an Edge TPU leaves to the CPU; None where either is missing."""
    if not target.has_edge_tpu:
        return None
    share = map_model((Path(made.artefact.folder) / MODEL).read_bytes()).mac_share
    return None if share is None else 100 * (1 - share)


def _ports(recipe: Recipe, trusted: bool, modules: frozenset[str], emit: Emit) -> tuple[tuple[TensorPort, ...], bool | None]:
    """Return the model's inputs where its file tells them without TensorFlow, and whether it scales raw values by itself."""
    base = Path(recipe.base)
    if is_function(recipe.model.path, base):
        return (), None
    archive = admit(base / recipe.model.path, trusted=trusted, modules=modules, emit=emit)
    if archive is None:
        return (), None
    require_fixed_inputs(archive.inputs)
    return archive.inputs, archive.rescales


def _check_answers(splits: dict[str, Dataset], baseline: Artefact) -> None:
    """Hold inputs and labels against the converted model, which tells its ports and classes whatever it came from."""
    facts = baseline.facts
    classes = facts.outputs[0].shape[-1] if "sparse" in str(baseline.parameters["loss"]).lower() else None
    raise_errors(check(splits, facts.inputs, classes=classes))


def _check_extras(recipe: Recipe) -> None:
    """Raise MissingExtra for a back end that is not installed, before any work."""
    if any(stage.parameters.get("backend") == "aeq" for stage in recipe.steps):
        require_installed()


def _check_layers(recipe: Recipe, baseline: Artefact) -> None:
    """Raise RecipeError for layers to be left in float that the model does not have, before anything is trained."""
    names = [str(name) for name in baseline.parameters["layers"]]
    for number, stage in enumerate(recipe.steps, 1):
        chosen_layers(stage.parameters.get("float_layers", ()), names, key=f"stage {number} ({stage.stage}): float_layers")


def _references(runner: Runner, baseline: Made, recipe: Recipe, emit: Emit) -> list[tuple[str, Made]]:
    """Return the usual conversions of the unchanged model, to compare with; one that fails is left out with a note."""
    done = []
    for name, stage in REFERENCES:
        if recipe.data is None and stage.parameters["mode"] == "int8":
            continue
        try:
            done.append((name, runner.run(stage, baseline.artefact, recipe.train)))
        except (UnsupportedModel, WorkerDied) as exc:  # TensorFlow's converter crashes on some models, such as a GRU in int8
            emit(Note(warning=True, text=f"no {name} row to compare with: {exc.what} ({exc.cause})"))
    return done


class _Gauge:
    """Measures artefacts on this machine; what was measured of the same file on the same data is not measured again."""

    def __init__(self, *, cache: Cache, test: Dataset | None, target: Target, emit: Emit) -> None:
        self.test = test
        self.metric = ""
        self._cache = cache
        self._target = target
        self._emit = emit

    def row(self, name: str, made: Made, before: LedgerRow | None) -> LedgerRow:
        """Return the ledger row of one artefact."""
        artefact = made.artefact
        fits = not verify(artefact.facts, self._target).problems
        engine = self._engine(fits)
        accuracy = self._accuracy(artefact, self.test, engine) if self.test else None
        self.metric = accuracy.metric if accuracy else self.metric
        return ledger_row(
            name,
            artefact,
            accuracy=accuracy,
            engine=engine,
            latency_us=self._latency_us(artefact),
            arena_bytes=self._arena_bytes(artefact) if fits and self._target.in_arena and has_tflm() else None,
            cached=made.cached,
            before=before,
        )

    def _engine(self, fits: bool) -> str:
        """TFLM predicts a microcontroller's answers bit for bit, LiteRT does not; a file that does not fit never goes there."""
        wanted = self._target.runtime
        return wanted if fits and (wanted != "tflm" or has_tflm()) else "litert"

    def _accuracy(self, artefact: Artefact, test: Dataset, engine: str) -> Accuracy:
        key = key_of(what="accuracy", model=artefact.sha256, data=test.sha256, engine=engine)
        if (known := self._cache.value(key)) is not None:
            return parse(Accuracy, known, source="cached accuracy")
        record = evaluate(Path(artefact.folder) / MODEL, test, options=RunOptions(runtime=engine), emit=self._emit)
        if record.accuracy is None:
            raise ModelRejected(f"{artefact.stage}: the model did not answer the test data: {record.reason}")
        self._cache.keep(key, as_json(record.accuracy))
        return record.accuracy

    def _latency_us(self, artefact: Artefact) -> float | None:
        key = key_of(what="latency", model=artefact.sha256, machine=os.uname().nodename)
        if (known := self._cache.value(key)) is not None:
            return float(known)
        (record,) = bench(Path(artefact.folder) / MODEL, blocks=1, emit=self._emit)
        medians = [block.median_ns for block in record.blocks if block.median_ns is not None]
        if not medians:
            self._emit(Note(warning=True, text=f"{artefact.stage}: no latency: {record.reason}"))
            return None
        self._cache.keep(key, medians[0] / 1000)
        return medians[0] / 1000

    def _arena_bytes(self, artefact: Artefact) -> int | None:
        key = key_of(what="arena", model=artefact.sha256)
        if (known := self._cache.value(key)) is not None:
            return int(known)
        try:
            arena = find_arena(Path(artefact.folder) / MODEL, emit=self._emit).smallest_bytes
        except Stopped:
            raise
        except EdgepipeError as exc:
            self._emit(Note(warning=True, text=f"{artefact.stage}: no arena: {exc.what}"))
            return None
        self._cache.keep(key, arena)
        return arena
