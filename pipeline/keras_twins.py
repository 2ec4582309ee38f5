"""What a layer, an activation or an operation of Keras 3 is in Keras 2: the dictionary of the bridge. Runs in the worker only."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from operator import attrgetter
from typing import Any, TypeAlias, cast

Tensor: TypeAlias = Any  # a Keras or TensorFlow tensor
Twin: TypeAlias = Callable[..., Tensor]  # takes what the Keras 3 layer takes

# Settings that Keras 2 layers do not know and that change nothing of what a layer computes once its weights are copied.
HARMLESS = {
    "autocast",
    "fill_mode",  # of a Resizing, for the border that pad_to_aspect_ratio makes
    "flash_attention",
    "lora_alpha",
    "lora_rank",
    "optional",
    "quantization_config",
    "registered_name",
    "renorm_clipping",
    "renorm_momentum",
    "seed",
    "synchronized",
    "value_range",  # of a RandomContrast, which does nothing to what a trained model is asked
}
# Settings that only layers of Keras 3 have, and that change what these compute where they are on.
NEWER = frozenset({"antialias", "pad_to_aspect_ratio", "rms_scaling", "sliding_window", "use_gate"})
BASE = {"name", "trainable", "dtype", "batch_input_shape"}


class NoTwin(Exception):
    """Keras 2 has nothing that computes the same; says what."""


def activations() -> dict[str, Callable[[Tensor], Tensor]]:
    """Return, spelt out in TensorFlow's operations, the activations that Keras 2 lacks or that mean something else there.

    Definitions: documentation of `keras.activations`, Keras 3. hard_sigmoid is relu6(x + 3) / 6 there; in Keras 2 it is
    0.2 x + 0.5, clipped to 0..1.
    """
    import tensorflow as tf

    def hard_sigmoid(x: Tensor) -> Tensor:
        return tf.nn.relu6(x + 3.0) / 6.0

    def hard_silu(x: Tensor) -> Tensor:
        return x * hard_sigmoid(x)

    return {
        "hard_sigmoid": hard_sigmoid,
        "hard_silu": hard_silu,
        "hard_swish": hard_silu,
        "hard_tanh": lambda x: tf.clip_by_value(x, -1.0, 1.0),
        "leaky_relu": lambda x: tf.nn.leaky_relu(x, 0.2),
        "log_sigmoid": lambda x: -tf.nn.softplus(-x),
        "tanh_shrink": lambda x: x - tf.math.tanh(x),
        "celu": tf.nn.elu,  # the same with its default factor 1, and one operator
        "squareplus": lambda x: 0.5 * (x + tf.math.sqrt(x * x + 4.0)),
    }


def operation(op: Any) -> Twin:
    """Return what a `keras.ops` node computes, in TensorFlow's operations. Raises NoTwin.

    These are what arithmetic on Keras tensors turns into, such as `x * 2.0`.
    """
    import tensorflow as tf

    name = type(op).__name__
    if name in PLAIN:
        return cast(Twin, attrgetter(PLAIN[name])(tf))
    if name in SPELT:
        return activations()[SPELT[name]]
    if name in REDUCTIONS:
        reduction = getattr(tf, REDUCTIONS[name])
        return lambda x, *_, **__: reduction(x, axis=op.axis, keepdims=op.keepdims)
    if name in SET:
        return SET[name](tf, op)
    raise NoTwin(f"the operation {name}")


# Operations of Keras 3 by their class, and what they are in TensorFlow.
PLAIN = {
    "Absolute": "abs",
    "Add": "add",
    "Divide": "divide",
    "Exp": "exp",
    "Log": "math.log",
    "Matmul": "matmul",
    "Maximum": "maximum",
    "Minimum": "minimum",
    "Multiply": "multiply",
    "Negative": "negative",
    "Power": "pow",
    "Relu": "nn.relu",
    "Relu6": "nn.relu6",
    "Rsqrt": "math.rsqrt",
    "Sigmoid": "sigmoid",
    "Silu": "nn.silu",
    "Sqrt": "sqrt",
    "Square": "square",
    "Subtract": "subtract",
    "Tanh": "tanh",
    "TrueDivide": "divide",
}
SPELT = {"HardSigmoid": "hard_sigmoid", "HardSilu": "hard_silu", "HardTanh": "hard_tanh"}
REDUCTIONS = {"Max": "reduce_max", "Mean": "reduce_mean", "Min": "reduce_min", "Sum": "reduce_sum"}
# Those with settings of their own: from TensorFlow and the operation to the twin.
SET: dict[str, Callable[[Any, Any], Twin]] = {
    "Clip": lambda tf, op: lambda x: tf.clip_by_value(x, op.x_min, op.x_max),
    "Concatenate": lambda tf, op: lambda xs: tf.concat(xs, op.axis),
    "Einsum": lambda tf, op: lambda *xs: tf.einsum(op.subscripts, *xs),
    "ExpandDims": lambda tf, op: lambda x: tf.expand_dims(x, op.axis),
    "GetItem": lambda tf, op: lambda x, key: x[key],
    "Reshape": lambda tf, op: lambda x: tf.reshape(x, [-1 if size is None else size for size in op.newshape]),
    "Softmax": lambda tf, op: lambda x: tf.nn.softmax(x, op.axis),
    "Squeeze": lambda tf, op: lambda x: tf.squeeze(x, op.axis),
    "Transpose": lambda tf, op: lambda x: tf.transpose(x, op.axes),
}
OPERATIONS = frozenset({*PLAIN, *SPELT, *REDUCTIONS, *SET})


def layer(old: Any) -> Twin:
    """Return the Keras 2 layer, fresh, or that layer followed by an activation spelt out. Raises NoTwin."""
    import tf_keras

    kind = type(old).__name__
    cls = getattr(tf_keras.layers, kind, None)
    if cls is None or not type(old).__module__.startswith("keras."):
        raise NoTwin(f"a {kind} layer")
    config = _older(old.get_config())
    if kind == "LeakyReLU":
        config["alpha"] = config.pop("negative_slope")
    if kind == "BatchNormalization":
        config["fused"] = False  # the fused kernel rounds otherwise: over 50 layers that is more than a wrong weight may be
    formula = activations().get(config.get("activation") or "") if isinstance(config.get("activation"), str) else None
    if formula is not None and kind == "Activation":
        return formula
    if formula is not None:
        config["activation"] = "linear"
    known = _parameters(cls)
    lost = [f"{key}={value}" for key, value in config.items() if key not in known | HARMLESS and not _neutral(key, value)]
    if lost:
        raise NoTwin(f"a {kind} layer with {', '.join(lost)[:200]}")
    try:
        made = _made(cls, {key: value for key, value in config.items() if key in known})
    except (TypeError, ValueError, KeyError) as exc:
        raise NoTwin(f"a {kind} layer as this one is set: {str(exc).splitlines()[0][:200]}") from exc
    if formula is None:
        return cast(Twin, made)
    return lambda *tensors, **keywords: formula(made(*tensors, **keywords))


def _neutral(key: str, value: Any) -> bool:
    """Whether a setting that Keras 2 has no name for says what Keras 2 does anyway."""
    ones = key == "dilation_rate" and isinstance(value, list | tuple) and set(value) == {1}
    return ones or value in (None, False, 0) or (key, value) == ("data_format", "channels_last")


def _made(cls: Any, config: dict[str, Any]) -> Any:
    try:
        return cls.from_config(dict(config))
    except KeyError:  # a layer that wants to find in its configuration what only building it tells
        return cls(**config)


def _parameters(cls: type) -> set[str]:
    found = set(BASE)
    for base in cls.__mro__:
        if base.__module__.startswith("tf_keras") and "__init__" in vars(base) and base.__name__ != "Layer":
            found |= set(inspect.signature(vars(base)["__init__"]).parameters)
    return found - {"self", "kwargs", "args"}


def _older(config: dict[str, Any]) -> dict[str, Any]:
    """Return a layer's Keras 3 configuration in the words of Keras 2. Initialisers become zeros, since weights are copied."""
    import tf_keras

    old: dict[str, Any] = {}
    for key, value in config.items():
        if key == "dtype" and isinstance(value, dict):
            old[key] = value["config"]["name"]
        elif key == "batch_shape":
            old["batch_input_shape"] = value
        elif key.endswith("_initializer"):
            old[key] = "zeros"
        elif isinstance(value, dict) and "class_name" in value and isinstance(value.get("config"), dict):
            inner = _older(value["config"])
            wrapped = getattr(tf_keras.layers, value["class_name"], None)
            kept = {name: inner[name] for name in inner if name in _parameters(wrapped)} if wrapped else inner
            old[key] = {"class_name": value["class_name"], "config": kept}
        else:
            old[key] = value
    return old
