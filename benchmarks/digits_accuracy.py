"""What compression costs on the digits: 5 seeds, accuracy as paired difference on the pooled test answers, size as gzip -9."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.result import write
from edgepipe.cli.output import progress
from edgepipe.events import Emit
from edgepipe.pipeline.cache import Cache
from edgepipe.pipeline.recipe import DataSpec, read_recipe
from edgepipe.pipeline.splits import prepare, stored
from edgepipe.pipeline.worker import Worker
from edgepipe.records import CompressionRecord
from edgepipe.reports.stats import paired_difference
from edgepipe.workflows.compress import compress

SEEDS = range(5)
TEST, VALIDATION = 0.3, 0.15
STAGES: list[dict[str, Any]] = [
    {"prune": {"sparsity": 0.8, "epochs": 20}},
    {"cluster": {"clusters": 16, "epochs": 6}},
    {"quantize": {"mode": "qat"}},
]


def main() -> None:
    """Train and compress with every seed and write the result."""
    with tempfile.TemporaryDirectory() as folder, progress() as emit:
        records = [_one(seed, Path(folder), emit) for seed in SEEDS]
    rows = [{row.stage: row for row in record.rows} for record in records]
    float_answers = _pooled(rows, "float")
    figures = {
        "seeds": len(rows),
        "test_samples_pooled": len(float_answers),
        "float_accuracy_mean": statistics.fmean(row["float"].accuracy for row in rows),
        "stages": STAGES,
        "int8": _against_float(rows, "int8"),
        "prune_cluster_qat": _against_float(rows, "quantize qat"),
    }
    print(write("digits_accuracy", "python -m benchmarks.digits_accuracy", figures).read_text())


def _one(seed: int, folder: Path, emit: Emit) -> CompressionRecord:
    model = folder / f"digits-{seed}.keras"
    splits = prepare(DataSpec(train="digits", test=TEST, validation=VALIDATION), folder, (), seed=seed, rescales=False, emit=emit)
    data = {name: str(stored(Cache(), splits[name])) for name in ("train", "validation")}
    with Worker(emit) as worker:
        worker.request(do="demo", to=str(model), data=data, seed=seed)
    content = {
        "schema": 1,
        "model": {"path": model.name},
        "data": {"train": "digits", "test": TEST, "validation": VALIDATION},
        "target": "mcu",
        "seed": seed,
        "stages": STAGES,
    }
    return compress(read_recipe(content, source="benchmark", name=f"digits seed {seed}", base=folder), emit=emit)


def _pooled(rows: list[dict[str, Any]], stage: str) -> list[bool]:
    return [answer for row in rows for answer in row[stage].correct]


def _against_float(rows: list[dict[str, Any]], stage: str) -> dict[str, Any]:
    paired = paired_difference(_pooled(rows, "float"), _pooled(rows, stage))
    return {
        "accuracy_change_points": paired.points,
        "accuracy_change_points_95": [paired.low, paired.high],
        "accuracy_by_seed": [row[stage].accuracy for row in rows],
        "accuracy_engine": sorted({row[stage].accuracy_engine for row in rows}),
        "gzip_times_smaller_by_seed": [row["float"].gzip_bytes / row[stage].gzip_bytes for row in rows],
        "gzip_bytes_by_seed": [row[stage].gzip_bytes for row in rows],
        "float_gzip_bytes_by_seed": [row["float"].gzip_bytes for row in rows],
    }


if __name__ == "__main__":
    main()
