"""The virtual Pi from nothing to a keyword-spotting model deployed, measured, evaluated and rolled back; its times mean nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.keyword_spotting import cepstra
from benchmarks.result import write
from benchmarks.synthetic import convolution
from edgepipe.devices import virtual_image
from edgepipe.parity import Runtime
from edgepipe.pipeline.data import load
from edgepipe.pipeline.inspect.flatbuffer import read_model
from edgepipe.pipeline.inspect.parity.inputs import from_data
from edgepipe.pipeline.inspect.parity.run import run as answers

COMMAND = [sys.executable, "-c", "from edgepipe.cli import main; main()"]
BOARD = "pi-virtual"
MODEL = Path(__file__).parents[2] / "shared" / "data" / "models" / "kws_ref_model.tflite"
SAMPLES = 200
WRONG = 50  # labels that are not what the model answers, so that its accuracy is a number worth comparing
Edgepipe = Callable[..., Any]


def main() -> None:
    """Start, probe, provision (twice), use, end; writes the result."""
    lacks = virtual_image.missing() + ([] if MODEL.exists() else [f"{MODEL} is not there"])
    if lacks:
        print(f"skipped: {'; '.join(lacks)}")
        return
    with tempfile.TemporaryDirectory(prefix="edgepipe-virtual-pi-") as made:
        host = Host(Path(made))
        try:
            host("farm", "up", BOARD, "--json")
            host("farm", "probe", BOARD, "--json")
            given = host("farm", "provision", BOARD, "--json")["boards"][0]
            host("farm", "provision", BOARD, "--json")
            used = use(MODEL, host.folder, host)
        finally:
            host("farm", "down", BOARD)
    figures = {
        "seconds": host.seconds,
        "image": built(),
        "wheels_bytes": given["sent_bytes"],
        "wheels": given["stamp"]["versions"] if "versions" in given["stamp"] else sorted(given["stamp"]["wheels"]),
        **used,
        "note": "an emulated processor on a machine that others use: the seconds say that it works, not how fast a Pi is",
    }
    print(write("virtual_pi", "python -m benchmarks.virtual_pi", figures))


class Host:
    """Runs edgepipe in a folder of its own and remembers how long each command took."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.seconds = folder, dict[str, float]()

    def __call__(self, *words: object) -> Any:
        """Return what a command printed, as JSON where that was asked for. Ends this process where the command fails."""
        began = perf_counter()
        environment = {**os.environ, "EDGEPIPE_RESULTS": str(self.folder / "results")}
        command = [*COMMAND, *map(str, words)]
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"edgepipe {' '.join(map(str, words))} ended with {done.returncode}:\n{done.stderr}{done.stdout}")
        name = " ".join(str(word) for word in words[: 2 if words[0] == "farm" else 1])
        while name in self.seconds:
            name += " again"
        self.seconds[name] = round(perf_counter() - began, 1)
        return json.loads(done.stdout) if "--json" in words else None


def use(model: Path, folder: Path, edgepipe: Edgepipe) -> dict[str, Any]:
    """Have the board take another model and then `model`, measure and evaluate it, and go back; returns what was found."""
    data, first = labelled(model, folder), folder / "first.tflite"
    first.write_bytes(convolution(side=8, channels=4))
    there = ("--device", BOARD, "--json")
    deployed = [
        edgepipe("deploy", each, *there, "--yes", "--no-reboot-protection", "--deadline", "300")["deployments"][0]["deployed"]
        for each in (first, model)
    ]
    record = edgepipe("bench", model, *there, "--blocks", "2")["runs"][0]["record"]
    scored = [edgepipe("eval", model, "--data", data, *where)["runs"][0]["record"] for where in (there, ("--json",))]
    asked = ("parity", model, "--data", data, *there, "--board-runtime")
    agreed = {runtime: edgepipe(*asked, runtime)["boards"][0]["agreements"] for runtime in ("litert-xnnpack", "litert-ref")}
    back = edgepipe("rollback", *there)["current"]
    board, here = (each["accuracy"] for each in scored)
    return {
        "board": {key: record["device"][key] for key in ("arch", "os", "emulated")},
        "runtime": record["runtime"],
        "blocks": [block["outcome"] for block in record["blocks"]],
        "deployed": [each["outcome"] for each in deployed],
        "sent_bytes": [each["sent_bytes"] for each in deployed],
        "model_bytes": model.stat().st_size,
        "accuracy": {"samples": board["samples"], "on_the_board": board["value"], "on_this_machine": here["value"]},
        "alike_bit_for_bit_as_here": _by_runtime(agreed, lambda each: each["distance"]["exact"]),
        "largest_difference_lsb": _by_runtime(agreed, lambda each: each["distance"]["lsb"]),
        "decisions_changed": _by_runtime(agreed, lambda each: each["decisions_changed"]),
        "rolled_back_to_the_first": back == read_model(first)[1].sha256,
    }


def _by_runtime(agreed: dict[str, Any], figure: Callable[[Any], int]) -> dict[str, dict[str, int]]:
    """Return a figure for each runtime of the board and each of this machine."""
    return {there: {each["runtime"]: figure(each) for each in found} for there, found in agreed.items()}


def labelled(model: Path, folder: Path) -> Path:
    """Write made-up sounds with what LiteRT's reference kernels answer to them as labels, but for the first WRONG."""
    path = folder / "test.npz"
    sounds = cepstra(SAMPLES)
    np.savez(path, x=sounds, y=np.zeros(SAMPLES, np.int64))
    content, facts = read_model(model)
    rows, _ = from_data(load(str(path), base=folder), facts, None, 0)
    labels = answers(content, Runtime.REFERENCE, rows).outputs[0].reshape(SAMPLES, -1).argmax(axis=1)
    labels[:WRONG] = (labels[:WRONG] + 1) % 12
    np.savez(path, x=sounds, y=labels)
    return path


def built() -> dict[str, Any]:
    """Return how long the archive took, once, and its size."""
    note = virtual_image.note()
    taken = json.loads(note.read_text()) if note.exists() else {}
    return {"bytes": virtual_image.image().stat().st_size, **taken}


if __name__ == "__main__":
    main()
