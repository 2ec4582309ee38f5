"""Real inputs held against the quantisation of a model's inputs: what saturates, and how many of the 256 levels are used."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from edgepipe.errors import DataError
from edgepipe.facts import ModelFacts, TensorPort
from edgepipe.pipeline.data.dataset import Array, Dataset
from edgepipe.pipeline.data.ports import ordered
from edgepipe.pipeline.inspect.verify import Problem

MOST_SATURATED = 0.01  # share of the values
FEWEST_LEVELS = 32  # of 256: then five of eight bits are left
FIX = "Calibrate with data like this, and scale the inputs on the device as here."


def check_inputs(dataset: Dataset, facts: ModelFacts) -> tuple[Problem, ...]:
    """Return a warning for every quantised input whose real data saturates or uses few levels.

    `dataset` holds values in the model's own units, before quantisation. Raises DataError for data that the model cannot take.
    """
    arrays = ordered(dataset, facts.inputs)
    problems = [_misfit(port, array) for port, array in zip(facts.inputs, arrays, strict=True)]
    if any(problems):
        raise DataError(f"{dataset.source} does not fit the model", problems=[problem for problem in problems if problem])
    return tuple(
        problem
        for port, array in zip(facts.inputs, arrays, strict=True)
        if (codes := port.code_range)
        for problem in _check(port, array, codes)
    )


def _misfit(port: TensorPort, array: Array) -> str:
    sample = math.prod(port.shape[1:])
    if array.size and array.dtype.kind in "fiub" and array.size // len(array) == sample:
        return ""
    return f'no numbers for the input "{port.name}" {list(port.shape)}: it is {array.dtype} of the shape {array.shape}'


def _check(port: TensorPort, array: Array, codes: tuple[int, int]) -> Iterator[Problem]:
    where = f'input "{port.name}"'
    lowest, highest = codes
    values = array.astype(np.float64)
    if not np.isfinite(values).all():
        yield Problem(where=where, reason="the data has values that are not finite", fix="Drop those samples.")
        values = values[np.isfinite(values)]
    levels = np.rint(values / (port.scale or 1.0)) + (port.zero_point or 0)
    saturated = float(np.mean((levels < lowest) | (levels > highest))) if levels.size else 0.0
    used = int(np.unique(np.clip(levels, lowest, highest)).size)
    real = f"{port.real(lowest):.4g} to {port.real(highest):.4g}"
    if saturated > MOST_SATURATED:
        seen = f"{values.min():.4g} to {values.max():.4g}"
        yield Problem(where=where, reason=f"{saturated:.1%} of the values ({seen}) lie outside of {real} and saturate", fix=FIX)
    elif used < min(FEWEST_LEVELS, np.unique(values).size):
        yield Problem(where=where, reason=f"the data uses {used} of {highest - lowest + 1} levels ({real})", fix=FIX)
