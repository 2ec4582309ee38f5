"""The manifest of a bundle: one way to write it, so that every changed byte shows, and a seal over itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace

from edgepipe.bundles import BundleManifest, FileEntry
from edgepipe.documents import parse_json
from edgepipe.errors import VerifyFailed
from edgepipe.records import as_json


def write(manifest: BundleManifest, files: Mapping[str, bytes]) -> bytes:
    """Return the sealed manifest over `files` as the bytes of its file."""
    entries = {name: entry(files[name]) for name in sorted(files)}
    bare = replace(manifest, files=entries, seal="")
    return _bytes(replace(bare, seal=_sha256(_bytes(bare))))


def entry(content: bytes) -> FileEntry:
    """Return what a manifest says of a file."""
    return FileEntry(sha256=_sha256(content), size_bytes=len(content))


def read(content: bytes) -> tuple[BundleManifest, list[str]]:
    """Return the manifest and what is wrong with its own bytes. Raises VerifyFailed for what is no manifest."""
    manifest = parse_json(BundleManifest, content, source="manifest.json", error=VerifyFailed)
    problems = []
    if manifest.seal != _sha256(_bytes(replace(manifest, seal=""))) or content != _bytes(manifest):
        problems.append("manifest.json: it was changed after it was sealed")
    return manifest, problems


def _bytes(manifest: BundleManifest) -> bytes:
    return (json.dumps(as_json(manifest), indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
