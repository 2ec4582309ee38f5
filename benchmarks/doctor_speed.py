"""What `edgepipe doctor` costs on networks of keras.applications: CPU seconds of a fresh process, and what it imports.

`python -m benchmarks.doctor_speed`
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import result

TIMES = 7
NETWORKS = ("MobileNetV2", "EfficientNetB0", "MobileNetV3Small")
WANTED_CPU_S = 2.0
# Written by a process of its own: the one that measures has no TensorFlow either.
MAKE = """
import sys, keras
for name in sys.argv[2:]:
    getattr(keras.applications, name)(weights=None).save(f"{sys.argv[1]}/{name}.keras")
"""
PROGRAM = """
import sys
from edgepipe.cli import main_inner
code = main_inner(sys.argv[1:])
heavy = sorted({"tensorflow", "tf_keras", "keras"} & sys.modules.keys())
sys.stderr.write(" ".join(heavy))
sys.exit(code not in (0, 6))
"""


def main() -> None:
    """Measure each network and write benchmarks/results/doctor_speed.json."""
    with tempfile.TemporaryDirectory(prefix="edgepipe-doctor-") as folder:
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
        subprocess.run([sys.executable, "-c", MAKE, folder, *NETWORKS], env=environment, check=True, capture_output=True)
        networks = {name: measure(Path(folder) / f"{name}.keras", TIMES) for name in NETWORKS}
    figures = {
        "wanted": f"under {WANTED_CPU_S:.0f} s of CPU (user and system, children too) and no TensorFlow",
        "networks": networks,
    }
    print(json.dumps(figures, indent=2))
    print(result.write("doctor_speed", "python -m benchmarks.doctor_speed", figures))


def measure(model: Path, times: int) -> dict[str, Any]:
    """Return the cost of `times` examinations, what they imported, and whether both are as wanted."""
    seconds, imported = [], set()
    for _ in range(times):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-c", PROGRAM, "doctor", str(model), "--target", "mcu", "--quiet"]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        imported |= set(done.stderr.split())
    return {
        "model_bytes": model.stat().st_size,
        "cpu_s_median": round(statistics.median(seconds), 3),
        "cpu_s_max": round(max(seconds), 3),
        "imports_of_tensorflow_or_keras": sorted(imported),
        "times": times,
        "reached": max(seconds) < WANTED_CPU_S and not imported,
    }


if __name__ == "__main__":
    main()
