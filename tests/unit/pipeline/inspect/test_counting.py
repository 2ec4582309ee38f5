"""Zeros and values are counted exactly, in pieces as in one go."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgepipe.errors import ModelFileError
from edgepipe.pipeline.inspect import counting
from edgepipe.pipeline.inspect.counting import Counts, Tally, count
from edgepipe.pipeline.inspect.graph import Tensor

RANDOM = np.random.default_rng(20)


def tensor(values: NDArray[np.generic], buffer: int = 1) -> Tensor:
    """A constant that holds these values."""
    nothing = np.empty(0)
    return Tensor(
        name="w",
        dtype=values.dtype.name,
        shape=values.shape,
        signature=values.shape,
        buffer=buffer,
        data=np.frombuffer(values.tobytes(), np.uint8),
        scales=nothing.astype(np.float32),
        zero_points=nothing.astype(np.int64),
        axis=0,
        sparse=False,
    )


def by_hand(values: NDArray[np.generic], axis: int) -> Counts:
    """The same, one channel after the other."""
    channels = np.moveaxis(values, axis, 0)
    return Counts(
        nonzero=int(np.count_nonzero(values)),
        clusters=max(len({*channel.reshape(-1).tolist()}) for channel in channels),
        clusters_whole=len({*values.reshape(-1).tolist()}),
    )


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "int64", "float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(5, 7), (3, 3, 3, 4), (1, 3, 3, 64), (2, 2000)], ids=str)
@pytest.mark.parametrize("axis", [0, -1])
def test_counts_are_those_of_python(dtype: str, shape: tuple[int, ...], axis: int) -> None:
    values = RANDOM.integers(0, 40, shape).astype(dtype)

    assert count(tensor(values), axis) == by_hand(values, axis)


@pytest.mark.parametrize("dtype", ["int8", "float32"])
def test_pieces_add_up(dtype: str) -> None:
    rows = counting.AT_ONCE // 1500  # so that the last rows are a piece of their own
    values = np.zeros((rows + 300, 1500), dtype)
    values[0, :3], values[-1, :5] = (1, 2, 3), (3, 4, 5, 6, 7)

    assert count(tensor(values), 0) == Counts(nonzero=8, clusters=6, clusters_whole=8)


def test_a_tensor_without_a_codebook_is_not_counted_out() -> None:
    values = np.arange(counting.MOST_VALUES + 1, dtype=np.float32).reshape(1, -1)

    assert count(tensor(values[:, :-1]), 0).clusters_whole == counting.MOST_VALUES
    assert count(tensor(values), 0).clusters_whole is None
    assert count(tensor(values), 0).clusters == counting.MOST_VALUES + 1


def test_an_empty_constant_counts_nothing() -> None:
    assert count(tensor(np.empty((0, 4), np.float32)), 0) == Counts(nonzero=0, clusters=0, clusters_whole=0)
    assert count(tensor(np.empty((4, 0), np.int8)), 0) == Counts(nonzero=0, clusters=0, clusters_whole=0)


def test_the_same_bytes_under_ever_new_shapes_are_refused() -> None:
    tally = Tally(file_size=1000)

    with pytest.raises(ModelFileError, match="over and over"):
        for rows in range(1, 20):
            tally.of(tensor(np.zeros((rows, 1 << 18), np.int8)), 0)
