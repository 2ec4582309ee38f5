"""Keys of ssh-keygen, signed manifests made with them, and an ssh-keygen that is too old to verify any."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from edgepipe.devices.agent.signing import NAMESPACE, Signed, can_verify
from edgepipe.devices.signing import Manifest, manifest, sign

SHA256 = "ab" * 32
# What OpenSSH 7.9 says to `-Y`.
TOO_OLD = '#!/bin/sh\necho "unknown option -- Y" >&2\necho "usage: ssh-keygen [-q] [-b bits]" >&2\nexit 1\n'


def needs_ssh_keygen() -> None:
    """Skip a test where nothing can sign."""
    if not can_verify():
        pytest.skip("signing needs ssh-keygen of OpenSSH 8.1 or later; on Debian: apt-get install openssh-client")


def make_key(path: Path, kind: str = "ed25519") -> Path:
    """Make a key pair and return the private key's file."""
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "a signer", "-f", str(path)], check=True)
    return path


def public(key: Path) -> str:
    """Return the public key, as an allowed_signers file has it."""
    return key.with_suffix(".pub").read_text().split()[1]


def said(**others: object) -> Manifest:
    """Return a manifest of version 5 for a host board."""
    made = manifest(sha256=SHA256, size_bytes=1, name="a.tflite", target="host", valid_days=1, version=5)
    return replace(made, **others)  # type: ignore[arg-type]


def signed_for(text: str, key: Path, namespace: str = NAMESPACE) -> Signed:
    """Sign any text for any purpose."""
    command = ["ssh-keygen", "-Y", "sign", "-f", str(key), "-n", namespace]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    return Signed(text, done.stdout)


def attacks(key: Path, other: Path, sha256: str = SHA256) -> dict[str, tuple[Signed | None, str]]:
    """Return what somebody may try with a model of this hash, who has seen one rightly signed manifest and has a key of their own.

    Each comes with what the refusal must say.
    """
    mine = said(sha256=sha256)
    good = sign(mine, key)
    lines = good.signature.split("\n")
    return {
        "no signature": (None, "not signed"),
        "an altered manifest": (Signed(good.manifest.replace('"version": 5', '"version": 6'), good.signature), "altered"),
        "one more blank in the manifest": (Signed(good.manifest + " ", good.signature), "altered"),
        "half a character in the manifest": (Signed(good.manifest.replace("a.tflite", "\ud800"), good.signature), "altered"),
        "another key": (sign(mine, other), "another key"),
        "another key that claims to be ours": (Signed(good.manifest, _claiming(sign(mine, other), good)), "altered"),
        "another purpose": (signed_for(mine.text(), key, "git"), "another purpose"),
        "the signature of another manifest": (Signed(good.manifest, sign(said(version=9), key).signature), "altered"),
        "the manifest of another model": (sign(said(sha256="cd" * 32), key), "another model"),
        "the manifest for other boards": (sign(replace(mine, target="coral"), key), "coral"),
        "an expired one": (sign(replace(mine, expires_utc="2001-01-01T00:00:00Z"), key), "expired at 2001"),
        "a truncated signature": (Signed(good.manifest, "\n".join(lines[:3] + lines[-2:])), "damaged"),
        "half a signature": (Signed(good.manifest, good.signature[: len(good.signature) // 2]), "damaged"),
        "an empty signature": (Signed(good.manifest, ""), "damaged"),
        "something that is no manifest": (signed_for("[]", key), "none that this version"),
        "a manifest that leaves out the version": (signed_for(mine.text().replace('"version"', '"vision"'), key), "version"),
    }


def _claiming(theirs: Signed, ours: Signed) -> str:
    """Return a signature with our public key in its head and their signature below."""
    import base64

    def blob(signature: str) -> bytes:
        return base64.b64decode("".join(signature.split("\n")[1:-2]))

    head = 10 + 4 + 51
    mixed = base64.b64encode(blob(ours.signature)[:head] + blob(theirs.signature)[head:]).decode()
    first, *_, last, _ = ours.signature.split("\n")
    return "\n".join([first, *(mixed[at : at + 70] for at in range(0, len(mixed), 70)), last, ""])
