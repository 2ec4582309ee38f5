"""The built-in engine against TFLite Micro: random small models of every operator and the two real ones, byte for byte."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.result import write
from tests.firmware import tflm
from tests.firmware.host_engine import STRICT, HostEngine, Refusal, build
from tests.firmware.random_models import MAKERS, random_model
from tests.real_models import MODELS, SHAPES

BATCH = 200
BUILDS: dict[str, tuple[str, ...]] = {"plain C": (), "pairs of 16 bits": ("-DENGINE_PAIRS",)}


def real_cases(rows: int) -> Iterator[tuple[str, tflm.Case]]:
    """Yield the real models that are there, with inputs half flat and half bell-shaped."""
    random = np.random.default_rng(2026)
    for name, shape in SHAPES.items():
        path = MODELS / f"{name}.tflite"
        if path.exists():
            flat = [random.integers(-128, 128, shape, np.int8) for _ in range(rows // 2)]
            bell = [np.clip(random.normal(0, 30, shape), -128, 127).astype(np.int8) for _ in range(rows - rows // 2)]
            yield name, tflm.Case(model=path.read_bytes(), rows=tuple((row,) for row in flat + bell))


def random_cases(seeds: int, rows: int) -> Iterator[tuple[str, tflm.Case]]:
    """Yield `seeds` models of each operator."""
    for name in MAKERS:
        for seed in range(seeds):
            model, inputs = random_model(name, seed, rows)
            yield name, tflm.Case(model=model, rows=inputs)


def compare(engines: dict[str, HostEngine], cases: list[tuple[str, tflm.Case]]) -> Counter[str]:
    """Return how many models and outputs were compared, and how many differed or were refused by either side."""
    counted: Counter[str] = Counter({"models": len(cases), "rows that differ": 0})
    for (name, case), expected in zip(cases, tflm.answers([case for _, case in cases]), strict=True):
        if expected is None:
            counted["refused by TFLite Micro"] += 1
            continue
        counted["rows"] += len(expected)
        counted["bytes"] += sum(len(output) for row in expected for output in row)
        counted["rows that TFLite Micro answers otherwise than the row before"] += sum(a != b for a, b in pairwise(expected))
        for kind, engine in engines.items():
            try:
                loaded = engine.load(case.model)
            except Refusal as refusal:
                counted["refused by the engine"] += 1
                print(f"{name}: refused, {refusal.reason}", file=sys.stderr)
                continue
            answers = [loaded.answer(row) for row in case.rows]
            loaded.check(case.model)
            different = sum(got != wanted for got, wanted in zip(answers, expected, strict=True))
            counted["rows that differ"] += different
            if different:
                print(f"{name} {kind}: {different} of {len(expected)} rows differ", file=sys.stderr)
    return counted


def main() -> int:
    """Compare, write the figures and return 1 where anything differed or was refused."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="random models of each operator")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edgepipe-engine-") as folder:
        engines = {}
        for kind, flags in BUILDS.items():
            place = Path(folder) / kind
            place.mkdir()
            engines[kind] = HostEngine(build(place, flags=(*STRICT, *flags)))
        plain = engines["plain C"]
        real = {name: (compare(engines, [(name, case)]), plain.load(case.model)) for name, case in real_cases(1000)}
        cases, counted, by_operator = list(random_cases(given.seeds, 4)), Counter[str](), Counter[str]()
        for start in range(0, len(cases), BATCH):
            batch = cases[start : start + BATCH]
            counted.update(compare(engines, batch))
            by_operator.update(name for name, _ in batch)
    figures = {
        "builds, each compared with all": list(BUILDS),
        "random models": dict(counted),
        "models of each operator": dict(by_operator),
        "real models": {name: {**counts, "arena_bytes": loaded.arena_used} for name, (counts, loaded) in real.items()},
    }
    write("engine_exact", f"python -m benchmarks.engine_exact --seeds {given.seeds}", figures)
    wrong = ("rows that differ", "refused by the engine", "refused by TFLite Micro")
    failed = any(counts[name] for counts in (counted, *(counts for counts, _ in real.values())) for name in wrong)
    print(figures["random models"], figures["real models"])
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
