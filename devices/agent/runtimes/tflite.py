"""LiteRT's predecessor, as `tflite-runtime`: for boards that `ai-edge-litert` has no wheel for."""

from typing import Any, Optional

from .litert import DELEGATES as DELEGATES
from .litert import load_with
from .model import Model

PACKAGE = "tflite-runtime"
MODULE = "tflite_runtime"
IMPORTS = "tflite_runtime.interpreter"
THREADED = True


def load(path: str, delegate: str, threads: int, attached: Optional[Any] = None) -> Model:
    """Load a model and allocate its tensors. Raises what the interpreter raises for a model that it refuses."""
    from tflite_runtime import interpreter

    return load_with(interpreter, path, delegate, threads, attached)
