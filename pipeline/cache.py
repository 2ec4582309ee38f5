"""What was computed once is not computed again: folders addressed by everything that went into them."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from edgepipe.places import cache_dir, storage_errors, write_whole

TOOLS = (
    "tensorflow",
    "tf-keras",
    "keras",
    "tensorflow-model-optimization",
    "ai-edge-litert",
    "ai-edge-quantizer",
    "tflite-micro",
    "numpy",
)


def tool_versions() -> dict[str, str]:
    """Return the installed versions of what computes our results, without importing any of it."""
    versions = {}
    for tool in TOOLS:
        try:
            versions[tool] = version(tool)
        except PackageNotFoundError:
            continue
    return versions


@lru_cache(maxsize=1)
def pipeline_sha256() -> str:
    """Return a hash of this wing's own sources: a changed stage is computed again."""
    digest = hashlib.sha256()
    root = Path(__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def key_of(**parts: Any) -> str:
    """Return the address of a result: a hash of all that went into it, of the tools' versions and of our own sources."""
    whole = {"parts": parts, "tools": tool_versions(), "sources": pipeline_sha256()}
    return hashlib.sha256(json.dumps(whole, sort_keys=True, default=str).encode()).hexdigest()


class Cache:
    """Folders that appear whole or not at all, and small JSON values."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or cache_dir()

    def find(self, kind: str, key: str) -> Path | None:
        """Return the finished folder of this kind and key, or None."""
        folder = self.root / kind / key
        return folder if folder.is_dir() else None

    @contextmanager
    def fill(self, kind: str, key: str) -> Iterator[Path]:
        """Yield an empty folder that takes its place in the cache when the block succeeds, and vanishes when it does not."""
        final = self.root / kind / key
        with storage_errors(final):
            final.parent.mkdir(parents=True, exist_ok=True)
            part = Path(tempfile.mkdtemp(prefix=f".{key[:16]}.", dir=final.parent))
        try:
            yield part
            with storage_errors(final):
                if not final.exists():
                    part.replace(final)
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def drop(self, kind: str, key: str) -> None:
        """Remove a folder; where another process has removed it meanwhile, nothing is left to do."""
        folder = self.root / kind / key
        with storage_errors(folder), suppress(FileNotFoundError):
            aside = Path(tempfile.mkdtemp(prefix=f".{key[:16]}.", dir=folder.parent))
            try:
                folder.rename(aside / key)
            finally:
                shutil.rmtree(aside, ignore_errors=True)

    def value(self, key: str) -> Any | None:
        """Return the JSON value stored under this key, or None; a damaged one counts as none."""
        try:
            return json.loads((self.root / "values" / f"{key}.json").read_bytes())
        except (OSError, ValueError):
            return None

    def keep(self, key: str, value: Any) -> None:
        """Store a JSON value."""
        write_whole(self.root / "values" / f"{key}.json", json.dumps(value))
