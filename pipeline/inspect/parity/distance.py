"""How far two sets of answers lie apart: bits that are alike, largest differences, decisions that changed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgepipe.facts import TensorPort
from edgepipe.parity import Distance

Array = NDArray[np.generic]
THRESHOLD = 0.5  # of a single sigmoid, as Keras's binary accuracy has it


def same(a: Array, b: Array) -> NDArray[np.bool_]:
    """Return for each sample whether every bit is alike; arrays of shape [samples, …] and one dtype."""
    alike: NDArray[np.bool_] = (_bits(a) == _bits(b)).all(axis=1)
    return alike


def distance(a: Sequence[Array], b: Sequence[Array]) -> Distance:
    """Return how far outputs lie apart, each of shape [samples, …]; those of `a` and `b` have the same shapes and dtypes."""
    pairs = list(zip(a, b, strict=True))
    exact = np.logical_and.reduce([same(left, right) for left, right in pairs])
    floats = [(left, right) for left, right in pairs if left.dtype.kind == "f"]
    integers = [(left.astype(np.int64), right.astype(np.int64)) for left, right in pairs if left.dtype.kind in "iub"]
    return Distance(
        samples=len(exact),
        exact=int(exact.sum()),
        lsb=max((int(np.abs(left - right).max(initial=0)) for left, right in integers), default=None),
        ulp=max((_ulp(left, right) for left, right in floats), default=None),
        absolute=max((_absolute(left, right) for left, right in floats), default=None),
    )


def decisions(answers: Array, port: TensorPort) -> Array:
    """Return the class of each sample: the first largest of several numbers, or whether a single one is above one half."""
    flat = answers.reshape(len(answers), -1).astype(np.float64)
    if flat.shape[1] > 1:
        chosen: Array = flat.argmax(axis=1)
        return chosen
    real = flat[:, 0] if port.scale is None else port.scale * (flat[:, 0] - (port.zero_point or 0))
    above: Array = real > THRESHOLD
    return above


def _bits(values: Array) -> NDArray[np.uint8]:
    return np.ascontiguousarray(values).reshape(len(values), -1).view(np.uint8)


def _ulp(a: Array, b: Array) -> int:
    """Return the largest number of steps between neighbouring floats; 0 between two NaN, -0 and +0 are one apart."""
    steps = [_ordered(a), _ordered(b)]
    apart = np.where(np.isnan(a) & np.isnan(b), 0, np.abs(steps[0] - steps[1]))
    return int(apart.max(initial=0))


def _ordered(values: Array) -> NDArray[np.int64]:
    """Return floats as integers in their order: sign and magnitude become one scale."""
    size = values.dtype.itemsize
    bits = np.ascontiguousarray(values).view(f"i{size}").astype(np.int64)
    smallest = -(1 << (8 * size - 1))
    ordered: NDArray[np.int64] = np.where(bits < 0, smallest - bits - 1, bits)
    return ordered


def _absolute(a: Array, b: Array) -> float:
    wide = a.astype(np.float64), b.astype(np.float64)
    finite = np.isfinite(wide[0]) & np.isfinite(wide[1])
    apart = np.abs(wide[0][finite] - wide[1][finite])
    return float(apart.max(initial=0.0))
