"""Bundles: a model packed with what is needed to use and to check it elsewhere; and such a bundle checked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import numpy as np

from edgepipe.bundles import CARD_JSON, CARD_MD, GOLDEN, KIND, MANIFEST, MODEL, BundleManifest, Card
from edgepipe.bundles import Golden as GoldenFacts
from edgepipe.documents import parse_json
from edgepipe.errors import (
    EdgepipeError,
    Inconclusive,
    MissingExtra,
    ModelRejected,
    Stopped,
    UnsupportedModel,
    UsageError,
    VerifyFailed,
)
from edgepipe.events import Emit, Note, silent, step
from edgepipe.facts import ModelFacts, TensorPort
from edgepipe.parity import Runtime, RuntimeOutcome
from edgepipe.pipeline import scoring
from edgepipe.pipeline.cache import tool_versions
from edgepipe.pipeline.data import load, ordered
from edgepipe.pipeline.export.arena import find_arena, has_tflm
from edgepipe.pipeline.export.bundle import check, contents, golden, lineage, manifest
from edgepipe.pipeline.export.micro_arrays import identifier, model_header
from edgepipe.pipeline.inspect.flatbuffer import read_model
from edgepipe.pipeline.inspect.parity.inputs import drawn, made_up
from edgepipe.pipeline.inspect.parity.run import Rows, pack, run
from edgepipe.pipeline.inspect.verify import requirements, verify
from edgepipe.pipeline.recipe import Recipe
from edgepipe.pipeline.targets import TARGETS, Target
from edgepipe.places import results_dir
from edgepipe.records import as_json
from edgepipe.reports.render.model_card import model_card
from edgepipe.reports.store import Store
from edgepipe.version import VERSION
from edgepipe.workflows import card


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What a bundle is to hold: `target` None is the recipe's, else `mcu` where the model fits one, else `host`.

    `data` is where golden inputs are drawn from, made up from `seed` without; None with a recipe: its test data.
    """

    name: str | None = None
    target: str | None = None
    recipe: Recipe | None = None
    data: str | None = None
    golden: int = 16
    seed: int = 0
    licence: str = ""


@dataclass(frozen=True, kw_only=True)
class Bundled:
    """A bundle that was written."""

    path: Path
    manifest: BundleManifest


def bundle(model: Path, *, to: Path, wishes: Wishes = Wishes(), emit: Emit = silent) -> Bundled:
    """Pack the `.tflite` at `model` into the folder or .zip `to`, whole or not at all.

    Raises VerifyFailed for a model that does not fit the target, ModelRejected where the runtime that must answer the golden
    inputs refuses it, MissingExtra where that runtime is not installed, UsageError, DataError and StorageError.
    """
    content, facts = read_model(model)
    name = identifier(wishes.name or model.stem)
    target = _target(wishes, facts)
    _require(model, facts, target)
    arena = find_arena(model, emit=emit) if target.in_arena else None
    samples, told = _golden(content, facts, wishes, target, emit)
    trail, chain = lineage.trace(model, facts.sha256, results_dir())
    before = card.preprocessing(wishes.recipe, lineage.rescales(chain), facts)
    described = Card(
        name=name,
        model_sha256=facts.sha256,
        target=target.name,
        licence=wishes.licence,
        inputs=facts.inputs,
        outputs=facts.outputs,
        figures=card.figures(facts, arena, Store()),
        limits=card.limits(facts, target),
        preprocessing=before,
        lineage=trail,
        golden=told,
    )
    files = {
        MODEL: content,
        GOLDEN: golden.pack(samples),
        CARD_JSON: (json.dumps(as_json(described), indent=1, sort_keys=True, allow_nan=False) + "\n").encode(),
        CARD_MD: model_card(described).encode(),
        **check.generated(name, content, facts, samples, micro=target.in_arena),
        **({} if arena is None else {f"{name}_model_data.h": model_header(name, content, arena).encode()}),
    }
    found = BundleManifest(
        kind=KIND,
        name=name,
        target=target.name,
        model_sha256=facts.sha256,
        edgepipe_version=VERSION,
        versions=tool_versions(),
        requirements=requirements(facts, None if arena is None else arena.smallest_bytes),
        preprocessing=before,
        lineage=trail,
        golden=told,
        files={},
    )
    sealed = manifest.write(found, files)
    contents.write(to, {**files, MANIFEST: sealed})
    return Bundled(path=to, manifest=manifest.read(sealed)[0])


def _target(wishes: Wishes, facts: ModelFacts) -> Target:
    named = wishes.target or (wishes.recipe.target if wishes.recipe else None)
    if named is None:
        named = "mcu" if has_tflm() and verify(facts, TARGETS["mcu"]).fits else "host"
    if named not in TARGETS:
        raise UsageError(f'unknown target "{named}"', todo=f"Known are {', '.join(TARGETS)}.")
    return TARGETS[named]


def _require(model: Path, facts: ModelFacts, target: Target) -> None:
    verification = verify(facts, target)
    odd = [
        f'{side} "{port.name}" has a scale or zero point that no code can be computed with'
        for side, ports in (("input", facts.inputs), ("output", facts.outputs))
        for port in ports
        if not _usable(port)
    ]
    if odd:
        raise UnsupportedModel(f"{model.name} cannot be packed", problems=odd)
    if not verification.fits:
        problems = [str(problem) for problem in verification.problems]
        raise VerifyFailed(f'{model.name} does not fit "{target.name}"', problems=problems)


def _usable(port: TensorPort) -> bool:
    codes = port.code_range
    if codes is None:
        return port.scale is None
    return isfinite(port.scale or 0.0) and (port.scale or 0.0) > 0 and codes[0] <= (port.zero_point or 0) <= codes[1]


def _golden(content: bytes, facts: ModelFacts, wishes: Wishes, target: Target, emit: Emit) -> tuple[golden.Samples, GoldenFacts]:
    """Return golden inputs with their answers; TFLite Micro's where a microcontroller will answer, else the reference kernels'."""
    runtime = Runtime.TFLM if target.runtime == "tflm" else Runtime.REFERENCE
    rows, real, words = _inputs(facts, wishes, emit)
    with step(emit, f"golden answers of {runtime}", total=len(rows), unit="samples") as advance:
        done = run(content, runtime, rows, answered=advance)
    if done.report.outcome is RuntimeOutcome.MISSING:
        raise MissingExtra(f"golden answers for {target.name} are {runtime}'s: {done.report.reason}")
    if not done.ran:
        raise ModelRejected(f"{runtime} does not take the model: {done.report.reason}")
    samples = golden.Samples(inputs=golden.split(rows, facts.inputs), outputs=done.outputs, real=real)
    told = GoldenFacts(
        runtime=runtime.value,
        version=done.report.version,
        samples=samples.count,
        in_c=golden.fitting(samples) if target.in_arena else 0,
        inputs=words,
        has_real=bool(real),
    )
    return samples, told


def _inputs(facts: ModelFacts, wishes: Wishes, emit: Emit) -> tuple[Rows, tuple[golden.Array, ...], str]:
    """Return the golden inputs as rows of bytes, as real values where they were given as such, and in words."""
    spec, base = _source(wishes)
    if spec is None:
        rows, words = made_up(facts, wishes.golden, wishes.seed)
        return rows, (), words
    scale = wishes.recipe.data.scale if wishes.recipe and wishes.recipe.data else None
    dataset = load(spec, base=base, inputs=facts.inputs, scale=scale, emit=emit)
    chosen = dataset.take(drawn(dataset.samples, wishes.golden, wishes.seed))
    rows = pack([np.stack([np.frombuffer(b"".join(sample), np.uint8) for sample in scoring.samples(chosen, facts)])])
    words = f"{chosen.samples} of the {dataset.samples} of {Path(spec).name}, drawn with seed {wishes.seed}"
    given = ordered(chosen, facts.inputs)
    if not all(port.code_range and values.dtype.name != port.dtype for port, values in zip(facts.inputs, given, strict=True)):
        return rows, (), words
    shaped = zip(facts.inputs, given, strict=True)
    return rows, tuple(np.asarray(values, np.float32).reshape(golden.shape(port, len(values))) for port, values in shaped), words


def _source(wishes: Wishes) -> tuple[str | None, Path]:
    if wishes.data is not None:
        return wishes.data, Path.cwd()
    if wishes.recipe is not None and wishes.recipe.data is not None:
        given = wishes.recipe.data
        return given.test if isinstance(given.test, str) else given.train, Path(wishes.recipe.base)
    return None, Path.cwd()


def verify_bundle(path: Path, *, emit: Emit = silent) -> BundleManifest:
    """Check everything in a bundle and run its golden inputs again; return its manifest where nothing is wrong.

    Raises VerifyFailed with all problems, Inconclusive where only the runtime for the golden answers is missing here, and
    UsageError where there is no bundle.
    """
    files, problems = contents.read(path)
    try:
        found, more = check.open_manifest(files)
    except VerifyFailed as exc:
        raise VerifyFailed(f"{path} is no sound bundle", problems=[*problems, exc.what, *exc.problems], todo=TODO) from exc
    problems += [*more, *check.file_problems(found, files)]
    unasked = ""
    try:
        facts = check.facts_of(files)
    except Stopped:
        raise
    except EdgepipeError as exc:
        problems.append(f"{MODEL}: {exc.what}")
    else:
        problems += check.content_problems(found, files, facts)
        if found.edgepipe_version == VERSION:
            problems += [*check.code_problems(found, files, facts), *_card_problems(files)]
        with step(emit, f"golden answers of {found.golden.runtime}"):
            wrong, unasked = check.answer_problems(found, files, facts)
        problems += wrong
    if problems:
        raise VerifyFailed(f"{path} is no sound bundle", problems=list(dict.fromkeys(problems)), todo=TODO)
    if unasked:
        raise Inconclusive(f"all files of {path} are as they were packed, but its answers were not checked: {unasked}", todo=EXTRA)
    emit(Note(text=f"{len(found.files)} files, {found.golden.samples} golden answers of {found.golden.runtime}: all as packed"))
    return found


TODO = "Do not use it: pack the model again with `edgepipe bundle`, or copy the bundle again."
EXTRA = "pip install 'edgepipe[micro]' (x86-64 Linux only), and verify again."


def _card_problems(files: dict[str, bytes]) -> list[str]:
    try:
        wanted = model_card(parse_json(Card, files[CARD_JSON], source=CARD_JSON, error=VerifyFailed)).encode()
    except (KeyError, VerifyFailed):
        return []  # told already
    return [] if files.get(CARD_MD, wanted) == wanted else [f"{CARD_MD}: it tells another story than {CARD_JSON}"]
