"""What a command costs before it does anything: CPU seconds of `--help` and of `verify` on a 1 MB model, and what they import."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.result import write
from benchmarks.synthetic import convolution

TIMES = 11
HEAVY = ("tensorflow", "tf_keras", "keras", "numpy", "pandas")
PROGRAM = "import sys; from edgepipe.cli import main_inner; main_inner({arguments!r})"


def main() -> None:
    """Measure both commands and write the result."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "one_megabyte.tflite"
        model.write_bytes(convolution(side=8, channels=170))
        figures: dict[str, Any] = {
            "help": {**_cost(["--help"]), "wanted": "under 0.35 s of CPU; no TensorFlow"},
            "verify_1_mb": {
                **_cost(["verify", str(model), "--target", "host"]),
                "model_bytes": model.stat().st_size,
                "wanted": "under 1 s; no TensorFlow",
            },
        }
    print(write("startup", "python -m benchmarks.startup", figures).read_text())


def _cost(arguments: list[str]) -> dict[str, Any]:
    seconds = [_cpu_s(arguments) for _ in range(TIMES)]
    return {"cpu_s_median": statistics.median(seconds), "cpu_s_max": max(seconds), "times": TIMES, "imports": _imported(arguments)}


def _cpu_s(arguments: list[str]) -> float:
    """Return user and system CPU seconds of one fresh process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", PROGRAM.format(arguments=arguments)], check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _imported(arguments: list[str]) -> list[str]:
    program = PROGRAM.format(arguments=arguments) + f"; print(*({HEAVY!r} & sys.modules.keys()), file=sys.stderr)"
    program = program.replace(repr(HEAVY), f"set({HEAVY!r})")
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return sorted(done.stderr.split())


if __name__ == "__main__":
    main()
