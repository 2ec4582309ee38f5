"""The virtual Pi from nothing to a measurement: seconds of each step; its latencies are an emulator's and are left out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.result import write
from benchmarks.synthetic import convolution
from edgepipe.devices import virtual_image

COMMAND = [sys.executable, "-c", "from edgepipe.cli import main; main()"]


def main() -> None:
    """Start, probe, provision (twice), bench, end; writes the result."""
    lacks = virtual_image.missing()
    if lacks:
        print(f"skipped: {'; '.join(lacks)}")
        return
    with tempfile.TemporaryDirectory(prefix="edgepipe-virtual-pi-") as made:
        folder = Path(made)
        model = folder / "model.tflite"
        model.write_bytes(convolution(side=16, channels=8))
        seconds, answers = dict[str, float](), dict[str, Any]()
        try:
            for name, arguments in {
                "up": ["up", "pi-virtual", "--json"],
                "probe": ["probe", "pi-virtual", "--json"],
                "provision": ["provision", "pi-virtual", "--json"],
                "provision_again": ["provision", "pi-virtual", "--json"],
            }.items():
                seconds[name], answers[name] = run(folder, "farm", *arguments)
            seconds["bench"], answers["bench"] = run(
                folder, "bench", str(model), "--device", "pi-virtual", "--blocks", "3", "--json"
            )
        finally:
            seconds["down"], _ = run(folder, "farm", "down", "pi-virtual")
    record = answers["bench"]["runs"][0]["record"]
    given = answers["provision"]["boards"][0]
    figures = {
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "image": built(),
        "wheels_bytes": given["sent_bytes"],
        "wheels": given["stamp"]["versions"] if "versions" in given["stamp"] else sorted(given["stamp"]["wheels"]),
        "board": {key: record["device"][key] for key in ("arch", "os", "emulated")},
        "runtime": record["runtime"],
        "blocks": [block["outcome"] for block in record["blocks"]],
        "note": "an emulated processor on a machine that others use: the seconds say that it works, not how fast a Pi is",
    }
    print(write("virtual_pi", "python -m benchmarks.virtual_pi", figures))


def run(folder: Path, *arguments: str) -> tuple[float, Any]:
    """Return the seconds of a command and what it printed, as JSON where that was asked for. Fails where the command does."""
    began = perf_counter()
    environment = {**os.environ, "EDGEPIPE_RESULTS": str(folder / "results")}
    done = subprocess.run([*COMMAND, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"edgepipe {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}")
    return perf_counter() - began, json.loads(done.stdout) if "--json" in arguments else None


def built() -> dict[str, Any]:
    """Return how long the archive took, once, and its size."""
    note = virtual_image.note()
    taken = json.loads(note.read_text()) if note.exists() else {}
    return {"bytes": virtual_image.image().stat().st_size, **taken}


if __name__ == "__main__":
    main()
