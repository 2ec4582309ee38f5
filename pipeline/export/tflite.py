"""A Keras model as a `.tflite`: float32, float16, dynamic range or int8, its batch always fixed to 1. Runs in the worker only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from edgepipe.errors import DataError, UnsupportedModel
from edgepipe.facts import TensorPort
from edgepipe.pipeline.data.ports import plain_name
from edgepipe.pipeline.export.unroll import unrolled
from edgepipe.pipeline.inspect.flatbuffer import read_facts
from edgepipe.pipeline.inspect.keras_archive import require_fixed_inputs

if TYPE_CHECKING:
    from edgepipe.pipeline.data import Dataset


def convert(model: Any, dtype: str, calibration: Dataset | None = None) -> bytes:
    """Return the flatbuffer of a tf_keras model.

    int8 quantises inputs and outputs too and needs calibration data, bound to the model's inputs by name. Raises UnsupportedModel
    naming the operators that TFLite does not have, DataError where calibration data is missing.
    """
    import tensorflow as tf

    model = unrolled(model) if dtype == "int8" else model
    names = [tensor.name.split(":")[0] for tensor in model.inputs]
    named = list(zip(names, model.inputs, strict=True))

    def run(*tensors: Any) -> Any:
        return model(tensors[0] if len(tensors) == 1 else list(tensors), training=False)

    require_fixed_inputs([TensorPort(name=name, shape=_shape(tensor), dtype=tensor.dtype.name) for name, tensor in named])
    specs = [tf.TensorSpec((1, *tensor.shape[1:]), tensor.dtype, name=name) for name, tensor in named]
    function = tf.function(run).get_concrete_function(*specs)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], model)
    if dtype != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if dtype == "float16":
        converter.target_spec.supported_types = [tf.float16]
    elif dtype == "int8":
        order = _converters_order(model, names)
        converter.representative_dataset = lambda: _samples(order, calibration)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    try:
        return bytes(converter.convert())
    except Exception as exc:  # the converter raises bare Exception, ConverterError and RuntimeError alike
        raise UnsupportedModel(
            f"TensorFlow could not convert the model to {dtype}",
            cause=_reason(str(exc)),
            todo="Replace the layers behind these operators, or choose a target that does not need this dtype.",
        ) from exc


def _shape(tensor: Any) -> tuple[int, ...]:
    return tuple(-1 if size is None else size for size in tensor.shape)


def _converters_order(model: Any, names: list[str]) -> list[str]:
    """Return the inputs' names in the order that the converter gives them, which is its own: asked of a float conversion."""
    if len(names) == 1:
        return names
    given = [plain_name(port.name) for port in read_facts(convert(model, "float32")).inputs]
    if sorted(given) != sorted(names):
        raise UnsupportedModel(
            f"the converter renames the model's inputs {names} to {given}", todo="Give the Input layers plain names."
        )
    return given


def _samples(order: list[str], calibration: Dataset | None) -> Iterator[list[Any]]:
    """Yield samples as lists in the converter's order: by names it goes through a signature, which some models lose."""
    if calibration is None:
        raise DataError("int8 needs calibration data", todo="Name data in the recipe (data: {train: …}), or pass --data.")
    columns = calibration.inputs if len(order) > 1 else dict(zip(order, calibration.inputs.values(), strict=True))
    for index in range(calibration.samples):
        yield [columns[name][index : index + 1] for name in order]


def _reason(text: str) -> str:
    """Return what is worth reading of the converter's message: the operators it names, else its last line."""
    operators = sorted(set(re.findall(r"'(tf\.\w+)' op", text)))
    return (
        f"no TFLite operator for {', '.join(operators)}"
        if operators
        else (text.strip().splitlines() or ["no reason given"])[-1][:300]
    )
