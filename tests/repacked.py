"""A .tflite with something in it changed, by the schema's own reader and writer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema


def repacked(content: bytes, change: Callable[[Any], None]) -> bytes:
    """Return the file after `change` was done to its `ModelT`."""
    model = schema.ModelT.InitFromPackedBuf(content)
    change(model)
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
