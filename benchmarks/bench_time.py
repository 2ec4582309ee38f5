"""How long `edgepipe bench` takes on an emulated Cortex-M4, from the command to its record; the firmware was built before."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import monotonic

from benchmarks.result import write

COMMAND = "python -m benchmarks.bench_time"
MODEL = Path(__file__).resolve().parents[2] / "shared" / "data" / "models" / "kws_ref_model.tflite"
INVENTORY = """schema: 1
devices:
  mcu-m4-qemu: {board: mcu, target: mcu, transport: {kind: qemu, machine: mps2-an386}, emulated: true}
"""
PROGRAM = "from edgepipe.cli import main; main()"
RUNS = 5


def timed(folder: Path) -> float:
    """Run the command once, in seconds."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EDGEPIPE_")}
    environment |= {"XDG_CACHE_HOME": str(folder / "cache")}
    command = [sys.executable, "-c", PROGRAM, "bench", str(MODEL), "--device", "mcu-m4-qemu", "--quiet"]
    began = monotonic()
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    return monotonic() - began


def main() -> None:
    """Measure and write; `quick` as an argument runs it twice and writes nothing."""
    runs = 1 if "quick" in sys.argv else RUNS
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "farm_inventory.yaml").write_text(INVENTORY)
        first_s = timed(Path(folder))
        later_s = [timed(Path(folder)) for _ in range(runs)]
    figures = {
        "with_the_first_build_s": round(first_s, 2),
        "median_s": round(median(later_s), 2),
        "longest_s": round(max(later_s), 2),
        "runs": runs,
        "wanted": "under 10 s after the first build",
    }
    print(figures)
    if runs == RUNS:
        print(write("bench_time", COMMAND, figures))


if __name__ == "__main__":
    main()
