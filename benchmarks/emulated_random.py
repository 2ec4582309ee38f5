"""Random small models of every operator on every emulated core: byte for byte as TFLite Micro answers."""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from benchmarks.result import write
from edgepipe.devices.boards.mcu import McuBoard
from edgepipe.devices.firmware_build import EMULATED
from edgepipe.devices.protocols import RunOptions
from edgepipe.devices.transports.qemu import QemuTransport
from tests.firmware import tflm
from tests.firmware.random_models import MAKERS, random_model

ROWS = 2
FIRST_SEED = 5000  # others than engine_exact's


def core(machine: str, cases: Sequence[tflm.Case], expected: Sequence[list[list[bytes]]], folder: Path) -> Counter[str]:
    """Push every model to one core and return how many were answered, and how many rows otherwise than by TFLite Micro."""
    counted: Counter[str] = Counter({"rows that differ": 0})
    path = folder / "model.tflite"
    with closing(McuBoard(machine, QemuTransport(machine, machine), emulated=True)) as board:
        board.open()
        for case, wanted in zip(cases, expected, strict=True):
            path.write_bytes(case.model)
            sha256 = hashlib.sha256(case.model).hexdigest()
            board.push(path, sha256)
            rows = iter([tuple(array.tobytes() for array in row) for row in case.rows])
            answers = [list(prediction.outputs) for prediction in board.predict(sha256, rows, RunOptions())]
            counted["models"] += 1
            counted["rows"] += len(wanted)
            counted["bytes"] += sum(len(output) for row in wanted for output in row)
            counted["rows that differ"] += sum(got != each for got, each in zip(answers, wanted, strict=True))
    return counted


def main() -> int:
    """Compare, write the figures and return 1 where anything differed; `--machine` takes one core and writes nothing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="random models of each operator")
    parser.add_argument("--machine", help="this core alone")
    given = parser.parse_args()
    models = [random_model(name, FIRST_SEED + seed, ROWS) for name in MAKERS for seed in range(given.seeds)]
    asked = [tflm.Case(model=model, rows=rows) for model, rows in models]
    found = [(case, answer) for case, answer in zip(asked, tflm.answers(asked), strict=True) if answer is not None]
    cases, expected = [case for case, _ in found], [answer for _, answer in found]
    machines = [given.machine] if given.machine else EMULATED
    figures: dict[str, object] = {"operators": len(MAKERS) - 2, "refused by TFLite Micro": len(asked) - len(cases)}
    differ = 0
    with tempfile.TemporaryDirectory(prefix="edgepipe-random-") as folder:
        for machine in machines:
            counted = core(machine, cases, expected, Path(folder))
            differ += counted["rows that differ"]
            figures[machine] = dict(counted)
            print(machine, dict(counted), flush=True)
    if not given.machine:
        print(write("emulated_random", f"python -m benchmarks.emulated_random --seeds {given.seeds}", figures))
    return int(differ > 0)


if __name__ == "__main__":
    sys.exit(main())
