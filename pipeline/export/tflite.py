"""A Keras model as a `.tflite` of any dtype, its batch always fixed to 1. Runs in the worker only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgepipe.errors import UnsupportedModel
from edgepipe.pipeline.export.converter import finished, prepared
from edgepipe.pipeline.export.integers import INTEGERS, quantised
from edgepipe.pipeline.export.spelling import spelt_out

if TYPE_CHECKING:
    from edgepipe.pipeline.data import Dataset


def convert(model: Any, dtype: str, calibration: Dataset | None = None) -> bytes:
    """Return the flatbuffer of a tf_keras model: float32, float16, dynamic, int8 or int16x8.

    The last two quantise inputs and outputs too and need calibration data, bound to the model's inputs by name; `quantised` has
    their settings. Raises UnsupportedModel naming the operators that TFLite does not have, DataError where data is missing.
    """
    if dtype in INTEGERS:
        return quantised(model, dtype, calibration).content
    try:
        return finished(_converter(model, dtype), dtype)
    except UnsupportedModel as exc:
        if "tf.Erfc" not in exc.cause:
            raise
    # The converter no longer knows a GELU once it has moved its factors into the layer before.
    with spelt_out(model):
        return finished(_converter(model, dtype), dtype)


def _converter(model: Any, dtype: str) -> Any:
    import tensorflow as tf

    converter = prepared(model, tf.lite.TFLiteConverter)
    if dtype != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if dtype == "float16":
        converter.target_spec.supported_types = [tf.float16]
    return converter
