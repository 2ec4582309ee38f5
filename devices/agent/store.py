"""Models and golden samples by their hash: an entry appears whole, is never changed, and goes when it is old and unused."""

import glob
import hashlib
import json
import os
import shutil
from typing import Any, Dict, List, Optional, Set

from .durable import PART, sync, write_whole

MODEL, GOLDEN, MANIFEST, SIGNATURE = "model.tflite", "golden.npz", "manifest.json", "manifest.sig"
CONTENTS = (MODEL, GOLDEN)
KEPT = 16  # entries beside those that are in use
GONE = ".gone-"


class WrongHash(Exception):
    """A file is not what it was announced to be."""


class Store:
    """Entries store/sha256-<hex>/{model.tflite,manifest.json[,manifest.sig]}; golden samples have golden.npz instead."""

    def __init__(self, folder: str) -> None:
        self._folder = os.path.join(folder, "store")

    def clean(self) -> None:
        """Delete what an agent that was killed left half-written or half-deleted. The caller holds the board."""
        for prefix in (PART, GONE):
            for left in glob.glob(os.path.join(glob.escape(self._folder), prefix + "*")):
                _delete(left)

    def path(self, sha256: str, content: str = MODEL) -> Optional[str]:
        """Return where the model (or golden samples) of this hash is, or None where it is not there whole."""
        place = self._place(sha256)
        path = os.path.join(place, content)
        return path if os.path.isfile(path) and os.path.isfile(os.path.join(place, MANIFEST)) else None

    def sound(self, sha256: str, content: str = MODEL) -> Optional[str]:
        """Return the path only where the content has this hash still."""
        path = self.path(sha256, content)
        return path if path and file_sha256(path) == sha256 else None

    def manifest(self, sha256: str) -> Dict[str, Any]:
        """Return what the entry says of itself; empty where it cannot be read."""
        try:
            with open(os.path.join(self._place(sha256), MANIFEST)) as file:
                manifest = json.load(file)
        except (OSError, ValueError):
            return {}
        return manifest if isinstance(manifest, dict) else {}

    def _place(self, sha256: str) -> str:
        if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
            raise WrongHash("%.80r is no sha256" % sha256)
        return os.path.join(self._folder, "sha256-" + sha256)

    def add(self, source: str, sha256: str, content: str = MODEL, name: str = "") -> None:
        """Take in the file at `source`, which is gone then. Raises WrongHash where it is not the announced one."""
        place = self._place(sha256)
        part = os.path.join(self._folder, PART + sha256)
        os.makedirs(self._folder, exist_ok=True)
        _delete(part)
        os.mkdir(part)
        try:
            arrived = os.path.join(part, content)
            shutil.copyfile(source, arrived)
            os.unlink(source)
            found = file_sha256(arrived)
            if found != sha256:
                raise WrongHash("sha256 %s arrived where %s was announced" % (found, sha256))
            sync(arrived)
            manifest = {"schema": 1, "sha256": sha256, "size_bytes": os.path.getsize(arrived), "name": name[:200]}
            write_whole(os.path.join(part, MANIFEST), json.dumps(manifest, sort_keys=True).encode())
            self._publish(part, place, content)
        finally:
            _delete(part)

    def _publish(self, part: str, place: str, content: str) -> None:
        """Let the entry appear by one rename; the files of one that is there, damaged or incomplete, are replaced one by one."""
        if os.path.isdir(place):
            signed = all(os.path.isfile(os.path.join(place, file)) for file in (MANIFEST, SIGNATURE))
            for file in (content,) if signed else (content, MANIFEST):
                os.replace(os.path.join(part, file), os.path.join(place, file))
            sync(place)
        else:
            os.rename(part, place)
        sync(self._folder)

    def seal(self, sha256: str, manifest: str, signature: str) -> None:
        """Let a signed manifest stand in an entry; what it says is nobody's to change from then on, but for another signed one."""
        place = self._place(sha256)
        write_whole(os.path.join(place, SIGNATURE), signature.encode())
        write_whole(os.path.join(place, MANIFEST), manifest.encode())

    def touch(self, sha256: str) -> None:
        """Note that the entry was used."""
        if os.path.isdir(self._place(sha256)):
            os.utime(self._place(sha256), None)

    def prune(self, in_use: Set[str], kept: int = KEPT) -> List[str]:
        """Delete all entries but those in use and the `kept` others used last; returns the hashes of those that went."""
        others = []
        for place in glob.glob(os.path.join(glob.escape(self._folder), "sha256-*")):
            sha256 = os.path.basename(place)[len("sha256-") :]
            if sha256 not in in_use:
                others.append((os.stat(place).st_mtime_ns, sha256))
        gone = [sha256 for _, sha256 in sorted(others, reverse=True)[kept:]]
        for sha256 in gone:
            aside = os.path.join(self._folder, GONE + sha256)
            os.rename(self._place(sha256), aside)  # half an entry is none
            _delete(aside)
        return gone


def _delete(path: str) -> None:
    if os.path.isdir(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def file_sha256(path: str) -> str:
    """Return the hash of a file's content."""
    digest = hashlib.sha256()
    with open(path, "rb") as content:
        for chunk in iter(lambda: content.read(1 << 20), b""):
            digest.update(chunk)
    return digest.hexdigest()
