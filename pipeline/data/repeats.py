"""Samples that stand twice: within a split, or in train and in what is to judge it."""

from __future__ import annotations

from collections.abc import Mapping

from edgepipe.pipeline.data.dataset import Dataset
from edgepipe.pipeline.data.problem import DataProblem
from edgepipe.pipeline.data.scan import Scan, join

_SHOWN = 5


def find_duplicates(split: str, dataset: Dataset, scans: Mapping[str, Scan]) -> list[DataProblem]:
    """Return a warning where samples of one split are equal in every input."""
    keys = _sample_keys(dataset, scans)
    seen: dict[bytes, int] = {}
    repeats = [(index, seen[key]) for index, key in enumerate(keys) if seen.setdefault(key, index) != index]
    if not repeats or len(seen) == 1:  # all samples alike: said already, as constant or as never changing
        return []
    index = repeats[0][0]
    count = "one sample stands" if len(repeats) == 1 else f"{len(repeats)} samples stand"
    some = ", ".join(f"{again} = {first}" for again, first in repeats[:_SHOWN]) + (", …" if len(repeats) > _SHOWN else "")
    return [DataProblem(severity="warning", split=split, input="", index=index, message=f"{count} there more than once ({some})")]


def _sample_keys(dataset: Dataset, scans: Mapping[str, Scan]) -> list[bytes]:
    """Return one key per sample over all inputs, in the order of their names; none where that cannot be told."""
    if set(scans) != set(dataset.inputs) or len({len(found.digests) for found in scans.values()}) != 1:
        return []
    return join([scans[name] for name in sorted(scans)])


def find_leaks(splits: Mapping[str, Dataset], scans: Mapping[str, Mapping[str, Scan]]) -> list[DataProblem]:
    """Return what stands in train and in a split that is to judge it; calibration may be drawn from train."""
    if "train" not in splits:
        return []
    learned = {key: index for index, key in reversed([*enumerate(_sample_keys(splits["train"], scans["train"]))])}
    problems = []
    for split, dataset in splits.items():
        if split in ("train", "calibration"):
            continue
        shared = [(index, learned[key]) for index, key in enumerate(_sample_keys(dataset, scans[split])) if key in learned]
        if shared:
            index, original = shared[0]
            count = f"{len(shared)} of {dataset.samples} samples also stand in train (the first is train[{original}])"
            problems.append(DataProblem(severity="warning", split=split, input="", index=index, message=count))
    return problems
