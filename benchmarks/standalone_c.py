"""Standalone C against the interpreter on a Cortex-M4, and against TFLite Micro on random models: bytes, ticks, wrong answers."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from benchmarks.result import write
from edgepipe.devices.firmware_build import EMULATED
from tests.firmware import tflm
from tests.firmware.bare_board import Kind, run
from tests.firmware.random_models import MAKERS, random_model
from tests.firmware.standalone_library import Standalone
from tests.real_models import MODELS, SHAPES

MACHINE = "mps2-an386"
ROWS = 5
SANITIZED = ("-O1", "-fsanitize=undefined", "-fno-sanitize-recover=all")  # a finding ends the process


def asked(name: str) -> tuple[bytes, list[np.ndarray], list[bytes]]:
    """Return a real model, inputs for it and what TFLite Micro answers."""
    random, model = np.random.default_rng(2026), (MODELS / f"{name}.tflite").read_bytes()
    rows = [random.integers(-128, 128, SHAPES[name], np.int8) for _ in range(ROWS)]
    (expected,) = tflm.answers([tflm.Case(model=model, rows=tuple((row,) for row in rows))])
    assert expected is not None
    return model, rows, [output for (output,) in expected]


def on_a_board(name: str, folder: Path) -> dict[str, object]:
    """Return what both ways of running a real model take of the board, beside a program without a model."""
    model, rows, wanted = asked(name)
    told = {kind: run(kind, model, rows, len(wanted[0]), folder / name / kind, MACHINE) for kind in Kind}
    bare = told[Kind.NOTHING]
    figures: dict[str, object] = {"model bytes": len(model)}
    for kind in (Kind.INTERPRETER, Kind.TRIMMED, Kind.STANDALONE):
        figures[kind.lower()] = {
            "flash bytes": told[kind].flash_bytes - bare.flash_bytes,
            "RAM bytes": told[kind].ram_bytes - bare.ram_bytes,
            "ticks": told[kind].ticks,
            "rows that differ from TFLite Micro": sum(a != b for a, b in zip(told[kind].outputs, wanted, strict=True)),
        }
    return figures


def on_every_core(name: str, folder: Path) -> dict[str, dict[str, object]]:
    """Return the ticks of standalone C on each emulated core, and how many answers are not TFLite Micro's."""
    model, rows, wanted = asked(name)
    told = {machine: run(Kind.STANDALONE, model, rows, len(wanted[0]), folder / machine / name, machine) for machine in EMULATED}
    return {
        machine: {
            "ticks": one.ticks,
            "rows that differ from TFLite Micro": sum(a != b for a, b in zip(one.outputs, wanted, strict=True)),
        }
        for machine, one in told.items()
    }


def at_random(seeds: int, folder: Path) -> Counter[str]:
    """Return how many random models of each operator were exported, and how many of their answers differ from TFLite Micro's."""
    counted: Counter[str] = Counter({"rows that differ": 0, "refused by TFLite Micro": 0})
    for name in MAKERS:
        cases = [
            tflm.Case(model=model, rows=rows) for model, rows in (random_model(name, seed) for seed in range(1000, 1000 + seeds))
        ]
        for number, (case, expected) in enumerate(zip(cases, tflm.answers(cases), strict=True)):
            counted["models"] += 1
            if expected is None:
                counted["refused by TFLite Micro"] += 1
                continue
            alone = Standalone(case.model, folder / f"{name} {number}", flags=SANITIZED)
            answers = [alone.answer(row, [len(output) for output in expected[0]]) for row in case.rows]
            counted["rows"] += len(expected)
            counted["rows that differ"] += sum(got != wanted for got, wanted in zip(answers, expected, strict=True))
    return counted


def main() -> int:
    """Measure, write the figures and return 1 where standalone C is not the smaller, as fast and as exact."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="random models of each operator")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edgepipe-standalone-") as place:
        boards = {name: on_a_board(name, Path(place)) for name in SHAPES}
        cores = {name: on_every_core(name, Path(place)) for name in SHAPES}
        counted = at_random(given.seeds, Path(place))
    figures = {MACHINE: boards, "every core": cores, "random models, under UBSan": dict(counted)}
    write("standalone_c", f"python -m benchmarks.standalone_c --seeds {given.seeds}", figures)
    print(boards, cores, dict(counted))
    wrong = sum(counted[key] for key in ("rows that differ", "refused by TFLite Micro"))
    wrong += sum(bool(core["rows that differ from TFLite Micro"]) for each in cores.values() for core in each.values())
    return int(any(map(_worse, boards.values())) or wrong > 0)


def _worse(figures: dict[str, object]) -> bool:
    interpreter, alone = figures["trimmed"], figures["standalone"]
    assert isinstance(interpreter, dict) and isinstance(alone, dict)
    smaller = all(alone[what] < interpreter[what] for what in ("flash bytes", "RAM bytes"))
    faster = all(ours <= theirs for ours, theirs in zip(alone["ticks"], interpreter["ticks"], strict=True))
    exact = alone["rows that differ from TFLite Micro"] == interpreter["rows that differ from TFLite Micro"] == 0
    return not (smaller and faster and exact)


if __name__ == "__main__":
    sys.exit(main())
