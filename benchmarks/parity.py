"""Which interpreter predicts which device: four runtimes on the same 1,000 inputs of the two MLPerf Tiny networks."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.keyword_spotting import cepstra
from benchmarks.result import write
from edgepipe.cli.output import progress
from edgepipe.parity import Parity
from edgepipe.workflows.parity import Inputs, parity

MODELS = Path(__file__).parents[2] / "shared" / "data" / "models"
SAMPLES = 1000
SEED = 0


def main() -> None:
    """Ask all runtimes and write the result."""
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, progress() as emit:
        made_up = Path(folder) / "cepstra.npz"
        np.savez(made_up, x=cepstra(SAMPLES, SEED))
        for name, model, inputs in (
            ("keyword spotting, any code alike", "kws_ref_model.tflite", Inputs(samples=SAMPLES, seed=SEED)),
            ("keyword spotting, made-up cepstra", "kws_ref_model.tflite", Inputs(data=str(made_up))),
            ("anomaly detection, any code alike", "ad01_int8.tflite", Inputs(samples=SAMPLES, seed=SEED)),
        ):
            figures[name] = _figures(parity(MODELS / model, inputs=inputs, emit=emit))
    print(write("parity", "python -m benchmarks.parity", figures).read_text())


def _figures(found: Parity) -> dict[str, Any]:
    return {
        "samples": found.samples,
        "runtimes": {report.runtime.value: f"{report.outcome} {report.version}" for report in found.runtimes},
        "pairs": {
            f"{pair.a} and {pair.b}": {
                "differing": pair.distance.samples - pair.distance.exact,
                "largest_lsb": pair.distance.lsb,
                "decisions_changed": pair.decisions_changed,
                "part_at": None if pair.first is None else str(pair.first.place),
            }
            for pair in found.pairs
        },
    }


if __name__ == "__main__":
    main()
