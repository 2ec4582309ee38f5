"""Everything that a model file says of itself."""

from __future__ import annotations

from pathlib import Path

from edgepipe.facts import Inspection, KerasInspection
from edgepipe.pipeline.inspect.flatbuffer import inspect_model
from edgepipe.pipeline.inspect.keras_layers import inspect_keras


def inspect(model: Path) -> Inspection | KerasInspection:
    """Return what a `.tflite` holds, down to the tensor, or the layers of a `.keras`. Nothing in the file is executed.

    Raises ModelFileError; UnsupportedModel for a `.keras` with code of its own.
    """
    return inspect_keras(model) if model.suffix == ".keras" else inspect_model(model)
