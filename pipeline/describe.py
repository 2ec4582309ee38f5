"""What the doctor asks of the worker: a model's configuration, where only loading tells it, and a real conversion. Worker only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgepipe.events import Emit
from edgepipe.pipeline.keras_bridge import load_model

SEED = 0


def describe(*, emit: Emit, source: str, base: str, trusted: bool) -> dict[str, Any]:
    """Return the configuration of a SavedModel, `.h5` or `module:function`, as a `.keras` file would hold it."""
    return {"config": json.loads(load_model(source, Path(base), emit, trusted=trusted).model.to_json())}


def convert_int8(
    *, emit: Emit, source: str, base: str, trusted: bool, modules: Sequence[str], data: str | None, samples: int, to: str
) -> dict[str, Any]:
    """Write the int8 file of a model as it is, calibrated with the first samples of the dataset in `data`, or with random ones."""
    from edgepipe.pipeline.data import Dataset
    from edgepipe.pipeline.export.tflite import convert
    from edgepipe.pipeline.keras_rebuild import probes

    model = load_model(source, Path(base), emit, trusted=trusted, modules=frozenset(modules)).model
    if data is not None:
        known = Dataset.open(Path(data))
        calibration = known.take(range(min(samples, known.samples)))
    else:
        named = zip(model.input_names, probes(model, SEED), strict=True)
        calibration = Dataset(inputs=dict(named), labels=None, source="random")
    Path(to).write_bytes(convert(model, "int8", calibration))
    return {}
