"""Runs stages one after another, from the cache or in the worker, and proves each on the file it wrote."""

from __future__ import annotations

import hashlib
import re
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4

from edgepipe.documents import parse
from edgepipe.errors import ModelFileError
from edgepipe.facts import CalibrationFacts, Claim
from edgepipe.pipeline.artefacts import MANIFEST, MODEL, TRAINABLE, intact, open_artefact, require, write_manifest
from edgepipe.pipeline.cache import Cache, key_of, tool_versions
from edgepipe.pipeline.inspect.claims import groups_of, prove
from edgepipe.pipeline.inspect.flatbuffer import read_facts
from edgepipe.pipeline.recipe import ModelSource, Step, TrainSpec
from edgepipe.pipeline.user_code import code_sha256
from edgepipe.pipeline.worker import Worker
from edgepipe.records import Artefact, TrainingHistory, as_json

COMPILED = ("loss", "metrics", "optimizer")  # settings that `from_model` takes from what the model was compiled with


@dataclass(frozen=True, kw_only=True)
class Made:
    """An artefact, and whether it came from the cache."""

    artefact: Artefact
    cached: bool


class Runner:
    """Stages on one model. `data` maps split names to dataset folders named by their content; `base` is the recipe's folder."""

    def __init__(self, worker: Worker, cache: Cache, data: dict[str, Path], seed: int, base: Path = Path()) -> None:
        self._worker = worker
        self._cache = cache
        self._data = data
        self._seed = seed
        self._base = base

    def load(self, source: ModelSource, base: Path, *, trusted: bool = False, modules: frozenset[str] = frozenset()) -> Made:
        """Return the float artefact of a trained model: the start of every recipe.

        A model that edgepipe wrote keeps what was promised of it: later stages are held to that too.
        `trusted` is the user's word for a file that may run code, `modules` those of the user's own that a file may name; neither
        ever comes from a recipe.
        """
        path = base / source.path
        own: dict[str, Any] = {}
        if modules:
            self._worker.request(do="allow", modules=sorted(modules), base=str(base.absolute()))
            own = {"modules": sorted(modules), "code": code_sha256([f"{name}:layers" for name in sorted(modules)], base)}
        inherited = _claims_beside(path)
        # A function may give another model each time it is called, so only files and folders are looked up.
        content = _content_sha256(path) if path.exists() else uuid4().hex
        key = key_of(stage="load", model=content, data=self._hashes("train", "validation"), **own)
        if known := self._known(key):
            return Made(artefact=known, cached=True)
        with self._cache.fill("stages", key) as part:
            began = monotonic()
            data = self._folders("train", "validation")
            result = self._worker.request(
                do="load",
                source=source.path,
                base=str(base.absolute()),
                data=data,
                to=str(part),
                trusted=trusted,
                modules=sorted(modules),
            )
            origin = {"model_sha256": content if path.exists() else None, "data_sha256": self._hashes("train", "validation")}
            self._finish(part, stage="float", parameters={"model": source.path, **origin, **result}, claims=inherited, began=began)
        return Made(artefact=open_artefact(self._cache.root / "stages" / key), cached=False)

    def run(self, step: Step, parent: Artefact, train: TrainSpec) -> Made:
        """Return the artefact of one stage. Raises what the stage raises, and ClaimNotReached where its file breaks a promise."""
        claims = tuple(proof.claim for proof in parent.proofs)
        train = train_like(parent, train)
        code = code_sha256(tuple(train.code.values()), self._base)
        inputs = {"parent": _identity(parent), "train": as_json(train), "code": code, "seed": self._seed, "data": self._hashes()}
        key = key_of(stage=step.stage, parameters=step.parameters, claims=[as_json(claim) for claim in claims], **inputs)
        if known := self._known(key):
            return Made(artefact=known, cached=True)
        with self._cache.fill("stages", key) as part:
            began = monotonic()
            result = self._worker.request(
                do="stage",
                stage=step.stage,
                parameters=step.parameters,
                source=parent.folder,
                to=str(part),
                data=self._folders(),
                train=as_json(train),
                base=str(self._base.absolute()),
                seed=self._seed,
                claims=[as_json(claim) for claim in claims],
                cache=str(self._cache.root),
            )
            made = tuple(parse(Claim, claim, source=f"a claim of {step.stage}") for claim in result["claims"])
            self._finish(
                part,
                stage=step.stage,
                parent=parent.sha256,
                parameters={**step.parameters, **_inherited(parent), "data_sha256": self._hashes()},
                claims=(*claims, *made),
                skipped_layers=tuple(result["skipped_layers"]),
                calibration=_calibration(result),
                training=tuple(parse(TrainingHistory, curve, source=f"a curve of {step.stage}") for curve in result["training"]),
                began=began,
            )
        return Made(artefact=open_artefact(self._cache.root / "stages" / key), cached=False)

    def _known(self, key: str) -> Artefact | None:
        """Return what the cache holds under this key; a damaged entry is thrown away, to be made again."""
        if (folder := self._cache.find("stages", key)) is None:
            return None
        if (artefact := intact(folder)) is None:
            self._cache.drop("stages", key)
        return artefact

    def _finish(
        self,
        folder: Path,
        *,
        stage: str,
        parent: str | None = None,
        parameters: dict[str, Any],
        claims: tuple[Claim, ...],
        skipped_layers: tuple[str, ...] = (),
        calibration: CalibrationFacts | None = None,
        training: tuple[TrainingHistory, ...] = (),
        began: float,
    ) -> None:
        """Read the written file back, prove every claim on it, and write the manifest."""
        facts = read_facts((folder / MODEL).read_bytes(), layers=parameters["layers"], groups=groups_of(claims))
        proofs = prove(claims, facts, stage=stage)
        require(proofs, stage)
        write_manifest(
            Artefact(
                sha256=facts.sha256,
                folder=str(folder),
                stage=stage,
                parent=parent,
                parameters=parameters,
                versions=tool_versions(),
                facts=facts,
                proofs=proofs,
                skipped_layers=skipped_layers,
                calibration=calibration,
                training=training,
                seconds=monotonic() - began,
            )
        )

    def _folders(self, *names: str) -> dict[str, str]:
        return {name: str(self._data[name]) for name in (names or ("train", "validation", "calibration")) if name in self._data}

    def _hashes(self, *names: str) -> dict[str, str]:
        return {name: Path(folder).name for name, folder in self._folders(*names).items()}


def _calibration(result: dict[str, Any]) -> CalibrationFacts | None:
    found = result["calibration"]
    return parse(CalibrationFacts, found, source="the calibration") if found else None


def train_like(artefact: Artefact, train: TrainSpec) -> TrainSpec:
    """Return the training settings with what the model was compiled with where the recipe leaves them open."""
    own = {
        name: artefact.parameters[name] for name in COMPILED if getattr(train, name) == "from_model" and artefact.parameters[name]
    }
    return replace(train, **own, learning_rate=train.learning_rate or artefact.parameters["learning_rate"])


def _inherited(parent: Artefact) -> dict[str, Any]:
    return {name: parent.parameters[name] for name in (*COMPILED, "learning_rate", "layers")}


def _identity(artefact: Artefact) -> str:
    """Return a hash of the model itself: its weights, read back from its file, and its layers' settings."""
    with zipfile.ZipFile(Path(artefact.folder) / TRAINABLE) as archive:
        settings = re.sub(rb'"shared_object_id": \d+', b"", archive.read("config.json"))
    return hashlib.sha256(artefact.sha256.encode() + settings).hexdigest()


def _claims_beside(path: Path) -> tuple[Claim, ...]:
    if path.name != "model.keras" or not (path.parent / MANIFEST).is_file():
        return ()
    return tuple(proof.claim for proof in open_artefact(path.parent).proofs)


def _content_sha256(path: Path) -> str:
    """Return a hash of a file, or of a folder's names and files; '' where there is neither."""
    digest = hashlib.sha256()
    try:
        for part in sorted(path.rglob("*")) if path.is_dir() else [path] if path.exists() else []:
            if part.is_file():
                digest.update(str(part.relative_to(path)).encode() + b"\0" + hashlib.sha256(part.read_bytes()).digest())
    except OSError as exc:
        raise ModelFileError(f"cannot read {path}: {exc.strerror}") from exc
    return digest.hexdigest()
