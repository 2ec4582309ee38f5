"""The host's side of signing: a manifest is made and signed with ssh-keygen, found again beside its model, and checked here too."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgepipe.devices.agent import signing
from edgepipe.devices.agent.lines import Refused
from edgepipe.devices.agent.signing import KEY_TYPE, NAMESPACE, Signed, Signers, Verified
from edgepipe.errors import InventoryError, SignatureRefused, UsageError
from edgepipe.places import write_whole

if TYPE_CHECKING:
    from edgepipe.devices.inventory import DeviceEntry, SigningEntry

LARGEST_BYTES = signing.LARGEST_BYTES
NEEDED = "ssh-keygen of OpenSSH 8.1 or later; on Debian: apt-get install openssh-client"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What is signed: which model this is, for boards of which target, from when until when.

    `version` grows with each release: a board takes none older than it has confirmed. `floor` rules out going back to any older
    than this once the model is confirmed. Times are UTC, `expires_utc` None is never.
    """

    sha256: str
    size_bytes: int
    name: str
    target: str
    created_utc: str
    expires_utc: str | None
    version: int
    floor: int = 0
    schema: int = 1

    def text(self) -> str:
        """Return the text that is signed."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"


def manifest(
    *, sha256: str, size_bytes: int, name: str, target: str, valid_days: int, version: int | None = None, floor: int = 0
) -> Manifest:
    """Return the manifest of a model as of now. Without a `version` it is the date and time as a number: 20261122093000."""
    now_s = time.time()
    expires_utc = time.strftime(signing.TIME, time.gmtime(now_s + 86400 * valid_days)) if valid_days else None
    number = int(time.strftime("%Y%m%d%H%M%S", time.gmtime(now_s))) if version is None else version
    if floor > number:
        raise UsageError(f"a model of version {number} cannot rule out versions below {floor}: it would rule out itself")
    return Manifest(
        sha256=sha256,
        size_bytes=size_bytes,
        name=name[:200],
        target=target,
        created_utc=time.strftime(signing.TIME, time.gmtime(now_s)),
        expires_utc=expires_utc,
        version=number,
        floor=floor,
    )


def sign(made: Manifest, key: Path) -> Signed:
    """Sign a manifest with a private key, or with a public one whose private key ssh-agent has. Raises UsageError."""
    text = made.text()
    command = ["ssh-keygen", "-Y", "sign", "-f", str(key.expanduser()), "-n", NAMESPACE]
    if not key.expanduser().is_file():
        raise UsageError(f"there is no signing key {key}", todo=f"ssh-keygen -t ed25519 -f {key} makes one.")
    try:
        done = subprocess.run(command, input=text.encode(), capture_output=True, check=False)
    except OSError as exc:
        raise UsageError("signing needs ssh-keygen", todo=NEEDED) from exc
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise UsageError(f"ssh-keygen could not sign with {key}: {said[-1] if said else 'it said nothing'}", cause=NEEDED)
    made_of = Signed(text, done.stdout.decode())
    try:
        signing.fingerprint(signing.read_signature(made_of.signature)[0])
    except Refused as exc:
        raise UsageError(f"{key} is of another kind", cause=str(exc), todo="ssh-keygen -t ed25519 makes one that will do.") from exc
    return made_of


def beside(path: Path) -> tuple[Path, Path]:
    """Return where the manifest and the signature of the model (or bundle) at `path` lie."""
    return path.with_name(f"{path.name}.manifest.json"), path.with_name(f"{path.name}.manifest.sig")


def keep(signed: Signed, path: Path) -> tuple[Path, Path]:
    """Write manifest and signature beside a model."""
    files = beside(path)
    for file, text in zip(files, signed, strict=True):
        write_whole(file, text)
    return files


def find(path: Path) -> Signed | None:
    """Return the signed manifest beside a model, None where there is neither file. Raises SignatureRefused for half of one."""
    files = beside(path)
    there = [file for file in files if file.is_file()]
    if not there:
        return None
    if len(there) < len(files):
        raise SignatureRefused(f"{path} is only half signed: {there[0].name} is there, and no {_other(files, there[0]).name}")
    if any(file.stat().st_size > LARGEST_BYTES for file in files):
        raise SignatureRefused(f"the manifest or signature of {path} is larger than {LARGEST_BYTES:,} bytes")
    return Signed(*(file.read_text(encoding="utf-8", errors="replace") for file in files))


def _other(files: tuple[Path, Path], one: Path) -> Path:
    return files[1] if files[0] == one else files[0]


def trusted_keys(entry: DeviceEntry) -> tuple[str, ...]:
    """Return the keys whose signatures count for a board, as they stand in the middle of a .pub file; none where none is demanded.

    Raises InventoryError for what is no Ed25519 key, or where `signing` names no key at all.
    """
    if entry.signing is None:
        return ()
    where = f"{entry.name}'s signing"
    keys = []
    for line in entry.signing.signers or _public(where, entry.signing):
        words = line.split()
        try:
            if len(words) < 2 or words[0] != KEY_TYPE:
                raise Refused("inventory", f'{line[:60]!r} is no "{KEY_TYPE} AAAA..."')
            signing.fingerprint(words[1])
        except Refused as exc:
            raise InventoryError(f"{where}: {exc}", todo="A signer is what `ssh-keygen -t ed25519` writes to a .pub file.") from exc
        keys.append(words[1])
    return tuple(keys)


def _public(where: str, entry: SigningEntry) -> tuple[str, ...]:
    if entry.key is None:
        raise InventoryError(f"{where} names no key", todo='Write signing: {signers: ["ssh-ed25519 AAAA..."]}, or {key: FILE}.')
    path = Path(entry.key).expanduser()
    public = path if path.suffix == ".pub" else path.with_name(f"{path.name}.pub")
    try:
        return (public.read_text(),)
    except (OSError, UnicodeDecodeError) as exc:
        raise InventoryError(f"{where}: cannot read {public}", todo=f"ssh-keygen -t ed25519 -f {entry.key} makes a key.") from exc


def check(signed: Signed | None, *, keys: Sequence[str], target: str, sha256: str) -> Verified | None:
    """Return what is believed of a signed manifest here, None where no keys demand one.

    Raises SignatureRefused for an unsigned, altered or expired one, one of another key, purpose, model or target.
    """
    with _signers(target, keys) as signers:
        try:
            return signers.check(signed, sha256, time.time())
        except Refused as exc:
            raise SignatureRefused(str(exc)) from exc


def signed_version(signed: Signed) -> int:
    """Return the version that a manifest names, not asking who signed it. Raises SignatureRefused for a damaged one."""
    try:
        return int(signing.read_manifest(signed.manifest)["version"])
    except Refused as exc:
        raise SignatureRefused(str(exc)) from exc


@contextmanager
def _signers(target: str, keys: Sequence[str]) -> Iterator[Signers]:
    with tempfile.TemporaryDirectory(prefix="edgepipe-signers-") as folder:
        signers = Signers(folder)
        signers.write(target, list(keys))
        yield signers
