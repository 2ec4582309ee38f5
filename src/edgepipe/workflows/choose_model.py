"""Which model is meant for a board: a file, a bundle, a recipe, the beginning of a hash, or whatever was made last and fits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edgepipe.bundles import GOLDEN, MANIFEST, MODEL
from edgepipe.devices.inventory import DeviceEntry
from edgepipe.errors import UsageError, VerifyFailed
from edgepipe.facts import ModelFacts
from edgepipe.pipeline.export.bundle import check, contents, golden
from edgepipe.pipeline.inspect.flatbuffer import read_facts, read_model
from edgepipe.pipeline.inspect.verify import verify
from edgepipe.pipeline.recipe import load_recipe
from edgepipe.pipeline.targets import TARGETS
from edgepipe.places import results_dir
from edgepipe.records import Artefact, CompressionRecord
from edgepipe.reports.store import Store

GOLDEN_SAMPLES = 8
SHA256_BEGINNING = re.compile(r"[0-9a-f]{4,64}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Choice:
    """A model for a board: its bytes, what is in them, a name for people, and why it was chosen; golden samples of its bundle.

    Its signed manifest, if it has one, lies beside `path`.
    """

    content: bytes
    facts: ModelFacts
    name: str
    why: str
    path: Path
    samples: golden.Samples | None = None


def choose(model: str | None, entry: DeviceEntry) -> Choice:
    """Return the model for a board: a .tflite, a bundle, the last fitting artefact of a recipe, or the artefact of a hash.

    None takes the last artefact of the youngest run of a recipe that fits the board's target. Raises UsageError, with the list
    where several may be meant; ModelFileError; VerifyFailed for a bundle that is not sound.
    """
    if model is None:
        return _of_latest(entry)
    path = Path(model)
    return _of_recipe(path, entry) if path.suffix in (".yaml", ".yml") else choose_named(model)


def choose_named(model: str) -> Choice:
    """Return the model that a .tflite, a bundle, or the beginning of an artefact's hash means. Raises as `choose` does."""
    path = Path(model)
    if path.is_dir() or path.suffix == ".zip":
        return _of_bundle(path)
    if not path.exists() and SHA256_BEGINNING.fullmatch(model.lower()):
        return _of_hash(model.lower())
    content, facts = read_model(path)
    return Choice(content=content, facts=facts, name=path.name, why=f"the file {path}", path=path)


def _of_bundle(path: Path) -> Choice:
    if path.is_dir() and not (path / MANIFEST).is_file():
        raise UsageError(f"{path} is a folder, and no bundle", todo="Name the .tflite in it; `edgepipe bundle` makes bundles.")
    files, problems = contents.read(path)
    found, more = check.open_manifest(files)
    problems += [*more, *check.file_problems(found, files)]
    if problems:
        raise VerifyFailed(f"{path} is no sound bundle", problems=problems, todo="`edgepipe bundle verify` says more.")
    facts, samples = read_facts(files[MODEL]), golden.unpack(files[GOLDEN])
    return Choice(
        content=files[MODEL],
        facts=facts,
        name=found.name,
        why=f"the bundle {path}",
        path=path.resolve(),
        samples=samples.first(GOLDEN_SAMPLES),
    )


def _of_hash(beginning: str) -> Choice:
    folder = results_dir() / "artefacts"
    found = sorted(each for each in folder.glob(f"{beginning}*") if (each / MODEL).is_file())
    if not found:
        raise UsageError(
            f'"{beginning}" is neither a file nor the beginning of an artefact in {folder}',
            todo="Name a .tflite, a bundle or a recipe; `edgepipe report` lists the artefacts of this folder's results.",
        )
    if len(found) > 1:
        raise UsageError(
            f'"{beginning}" is the beginning of {len(found)} artefacts',
            problems=[each.name for each in found],
            todo="Give more of its digits.",
        )
    content, facts = read_model(found[0] / MODEL)
    return Choice(content=content, facts=facts, name=_called(facts), why=f"artefact {beginning}", path=found[0] / MODEL)


def _called(facts: ModelFacts) -> str:
    return f"{facts.sha256[:12]}.tflite"


def _of_recipe(path: Path, entry: DeviceEntry) -> Choice:
    name = load_recipe(path).name
    runs = [record for record in Store().compressions() if record.recipe == name]
    if not runs:
        raise UsageError(f"{path} has not been run yet", todo=f"Run `edgepipe compress {path}` first.")
    return _last_fitting(runs[-1], entry)


def _of_latest(entry: DeviceEntry) -> Choice:
    """Return the last artefact that fits, of `latest` where that is a run of a recipe, else of the youngest run of one.

    Raises UsageError with the list where runs of several recipes are as young.
    """
    runs = Store().compressions()
    if not runs:
        raise UsageError("there is no model to deploy yet", todo="Name a file, or run `edgepipe compress recipe.yaml` first.")
    youngest = [record for record in runs if record.started_utc == runs[-1].started_utc]
    candidates = {choice.facts.sha256: choice for choice in (_last_fitting(record, entry) for record in youngest)}
    if len(candidates) > 1:
        raise UsageError(
            f"{len(candidates)} models may be meant for {entry.name}",
            problems=[f"{choice.facts.sha256[:12]}: {choice.why}" for choice in candidates.values()],
            todo="Name one by the beginning of its SHA-256.",
        )
    return next(iter(candidates.values()))


def _last_fitting(record: CompressionRecord, entry: DeviceEntry) -> Choice:
    artefact = next((each for each in reversed(record.artefacts) if _fits(each, entry)), None)
    if artefact is None:
        raise UsageError(
            f'nothing that "{record.recipe}" made fits {entry.name}, which is for "{entry.target}"',
            problems=[str(problem) for problem in verify(record.artefacts[-1].facts, TARGETS[entry.target]).problems],
            todo="`edgepipe verify --target` says what is needed.",
        )
    path = Path(artefact.folder) / MODEL
    content, facts = read_model(path)
    why = f'the last artefact of "{record.recipe}" of {record.started_utc} that fits "{entry.target}": {artefact.stage}'
    return Choice(content=content, facts=facts, name=f"{record.recipe}-{artefact.stage}.tflite", why=why, path=path)


def _fits(artefact: Artefact, entry: DeviceEntry) -> bool:
    return verify(artefact.facts, TARGETS[entry.target]).fits
