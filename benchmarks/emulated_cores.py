"""Both real models on every emulated core: bit for bit as TFLite Micro answers, and the same ticks whenever the command comes."""

from __future__ import annotations

import hashlib
import random
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from time import sleep

import numpy as np

from benchmarks.result import write
from edgepipe.devices.boards.mcu import McuBoard
from edgepipe.devices.firmware_build import EMULATED
from edgepipe.devices.protocols import BlockRequest, RunOptions
from edgepipe.devices.transports.qemu import QemuTransport
from edgepipe.records import unpack_samples_ns
from tests.firmware.engine_size import engine_size
from tests.firmware.tflm import Case, answers
from tests.real_models import MODELS, SHAPES

COMMAND = "python -m benchmarks.emulated_cores"
INPUTS = 3
LONGEST_DELAY_S = 0.05
REPEATED = ("mps2-an386", "ad01_int8", 3, 12)  # machine, model, boots, blocks of three runs, each after a reset
NS = 1e9


def core(machine: str, path: Path, rows: list[np.ndarray], expected: list[bytes]) -> dict[str, object]:
    """Answer all rows on one core; figures of its ticks."""
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    with closing(McuBoard(machine, QemuTransport(machine, machine), emulated=True)) as board:
        board.open()
        board.push(path, sha256)
        found = [
            prediction.outputs[0] for prediction in board.predict(sha256, iter([(row.tobytes(),) for row in rows]), RunOptions())
        ]
        block = board.measure(sha256, BlockRequest(index=0))
        clock_hz = board.clock_hz
        steps = [step.ticks for step in board.steps()]
    samples = set(unpack_samples_ns(block.samples_ns_zlib))
    ticks = round(samples.pop() * clock_hz / NS)
    return {
        "bit_exact": found == expected,
        "ticks": ticks,
        "ticks_of_the_operators": sum(steps),
        "ticks_of_each_operator": steps,
        "instructions": round(ticks * NS / (clock_hz * 32)),
        "all_three_equal": not samples,
        "arena_bytes": block.model_memory_bytes or 0,
    }


def repeated(machine: str, name: str, boots: int, resets: int) -> dict[str, float]:
    """Time one model again and again, each time after a random wait, in several boots and after many resets."""
    path, source, ticks, runs = MODELS / f"{name}.tflite", random.Random(1), set[int](), 0
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    for _ in range(boots):
        with closing(McuBoard(machine, QemuTransport(machine, machine), emulated=True)) as board:
            board.open()
            board.push(path, sha256)
            for index in range(resets):
                sleep(source.uniform(0, LONGEST_DELAY_S))
                samples = unpack_samples_ns(board.measure(sha256, BlockRequest(index=index)).samples_ns_zlib)
                ticks |= set(samples)
                runs += len(samples)
    return {"boots": boots, "resets": boots * (resets - 1), "runs": runs, "different_counts": len(ticks)}


def main() -> None:
    """Measure and write; `quick` as an argument takes one core and one model and writes nothing."""
    quick = "quick" in sys.argv
    source = np.random.default_rng(1)
    machines = EMULATED[: 1 if quick else None]
    figures: dict[str, object] = {}
    for name, shape in list(SHAPES.items())[: 1 if quick else None]:
        path = MODELS / f"{name}.tflite"
        rows = [source.integers(-128, 128, size=shape, dtype=np.int8) for _ in range(INPUTS)]
        (found,) = answers([Case(model=path.read_bytes(), rows=tuple((row,) for row in rows))])
        assert found is not None
        expected = [outputs[0] for outputs in found]
        figures[path.name] = {machine: core(machine, path, rows, expected) for machine in machines}
        print(path.name, figures[path.name], flush=True)
    if not quick:
        figures["repeated"] = repeated(*REPEATED)
        with tempfile.TemporaryDirectory(prefix="edgepipe-engine-") as folder:
            figures["engine on mps2-an386"] = vars(engine_size(Path(folder)))
        print(write("emulated_cores", COMMAND, figures))


if __name__ == "__main__":
    main()
