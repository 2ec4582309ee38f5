"""What an activation becomes at int8: one, several or no TFLite operators, or some that stay in float."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

Ops: TypeAlias = tuple[str, ...]
LOOP = "WHILE"
FLOAT_ISLAND = ("DEQUANTIZE", "QUANTIZE")


def in_float(*ops: str) -> Ops:
    """Return these operators as the converter wraps what has no integer form."""
    return (FLOAT_ISLAND[0], *ops, FLOAT_ISLAND[1])


ACTIVATIONS: dict[str, Ops] = {
    "linear": (),
    "relu": ("RELU",),
    "relu6": ("RELU6",),
    "leaky_relu": ("LEAKY_RELU",),
    "elu": ("ELU",),
    "selu": ("ELU", "LEAKY_RELU", "MUL"),
    "celu": ("ELU",),
    "gelu": ("MUL", "MUL", "ADD", "MUL", "LOGISTIC", "MUL"),
    "swish": ("LOGISTIC", "MUL"),
    "silu": ("LOGISTIC", "MUL"),
    "sigmoid": ("LOGISTIC",),
    "hard_sigmoid": ("ADD", "MUL"),
    "hard_silu": ("HARD_SWISH",),
    "hard_swish": ("HARD_SWISH",),
    "hard_tanh": ("RELU_N1_TO_1",),
    "tanh": ("TANH",),
    "tanh_shrink": ("TANH", "SUB"),
    "softmax": ("SOFTMAX",),
    "log_softmax": ("LOG_SOFTMAX",),
    "softplus": ("EXP", "ADD", "LOG"),
    "softsign": ("ABS", "ADD", "DIV"),
    "exponential": ("EXP",),
    "mish": ("EXP", "ADD", "LOG", "TANH", "MUL"),
    "log_sigmoid": in_float("NEG"),
    "squareplus": ("MUL", "ADD", "SQRT", "ADD", "MUL"),
}


def activation_of(settings: Mapping[str, Any]) -> str:
    """Return the name of a layer's activation, "linear" where it has none; Keras 3 may write a function or a layer as a map."""
    value = settings.get("activation")
    while isinstance(value, dict):
        value = value.get("config") if isinstance(value.get("config"), str) else value.get("class_name")
    return "linear" if value is None else str(value)
