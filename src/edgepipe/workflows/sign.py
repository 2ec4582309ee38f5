"""Sign: a model gets a signed manifest beside it, which says what it is for and until when; and boards get the one they demand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgepipe.devices import signing
from edgepipe.devices.agent.signing import Signed, fingerprint, read_signature
from edgepipe.devices.inventory import DeviceEntry
from edgepipe.devices.signing import Manifest
from edgepipe.errors import SignatureRefused, UsageError, VerifyFailed
from edgepipe.pipeline.inspect.verify import verify
from edgepipe.pipeline.targets import TARGETS
from edgepipe.workflows.choose_model import Choice, choose_named


@dataclass(frozen=True, kw_only=True)
class Sealed:
    """What was signed, by which key (its fingerprint), and where manifest and signature lie."""

    manifest: Manifest
    signer: str
    files: tuple[Path, Path]


def sign_model(model: str, *, key: Path, target: str, version: int | None = None, floor: int = 0, valid_days: int = 365) -> Sealed:
    """Sign a model for boards of a target and write manifest and signature beside it.

    `version`, `floor` as in `Manifest`; `valid_days` 0 is for ever. Raises UsageError, ModelFileError, StorageError, VerifyFailed
    where the model does not fit the target.
    """
    if target not in TARGETS:
        raise UsageError(f'unknown target "{target}"; known are {", ".join(TARGETS)}')
    choice = choose_named(model)
    problems = [str(problem) for problem in verify(choice.facts, TARGETS[target]).problems]
    if problems:
        raise VerifyFailed(f'{choice.name} does not fit "{target}"; nothing was signed', problems=problems)
    made = _manifest(choice, target, valid_days, version, floor)
    signed = signing.sign(made, key)
    return Sealed(manifest=made, signer=fingerprint(read_signature(signed.signature)[0]), files=signing.keep(signed, choice.path))


def _manifest(choice: Choice, target: str, valid_days: int, version: int | None, floor: int = 0) -> Manifest:
    facts = choice.facts
    return signing.manifest(
        sha256=facts.sha256,
        size_bytes=facts.size_bytes,
        name=choice.name,
        target=target,
        valid_days=valid_days,
        version=version,
        floor=floor,
    )


def signature_beside(entry: DeviceEntry, choice: Choice) -> Signed | None:
    """Return the signed manifest that lies beside a model, checked as the board's entry demands.

    None where there is none and none is needed, or `signature_now` can make it. Raises SignatureRefused, InventoryError.
    """
    keys, signed = signing.trusted_keys(entry), signing.find(choice.path)
    if keys and (signed or _key(entry) is None):
        _check(entry, choice, keys, signed)
    return signed


def signature_now(entry: DeviceEntry, choice: Choice, version: int | None) -> Signed | None:
    """Sign a model with the key that the board's entry names, None where it names none. Raises UsageError, SignatureRefused."""
    keys, key = signing.trusted_keys(entry), _key(entry)
    if key is None or entry.signing is None:
        return None
    signed = signing.sign(_manifest(choice, entry.target, entry.signing.valid_days, version), key)
    _check(entry, choice, keys, signed)
    return signed


def _key(entry: DeviceEntry) -> Path | None:
    return Path(entry.signing.key) if entry.signing and entry.signing.key else None


def _check(entry: DeviceEntry, choice: Choice, keys: tuple[str, ...], signed: Signed | None) -> None:
    try:
        signing.check(signed, keys=keys, target=entry.target, sha256=choice.facts.sha256)
    except SignatureRefused as exc:
        sign = f"edgepipe sign {choice.path} --target {entry.target} --key KEY"
        raise SignatureRefused(f"{entry.name}: {choice.name} was not sent: {exc.what}", todo=f"`{sign}`") from exc
