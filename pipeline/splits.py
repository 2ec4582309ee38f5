"""A recipe's data as checked splits: train, validation, calibration, test; every choice is made on validation, never on test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgepipe.errors import DataError
from edgepipe.events import Emit, Note
from edgepipe.facts import TensorPort
from edgepipe.pipeline.cache import Cache
from edgepipe.pipeline.data import Dataset, calibration, check, load, raise_errors, split
from edgepipe.pipeline.recipe import DataSpec


def prepare(
    spec: DataSpec, base: Path, ports: Sequence[TensorPort], *, seed: int, rescales: bool | None, emit: Emit
) -> dict[str, Dataset]:
    """Return the splits by name; `test` only where the recipe has one. Warnings go to `emit`.

    Test data is split off first, then validation from the rest. Raises one DataError that lists every problem of every split.
    """
    whole = train = load(spec.train, base=base, inputs=ports, scale=spec.scale, emit=emit)
    splits: dict[str, Dataset] = {}
    for name in ("test", "validation"):
        source = getattr(spec, name)
        if isinstance(source, str):
            splits[name] = load(source, base=base, inputs=ports, scale=spec.scale, class_names=train.class_names, emit=emit)
        elif source is not None:
            if train.labels is None and name == "validation":
                continue
            train, splits[name] = split(train, source, seed=seed)
    splits = {"train": train, **splits}
    problems = check(splits, ports, normalizes=rescales)
    if train is not whole and any(each.severity == "error" and each.index is not None for each in problems):
        # Told by the sample's number in the user's own file.
        given = {name: splits[name] for name in splits if isinstance(getattr(spec, name), str)}
        problems = check({**given, "train": whole}, ports, normalizes=rescales)
    for problem in problems:
        if problem.severity == "warning":
            emit(Note(warning=True, text=str(problem)))
    raise_errors(problems)
    if train.samples < 2:
        raise DataError("there are too few samples to train with")
    splits["calibration"] = calibration(train, spec.calibration.samples, seed=seed)
    return splits


def stored(cache: Cache, data: Dataset) -> Path:
    """Return the folder of the cache that holds `data`, named by its hash: how data gets to the worker."""
    folder = cache.root / "data" / data.sha256
    if not _holds(folder, data):
        cache.drop("data", data.sha256)
        data.save(folder)
    return folder


def _holds(folder: Path, data: Dataset) -> bool:
    try:
        return folder.is_dir() and Dataset.open(folder).sha256 == data.sha256
    except DataError:
        return False
