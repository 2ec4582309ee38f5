"""Everything that a model file says of itself."""

from __future__ import annotations

from pathlib import Path

from edgepipe.facts import Inspection
from edgepipe.pipeline.inspect.flatbuffer import inspect_model


def inspect(model: Path) -> Inspection:
    """Return what a `.tflite` holds, down to the tensor. Raises ModelFileError."""
    return inspect_model(model)
