"""The real keyword-spotting network on a microcontroller: size, float tensors, smallest arena, bad calibration data noticed."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.result import write
from edgepipe.cli.output import progress
from edgepipe.events import Emit
from edgepipe.pipeline.artefacts import MODEL
from edgepipe.pipeline.cache import Cache
from edgepipe.pipeline.data import Dataset
from edgepipe.pipeline.export.arena import find_arena
from edgepipe.pipeline.inspect.verify import verify
from edgepipe.pipeline.recipe import ModelSource, Step, TrainSpec
from edgepipe.pipeline.runner import Runner
from edgepipe.pipeline.splits import stored
from edgepipe.pipeline.targets import TARGETS
from edgepipe.pipeline.worker import Worker
from edgepipe.records import Artefact

MODEL_FOLDER = Path(__file__).parents[2] / "shared" / "data" / "models" / "kws_ref_savedmodel"
LOWEST, HIGHEST = -123.4, 25.7  # what the published int8 file's input can hold: scale 0.584703, zero point 83
Samples = NDArray[np.float32]


def cepstra(samples: int = 200, seed: int = 0) -> Samples:
    """Return made-up cepstral coefficients, (samples, 49, 10, 1): the first large and negative, the others around zero."""
    random = np.random.default_rng(seed)
    values = random.normal(0, 12, (samples, 49, 10, 1))
    values[:, :, 0] = random.normal(-60, 25, (samples, 49, 1))
    return np.clip(values, LOWEST, HIGHEST).astype("float32")


CALIBRATIONS: dict[str, Callable[[Samples], Samples]] = {
    "plausible": lambda values: values,
    "constant": lambda values: np.full_like(values, 3.0),
    "all zero": np.zeros_like,
    "divided by 255": lambda values: values / np.float32(255),
    "times 255": lambda values: values * np.float32(255),
}


def main() -> None:
    """Convert with each calibration and write the result."""
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, progress() as emit:
        for name, changed in CALIBRATIONS.items():
            artefact = convert(changed(cepstra()), Cache(Path(folder)), emit)
            warnings = [str(warning) for warning in verify(artefact.facts, TARGETS["mcu"]).warnings]
            figures[name] = {"warnings": warnings}
            if name == "plausible":
                figures[name] |= _facts(artefact, emit)
    print(write("keyword_spotting", "python -m benchmarks.keyword_spotting", figures).read_text())


def convert(calibration: Samples, cache: Cache, emit: Emit) -> Artefact:
    """Return the int8 artefact of the network, its ranges taken from `calibration`."""
    data = Dataset(inputs={"x": calibration}, labels=None, source="made up")
    with Worker(emit) as worker:
        runner = Runner(worker, cache, {"calibration": stored(cache, data)}, seed=0)
        baseline = runner.load(ModelSource(path=str(MODEL_FOLDER)), Path())
        return runner.run(Step(stage="quantize", parameters={"mode": "int8"}), baseline.artefact, TrainSpec()).artefact


def _facts(artefact: Artefact, emit: Emit) -> dict[str, Any]:
    model = Path(artefact.folder) / MODEL
    arena = find_arena(model, emit=emit).smallest_bytes
    return {
        "size_bytes": artefact.facts.size_bytes,
        "wanted": "at most 49,000 bytes, 0 float tensors",
        "float_tensors": len(artefact.facts.float_tensors),
        "problems_for_mcu": [str(problem) for problem in verify(artefact.facts, TARGETS["mcu"]).problems],
        "smallest_arena_bytes": arena,
        "invokes_in_it": invokes(model, arena),
        "invokes_in_16_bytes_less": invokes(model, arena - 16),
    }


TRIAL = """
import sys
import numpy as np
from tflite_micro.python.tflite_micro import runtime
interpreter = runtime.Interpreter.from_file(sys.argv[1], arena_size=int(sys.argv[2]))
interpreter.set_input(np.zeros((1, 49, 10, 1), np.int8), 0)
interpreter.invoke()
"""


def invokes(model: Path, arena_bytes: int) -> bool:
    """Return whether TFLite Micro runs the model in an arena of this size: a trial of its own, apart from the search."""
    done = subprocess.run([sys.executable, "-c", TRIAL, str(model), str(arena_bytes)], check=False, capture_output=True)
    return done.returncode == 0


if __name__ == "__main__":
    main()
