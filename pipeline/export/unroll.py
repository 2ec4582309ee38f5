"""Recurrent layers without their loop, for int8: TensorFlow's calibrator crashes on a loop that stays in the graph.

An LSTM is one operator in TFLite and needs no loop; a GRU and a SimpleRNN are unrolled, step by step, into plain operators.
"""

from __future__ import annotations

from typing import Any

from edgepipe.errors import UnsupportedModel

LOOPS = ("GRU", "SimpleRNN")
MOST_STEPS = 128  # unrolled, each step is some ten operators


def unrolled(model: Any) -> Any:
    """Return a tf_keras model that computes the same without loops; the model itself where it has none.

    Raises UnsupportedModel naming each layer whose input has more than MOST_STEPS steps.
    """
    import tf_keras

    looping = [layer for layer in model.layers if type(layer).__name__ in LOOPS and not layer.unroll]
    if not looping:
        return model
    if long := [f'"{layer.name}": {layer.input_shape[1]} steps' for layer in looping if (layer.input_shape[1] or 0) > MOST_STEPS]:
        raise UnsupportedModel(
            "recurrent layers with a loop cannot be quantised to int8",
            problems=long,
            cause=f"they are unrolled, up to {MOST_STEPS} steps",
            todo="Use an LSTM, which TFLite has as one operator, or shorter series.",
        )
    names = {layer.name for layer in looping}

    def unroll(layer: Any) -> Any:
        return type(layer).from_config({**layer.get_config(), "unroll": True}) if layer.name in names else layer

    copy = tf_keras.models.clone_model(model, clone_function=unroll)
    for name in names:
        copy.get_layer(name).set_weights(model.get_layer(name).get_weights())
    return copy
