"""Two model files side by side, layer by layer."""

from __future__ import annotations

from pathlib import Path

from edgepipe.pipeline.inspect.flatbuffer import inspect_model
from edgepipe.reports.difference import Difference, difference


def diff(a: Path, b: Path) -> Difference:
    """Hold the `.tflite` at `b` against that at `a`. Raises ModelFileError."""
    return difference(inspect_model(a), inspect_model(b))
