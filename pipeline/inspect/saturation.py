"""Real inputs held against the quantisation of a model's inputs: what saturates, and how many of the 256 levels are used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgepipe.errors import DataError
from edgepipe.facts import ModelFacts, TensorPort
from edgepipe.pipeline.data.npz import read_arrays
from edgepipe.pipeline.data.request import LARGEST_BYTES
from edgepipe.pipeline.inspect.verify import Problem

INTEGER_RANGES = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767)}
MOST_SATURATED = 0.01  # share of the values
FEWEST_LEVELS = 32  # of 256: then five of eight bits are left
FIX = "Calibrate with data like this, and scale the inputs on the device as here."


def check_inputs(data: Path, facts: ModelFacts) -> tuple[Problem, ...]:
    """Return a warning for every quantised input whose real data saturates or uses few levels.

    `data` is an .npz with one array per input, named after it; for a model with one input any first array whose samples have its
    size does. Raises DataError for a file or arrays that cannot be used.
    """
    arrays = read_arrays(data, largest_bytes=LARGEST_BYTES)
    return tuple(
        problem
        for port in facts.inputs
        if port.scale and port.zero_point is not None and port.dtype in INTEGER_RANGES
        for problem in _check(port, _array_for(port, facts, arrays, data))
    )


def _array_for(port: TensorPort, facts: ModelFacts, arrays: Mapping[str, NDArray[np.generic]], data: Path) -> NDArray[np.generic]:
    sample = int(np.prod(port.shape[1:], dtype=np.int64))
    named = [array for name, array in arrays.items() if name in (port.name, port.name.partition(":")[0])]
    candidates = named or (list(arrays.values()) if len(facts.inputs) == 1 else [])
    for array in candidates:
        if array.ndim and array.size and array.dtype.kind in "fiub" and array.size // len(array) == sample:
            return array
    shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
    raise DataError(f'{data} has no numbers for the input "{port.name}" {list(port.shape)}', problems=[f"it holds {shapes}"])


def _check(port: TensorPort, array: NDArray[np.generic]) -> Iterator[Problem]:
    assert port.scale is not None and port.zero_point is not None
    where = f'input "{port.name}"'
    lowest, highest = INTEGER_RANGES[port.dtype]
    values = array.astype(np.float64)
    if not np.isfinite(values).all():
        yield Problem(where=where, reason="the data has values that are not finite", fix="Drop those samples.")
        values = values[np.isfinite(values)]
    levels = np.rint(values / port.scale) + port.zero_point
    saturated = float(np.mean((levels < lowest) | (levels > highest))) if levels.size else 0.0
    used = int(np.unique(np.clip(levels, lowest, highest)).size)
    real = f"{(lowest - port.zero_point) * port.scale:.4g} to {(highest - port.zero_point) * port.scale:.4g}"
    if saturated > MOST_SATURATED:
        seen = f"{values.min():.4g} to {values.max():.4g}"
        yield Problem(where=where, reason=f"{saturated:.1%} of the values ({seen}) lie outside of {real} and saturate", fix=FIX)
    elif used < min(FEWEST_LEVELS, np.unique(values).size):
        yield Problem(where=where, reason=f"the data uses {used} of {highest - lowest + 1} levels ({real})", fix=FIX)
