"""TensorFlow's converter around a Keras model, the batch fixed to 1, and what it says when it fails. Runs in the worker only."""

from __future__ import annotations

import re
from typing import Any

from edgepipe.errors import EdgepipeError, UnsupportedModel
from edgepipe.facts import TensorPort
from edgepipe.pipeline.inspect.keras_archive import require_fixed_inputs


def prepared(model: Any, kind: Any) -> Any:
    """Return a converter of the class `kind` (tf.lite.TFLiteConverter or one derived) for a tf_keras model."""
    import tensorflow as tf

    named = [(tensor.name.split(":")[0], tensor) for tensor in model.inputs]

    def run(*tensors: Any) -> Any:
        return model(tensors[0] if len(tensors) == 1 else list(tensors), training=False)

    require_fixed_inputs([TensorPort(name=name, shape=_shape(tensor), dtype=tensor.dtype.name) for name, tensor in named])
    specs = [tf.TensorSpec((1, *tensor.shape[1:]), tensor.dtype, name=name) for name, tensor in named]
    return kind.from_concrete_functions([tf.function(run).get_concrete_function(*specs)], model)


def finished(converter: Any, dtype: str) -> bytes:
    """Return the converter's file. Raises UnsupportedModel naming the operators that TFLite does not have."""
    try:
        return bytes(converter.convert())
    except EdgepipeError:
        raise
    except Exception as exc:  # the converter raises bare Exception, ConverterError and RuntimeError alike
        raise UnsupportedModel(
            f"TensorFlow could not convert the model to {dtype}",
            cause=_reason(str(exc)),
            todo="Replace the layers behind these operators, or choose a target that does not need this dtype.",
        ) from exc


def _shape(tensor: Any) -> tuple[int, ...]:
    return tuple(-1 if size is None else size for size in tensor.shape)


def _reason(text: str) -> str:
    """Return what is worth reading of the converter's message: the operators it names, else its last line."""
    operators = sorted(set(re.findall(r"'(tf\.\w+)' op", text)))
    return (
        f"no TFLite operator for {', '.join(operators)}"
        if operators
        else (text.strip().splitlines() or ["no reason given"])[-1][:300]
    )
