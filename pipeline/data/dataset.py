"""Samples and their labels: what every source of data becomes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgepipe import documents
from edgepipe.errors import DataError
from edgepipe.places import storage_errors
from edgepipe.records import SCHEMA_VERSION

Array = NDArray[np.generic]
MANIFEST = "dataset.json"
CHUNK_BYTES = 8 << 20


@dataclass(frozen=True, kw_only=True)
class _Manifest:
    """What stands beside the .npy files: `inputs` in their order, the k-th in input_k.npy."""

    inputs: tuple[str, ...]
    labels: bool
    source: str
    class_names: tuple[str, ...]
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Inputs by name, the first axis being the samples; `labels` None where there are none.

    `source` says where it came from; `class_names[k]` is what label k means, empty where labels have no names.
    """

    inputs: dict[str, Array]
    labels: Array | None
    source: str
    class_names: tuple[str, ...] = ()

    @property
    def samples(self) -> int:
        """How many samples there are (of the first input, where they disagree)."""
        first = next(iter(self.inputs.values()), None)
        return len(first) if first is not None and first.ndim else 0

    @cached_property
    def sha256(self) -> str:
        """SHA-256 over names, dtypes, shapes and values of inputs and labels; the same in every process and on every machine."""
        digest = hashlib.sha256()
        arrays = [(f"input {name}", self.inputs[name]) for name in sorted(self.inputs)]
        if self.labels is not None:
            arrays.append(("labels", self.labels))
        for name, array in arrays:
            if array.dtype.hasobject:
                raise DataError(f"{self.source}: {name} holds Python objects, not numbers")
            little = array.dtype.newbyteorder("<")
            digest.update(json.dumps([name, little.str, list(array.shape)]).encode())
            for _, part in chunks(array):
                digest.update(np.ascontiguousarray(part, dtype=little).tobytes())
        return digest.hexdigest()

    def take(self, indices: ArrayLike) -> Dataset:
        """Return the samples at `indices`, in that order, as a copy in memory."""
        chosen = np.asarray(indices, dtype=np.int64)
        return Dataset(
            inputs={name: np.asarray(array)[chosen] for name, array in self.inputs.items()},
            labels=None if self.labels is None else np.asarray(self.labels)[chosen],
            source=self.source,
            class_names=self.class_names,
        )

    def save(self, folder: Path) -> None:
        """Write .npy files into `folder`, whole or not at all; a dataset that was there before is replaced.

        Raises StorageError where the disk refuses, DataError where `folder` holds something else or an array holds objects.
        """
        with storage_errors(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
            try:
                self._write(part)
                _put_in_place(part, folder)
            finally:
                shutil.rmtree(part, ignore_errors=True)

    def _write(self, folder: Path) -> None:
        files = {f"input_{k}.npy": array for k, array in enumerate(self.inputs.values())}
        if self.labels is not None:
            files["labels.npy"] = self.labels
        for name, array in files.items():
            if array.dtype.hasobject:
                raise DataError(f"{self.source}: an array holds Python objects, not numbers")
            with (folder / name).open("wb") as file:
                np.save(file, array, allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
        manifest = _Manifest(
            inputs=tuple(self.inputs), labels=self.labels is not None, source=self.source, class_names=self.class_names
        )
        (folder / MANIFEST).write_text(json.dumps(asdict(manifest)), encoding="utf-8")

    @classmethod
    def open(cls, folder: Path) -> Dataset:
        """Return what `save` wrote, memory-mapped and read-only. Raises DataError where it is missing or damaged."""
        try:
            manifest = documents.parse_json(
                _Manifest, (folder / MANIFEST).read_bytes(), source=str(folder / MANIFEST), error=DataError
            )
            inputs = {name: _map(folder / f"input_{k}.npy") for k, name in enumerate(manifest.inputs)}
            labels = _map(folder / "labels.npy") if manifest.labels else None
        except (OSError, ValueError, EOFError) as exc:
            raise DataError(f"{folder} is not a complete dataset: {exc}", cause="files were deleted or cut short") from exc
        return cls(inputs=inputs, labels=labels, source=manifest.source, class_names=manifest.class_names)


def chunks(array: Array, size_bytes: int = CHUNK_BYTES) -> Iterator[tuple[int, Array]]:
    """Yield (index of the first row, rows) in pieces of about `size_bytes`, so that a memory-mapped array is never copied whole."""
    if not array.ndim:
        yield 0, array
        return
    row_bytes = max(1, array.itemsize * int(np.prod(array.shape[1:], dtype=np.int64)))
    rows = max(1, size_bytes // row_bytes)
    for start in range(0, len(array), rows):
        yield start, array[start : start + rows]


def _map(path: Path) -> Array:
    mapped: Array = np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    return mapped


def _put_in_place(part: Path, folder: Path) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        part.rename(folder)
        return
    if not (folder / MANIFEST).is_file():
        raise DataError(f"{folder} is there already and is not a dataset; it was left as it is", todo="Choose another folder.")
    aside = part.with_name(f"{part.name}.old")
    folder.rename(aside)
    try:
        part.rename(folder)
    except OSError:
        aside.rename(folder)
        raise
    shutil.rmtree(aside, ignore_errors=True)
