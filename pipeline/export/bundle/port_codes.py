"""Real values to the codes that a model takes, and its codes back to real values; needs nothing but Python.

real = scale * (code - zero_point), in 32-bit floats as on the device. A code is the nearest one, halves away from zero; what lies
outside of the codes' range becomes the first or last of them, infinities too, and NaN becomes the zero point, which stands for 0.
An input or output without a scale takes and gives its numbers as they are.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from typing import TypedDict


class Port(TypedDict):
    """One input or output of the model."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    scale: float | None
    zero_point: int


INPUTS: tuple[Port, ...] = ()
OUTPUTS: tuple[Port, ...] = ()
LIMITS = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767)}


def quantize_input(values: Iterable[float], index: int = 0) -> list[float]:
    """Return the codes of input `index` for real values: a flat list, in the order of the values."""
    scale, zero_point = INPUTS[index]["scale"], INPUTS[index]["zero_point"]
    if scale is None:
        return list(values)
    low, high = LIMITS[INPUTS[index]["dtype"]]
    return [_code(value, scale, zero_point, low, high) for value in values]


def dequantize_output(codes: Iterable[float], index: int = 0) -> list[float]:
    """Return the real values of output `index` for its codes: a flat list, in the order of the codes."""
    scale, zero_point = OUTPUTS[index]["scale"], OUTPUTS[index]["zero_point"]
    if scale is None:
        return list(codes)
    return [_float32(scale * (code - zero_point)) for code in codes]


def _code(value: float, scale: float, zero_point: int, low: int, high: int) -> int:
    # A quotient of two 32-bit floats that was rounded to 64 bits and then to 32 is the one rounded to 32 at once.
    scaled = _float32(_float32(value) / scale)
    if math.isnan(scaled):
        return zero_point
    if scaled >= high - zero_point:
        return high
    if scaled <= low - zero_point:
        return low
    return int(math.copysign(math.floor(abs(scaled) + 0.5), scaled)) + zero_point


def _float32(value: float) -> float:
    try:
        rounded: float = struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)
    return rounded
