"""A file with its history: a folder with model.tflite, manifest.json and, while it can be trained, model.keras."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

from edgepipe.documents import parse_json
from edgepipe.errors import ClaimNotReached, ModelFileError
from edgepipe.facts import Proof
from edgepipe.pipeline.zip_damage import ZIP_DAMAGE
from edgepipe.places import storage_errors, write_whole
from edgepipe.records import Artefact, as_json

MODEL, MANIFEST, TRAINABLE = "model.tflite", "manifest.json", "model.keras"


def write_manifest(artefact: Artefact) -> None:
    """Write the artefact's manifest into its folder."""
    write_whole(Path(artefact.folder) / MANIFEST, json.dumps(as_json(artefact), indent=1))


def open_artefact(folder: Path) -> Artefact:
    """Return the artefact in a folder. Raises ModelFileError for a damaged or newer manifest."""
    try:
        text = (folder / MANIFEST).read_bytes()
    except OSError as exc:
        raise ModelFileError(f"{folder} holds no artefact: {exc.strerror}", todo="Make it again with edgepipe compress.") from exc
    return replace(parse_json(Artefact, text, source=str(folder / MANIFEST), error=ModelFileError), folder=str(folder))


def intact(folder: Path) -> Artefact | None:
    """Return the artefact in a folder, None where a file of it is missing or no longer what was written."""
    try:
        artefact = open_artefact(folder)
        if hashlib.sha256((folder / MODEL).read_bytes()).hexdigest() != artefact.sha256:
            return None
        if _can_be_trained(artefact):
            with zipfile.ZipFile(folder / TRAINABLE) as archive:
                return None if archive.testzip() else artefact
    except (ModelFileError, *ZIP_DAMAGE):
        return None
    return artefact


def _can_be_trained(artefact: Artefact) -> bool:
    from edgepipe.pipeline.stages import STAGES
    from edgepipe.pipeline.stages.protocol import Form

    return artefact.stage not in STAGES or STAGES[artefact.stage].gives is Form.KERAS


def publish(artefact: Artefact, results: Path) -> Artefact:
    """Copy the artefact to results/artefacts/<sha256>, whole or not at all, and return it with its new folder."""
    final = results / "artefacts" / artefact.sha256
    placed = replace(artefact, folder=str(final))
    with storage_errors(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{artefact.sha256[:16]}.", dir=final.parent))
        try:
            for name in (MODEL, TRAINABLE):
                if (Path(artefact.folder) / name).exists():
                    shutil.copyfile(Path(artefact.folder) / name, part / name)
            (part / MANIFEST).write_text(json.dumps(as_json(placed), indent=1))
            part.chmod(0o755)
            if final.exists():  # same bytes by another road: the newest history counts
                for made in part.iterdir():
                    made.replace(final / made.name)
            else:
                part.replace(final)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return placed


def require(proofs: tuple[Proof, ...], stage: str) -> None:
    """Raise ClaimNotReached, naming layers, where a proof does not hold."""
    broken = [proof for proof in proofs if not proof.holds]
    if not broken:
        return
    raise ClaimNotReached(
        f"{stage} did not do what it promised, or undid an earlier stage",
        problems=[
            f"{proof.claim.stage} promised {proof.claim.kind} {proof.claim.wanted}; the file has {_shown(proof.measured)}"
            + (f" in {', '.join(proof.failing[:8])}" if proof.failing else "")
            for proof in broken
        ],
        cause="too few epochs for the schedule, or stages in an order that does not keep it",
    )


def _shown(value: float | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else value
