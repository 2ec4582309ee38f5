"""Training samples changed at random, one batch at a time: the few usual ways, and the user's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

# One array, or arrays by the input's name; the same shapes and dtypes come back. The generator is the only source of chance.
Inputs: TypeAlias = Any
Augment: TypeAlias = Callable[[Inputs, np.random.Generator], Inputs]


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """The usual ways to change pictures, drawn anew for every sample of every batch. Labels stay as they are."""

    flip: Literal["horizontal", "vertical", "both"] | None = None
    """Mirror every other picture, or neither: a mirrored 2 is no 2."""
    shift: float = 0.0
    """Move by up to this share of height and width, 0 to 0.5; the edge is repeated where the picture has left."""
    noise: float = 0.0
    """Add normally distributed noise of this standard deviation, in the unit of the values. Takes floats, and pictures as bytes."""

    def check(self) -> list[str]:
        """Return what is wrong with the values, one line each."""
        problems = [] if 0 <= self.shift <= 0.5 else [f"shift is {self.shift}; it must lie between 0 and 0.5"]
        problems += [] if 0 <= self.noise < float("inf") else [f"noise is {self.noise}; it must be a number from 0 on"]
        return problems if self.flip or self.shift or self.noise else [*problems, "name at least one of flip, shift and noise"]

    def __call__(self, inputs: Inputs, random: np.random.Generator) -> Inputs:
        """Return the batch changed. Raises ValueError for flip or shift of what is no picture (height, width, channels)."""
        if isinstance(inputs, dict):
            return {name: self(values, random) for name, values in inputs.items()}
        if (self.flip or self.shift) and inputs.ndim != 4:
            raise ValueError(f"flip and shift take pictures of height, width and channels, not samples of shape {inputs.shape[1:]}")
        changed = np.array(inputs)
        for axis, word in ((1, "vertical"), (2, "horizontal")):
            if self.flip in (word, "both"):
                chosen = random.random(len(changed)) < 0.5
                changed[chosen] = np.flip(changed[chosen], axis)
        for axis in (1, 2) if self.shift else ():
            size = changed.shape[axis]
            reach = round(self.shift * size)
            steps = random.integers(-reach, reach + 1, len(changed))
            places = np.clip(np.arange(size) - steps[:, None], 0, size - 1)
            shape = (len(changed), *(size if other == axis else 1 for other in range(1, 4)))
            changed = np.take_along_axis(changed, places.reshape(shape), axis)
        if self.noise and np.issubdtype(changed.dtype, np.floating):
            changed = changed + random.normal(0, self.noise, changed.shape).astype(changed.dtype)
        elif self.noise and changed.dtype == np.uint8 and changed.ndim == 4:  # a picture; other whole numbers stand for something
            changed = np.clip(np.rint(changed + random.normal(0, self.noise, changed.shape)), 0, 255).astype(np.uint8)
        return changed
