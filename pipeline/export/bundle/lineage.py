"""Where a `.tflite` came from: the manifests of its ancestors, from this file back to the trained model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgepipe.bundles import Ancestor, Lineage
from edgepipe.errors import ModelFileError, UnsupportedModel
from edgepipe.pipeline.artefacts import MANIFEST, TRAINABLE, open_artefact
from edgepipe.pipeline.inspect.keras_archive import read_archive
from edgepipe.records import Artefact

LONGEST = 64  # stages
LEFT_OUT = frozenset({"model", "model_sha256", "data_sha256", "layers"})  # of an artefact's parameters: told elsewhere, or long


def trace(model: Path, sha256: str, results: Path) -> tuple[Lineage, tuple[Artefact, ...]]:
    """Return the history of the file at `model`, and its artefacts, the trained model's first.

    They are looked for beside the file and in `results`. What is not found ends the trail, and the lineage says so.
    """
    chain = tuple(_chain(model, sha256, results))[::-1]
    if not chain:
        missing = "nothing is recorded of this file: edgepipe did not make it, or its results are elsewhere"
        return Lineage(source=None, source_sha256=None, steps=(), missing=missing), ()
    steps = tuple(_ancestor(artefact) for artefact in chain)
    parent = chain[0].parent
    whole = parent is None
    lineage = Lineage(
        source=str(chain[0].parameters.get("model", "")) or None if whole else None,
        source_sha256=chain[0].parameters.get("model_sha256") if whole else None,
        steps=steps,
        missing="" if whole else f"the artefact {str(parent)[:12]} that came before is not in {results.name}",
    )
    return lineage, chain


def _chain(model: Path, sha256: str, results: Path) -> Iterator[Artefact]:
    """Yield the artefact of the file and those before it, the youngest first."""
    wanted: str | None = sha256
    beside = model.parent
    for _ in range(LONGEST):
        if wanted is None:
            return
        found = _find(wanted, (beside, results / "artefacts" / wanted))
        if found is None:
            return
        yield found
        # The conversion of an unchanged model may have the same bytes as its parent.
        wanted, beside = (None if found.parent == found.sha256 else found.parent), results / "artefacts" / str(found.parent)


def _find(sha256: str, folders: tuple[Path, ...]) -> Artefact | None:
    for folder in folders:
        if not (folder / MANIFEST).is_file():
            continue
        try:
            artefact = open_artefact(folder)
        except ModelFileError:
            continue  # damaged, or a manifest of something else
        if artefact.sha256 == sha256:
            return artefact
    return None


def _ancestor(artefact: Artefact) -> Ancestor:
    return Ancestor(
        stage=artefact.stage,
        sha256=artefact.sha256,
        parameters={name: value for name, value in artefact.parameters.items() if name not in LEFT_OUT},
        versions=artefact.versions,
        data_sha256=artefact.parameters.get("data_sha256", {}),
    )


def rescales(chain: tuple[Artefact, ...]) -> bool | None:
    """Return whether the network begins with a layer that rescales raw values; None where no Keras model is there to be asked."""
    for artefact in chain:
        path = Path(artefact.folder) / TRAINABLE
        if path.is_file():
            try:
                return read_archive(path).rescales
            except (ModelFileError, UnsupportedModel):
                return None
    return None
