"""What `edgepipe inspect` costs on models of 100 MB, float32 and int8: CPU seconds and peak memory of a fresh process.

`python -m benchmarks.inspect_large`
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import result
from benchmarks.synthetic import convolution

TIMES = 7
CHANNELS = {"float32": 1667, "int8": 3334}  # 3 * 3 * channels^2 weights: 100 MB
# The kernel's high-water mark of the program itself: rusage would begin with that of the process which started it.
PROGRAM = """
import sys
from edgepipe.cli import main_inner
code = main_inner(sys.argv[1:])
marks = (line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:"))
sys.exit(sys.stderr.write(next(marks)) and code)
"""
CPU_S, PEAK_BYTES = 1.0, 250_000_000


def main() -> None:
    """Measure both and write benchmarks/results/inspect_large.json."""
    figures: dict[str, Any] = {"wanted": f"under {CPU_S:.0f} s of CPU and {PEAK_BYTES // 1_000_000} MB", "models": {}}
    with tempfile.TemporaryDirectory(prefix="edgepipe-large-") as folder:
        for dtype, channels in CHANNELS.items():
            model = Path(folder) / f"{dtype}.tflite"
            model.write_bytes(convolution(side=8, channels=channels, dtype=dtype))
            figures["models"][dtype] = measure(model, TIMES)
            model.unlink()
    print(json.dumps(figures, indent=2))
    print(result.write("inspect_large", "python -m benchmarks.inspect_large", figures))


def measure(model: Path, times: int) -> dict[str, Any]:
    """Return the cost of `times` inspections and whether it is as wanted."""
    costs = [_cost(model) for _ in range(times)]
    seconds, peaks = [cost[0] for cost in costs], [cost[1] for cost in costs]
    return {
        "model_bytes": model.stat().st_size,
        "cpu_s_median": round(statistics.median(seconds), 3),
        "cpu_s_max": round(max(seconds), 3),
        "peak_bytes_max": max(peaks),
        "times": times,
        "reached": max(seconds) < CPU_S and max(peaks) < PEAK_BYTES,
    }


def _cost(model: Path) -> tuple[float, int]:
    """Return user and system CPU seconds and the peak resident bytes of one fresh process."""
    command = [sys.executable, "-c", PROGRAM, "inspect", str(model)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, int(done.stderr) * 1024


if __name__ == "__main__":
    main()
