"""How long the demo takes from cold, and the same recipe a second time."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic

from benchmarks.result import write

PROGRAM = "from edgepipe.cli import main; main()"


def main() -> None:
    """Run the demo in empty folders, then one of its recipes again, and write the result."""
    with tempfile.TemporaryDirectory() as folder:
        demo_s, log = _timed(Path(folder), "demo")
        again_s, again_log = _timed(Path(folder), "compress", "edgepipe-results/demo/small.yaml")
    figures = {
        "demo_s": demo_s,
        "demo_wanted": "under 240 s after installation, on 2 cores",
        "demo_steps": log.splitlines(),
        "second_compress_s": again_s,
        "second_compress_wanted": "under 3 s, trains nothing",
        "second_compress_steps": again_log.splitlines(),
    }
    print(write("demo_time", "python -m benchmarks.demo_time", figures).read_text())


def _timed(folder: Path, *arguments: str) -> tuple[float, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EDGEPIPE_")}
    environment |= {"XDG_CACHE_HOME": str(folder / "cache"), "EDGEPIPE_HOME": str(folder / "board")}
    began = monotonic()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True
    )
    return monotonic() - began, done.stderr


if __name__ == "__main__":
    main()
