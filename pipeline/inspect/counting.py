"""How many of a constant's numbers are zero and how many differ, counted a few megabytes at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgepipe.errors import ModelFileError
from edgepipe.facts import GroupFacts
from edgepipe.pipeline.inspect.graph import FLOATS, STORED_BITS, Tensor

Words = NDArray[np.unsignedinteger]

NUMBERS = FLOATS - {"complex64", "complex128"} | {"int8", "uint8", "int16", "int32", "int64", "int4", "uint4", "int2"}
AT_ONCE = 1 << 22  # elements that are copied and sorted at a time
LONG_ROW = 1 << 10  # bytes from which counting into 256 bins beats sorting
MOST_VALUES = 1 << 16  # of a whole tensor; what has more shares no codebook, and telling how many more would take seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """`clusters` are the distinct values of the fullest channel, `clusters_whole` those of the whole tensor, None for very many.

    Zero is a value.
    """

    nonzero: int
    clusters: int
    clusters_whole: int | None


class Tally:
    """Counts each constant of a file once. Raises ModelFileError where the same bytes pass for ever new constants."""

    def __init__(self, file_size: int) -> None:
        self._left = 8 * file_size + (1 << 20)
        self._counted: dict[tuple[int, tuple[int, ...], str, int | None], Counts] = {}

    def of(self, tensor: Tensor, axis: int | None) -> Counts:
        """Return the counts of a constant over the channels along `axis`."""
        key = (tensor.buffer, tensor.shape, tensor.dtype, axis)
        if key not in self._counted:
            assert tensor.data is not None
            self._left -= tensor.data.size
            if self._left < 0:
                raise ModelFileError("not a usable .tflite file: its operators use the same bytes over and over")
            self._counted[key] = count(tensor, axis)
        return self._counted[key]


def count(tensor: Tensor, axis: int | None) -> Counts:
    """Return the counts of a constant; `axis` is that of its channels, None where it has none.

    A sparse tensor holds only part of its elements: its zeros are counted from what is missing, its clusters over the whole tensor,
    since the values' channels are not unpacked.
    """
    words, dtype = _words(tensor), tensor.dtype
    if tensor.sparse:
        stored = _count(words.reshape(1, -1), dtype)
        zero_missing = int(stored.nonzero == words.size and stored.nonzero < tensor.elements)
        whole = None if stored.clusters_whole is None else stored.clusters_whole + zero_missing
        return Counts(nonzero=stored.nonzero, clusters=stored.clusters + zero_missing, clusters_whole=whole)
    if axis is None or not -len(tensor.shape) <= axis < len(tensor.shape):
        return _count(words.reshape(1, -1), dtype)
    return _count(np.moveaxis(words.reshape(tensor.shape), axis, 0), dtype)


def count_groups(tensor: Tensor, axis: int, shape: tuple[int, int]) -> GroupFacts:
    """Return the counts of a constant cut into groups of `shape`, (outputs, inputs): its output channels lie along `axis`.

    A convolution's kernel counts as a matrix with a row for each output channel and position. Raises ModelFileError for a sparse
    tensor, whose elements have no place without unpacking.
    """
    if tensor.sparse:
        raise ModelFileError(f"{tensor.name} is stored sparse: its zeros cannot be counted in groups")
    rows, columns = shape
    whole = np.moveaxis(_words(tensor).reshape(tensor.shape), axis, 0)
    matrix = whole.reshape(-1, whole.shape[-1])
    filled = (matrix << 1 if tensor.dtype in FLOATS else matrix) != 0  # without its sign, -0.0 is 0.0
    padded = np.pad(filled, ((0, -filled.shape[0] % rows), (0, -filled.shape[1] % columns)))
    counts = padded.reshape(padded.shape[0] // rows, rows, -1, columns).sum(axis=(1, 3))
    return GroupFacts(shape=shape, groups=counts.size, zero=int((counts == 0).sum()), most_nonzero=int(counts.max(initial=0)))


def _words(tensor: Tensor) -> Words:
    """Return the stored elements as unsigned integers, without a copy where each has bytes of its own."""
    assert tensor.data is not None
    raw = np.ascontiguousarray(tensor.data)
    bits = STORED_BITS[tensor.dtype]
    if bits >= 8:
        width = bits // 8
        words: Words = raw[: raw.size // width * width].view(f"<u{width}")
        return words
    # Packed from the low bits up; the sign does not matter for counting.
    fields = np.empty((raw.size, 8 // bits), np.uint8)
    for position in range(8 // bits):
        fields[:, position] = (raw >> (bits * position)) & ((1 << bits) - 1)
    return fields.reshape(-1)[: None if tensor.sparse else math.prod(tensor.shape)]


def _count(channels: Words, dtype: str) -> Counts:
    """Count along the first axis."""
    if channels.size == 0:
        return Counts(nonzero=0, clusters=0, clusters_whole=0)
    nonzero = most = 0
    values: Words | None = np.empty(0, channels.dtype)
    for rows in _blocks(channels):
        if dtype in FLOATS:
            rows[rows == 1 << (8 * rows.itemsize - 1)] = 0  # -0.0 is 0.0
        nonzero += int(np.count_nonzero(rows))
        if rows.itemsize == 1 and rows.shape[1] >= LONG_ROW:
            bins = np.array([np.bincount(row, minlength=256) > 0 for row in rows])
            most = max(most, int(np.count_nonzero(bins, axis=1).max()))
            found = np.flatnonzero(bins.any(axis=0)).astype(rows.dtype)
        else:
            rows.sort(axis=1, stable=rows.itemsize <= 2)  # a radix sort for short words
            most = max(most, int(np.count_nonzero(rows[:, 1:] != rows[:, :-1], axis=1).max()) + 1)
            found = rows.reshape(-1)
        values = None if values is None or most > MOST_VALUES else _merged(values, found)
    return Counts(nonzero=nonzero, clusters=most, clusters_whole=None if values is None else values.size)


def _blocks(channels: Words) -> Iterator[Words]:
    """Yield copies of as many whole channels as fit, one a row."""
    step = max(1, AT_ONCE // channels[0].size)
    for start in range(0, len(channels), step):
        part = channels[start : start + step]
        yield np.array(part, order="C").reshape(len(part), -1)


def _merged(values: Words, more: Words) -> Words | None:
    """Return the distinct values of both, None where they are too many. Sorts `more` where it stands."""
    more.sort(stable=more.itemsize <= 2)
    distinct = more[np.concatenate([[True], more[1:] != more[:-1]])]
    if distinct.size > MOST_VALUES:
        return None
    merged = np.union1d(values, distinct)
    return merged if merged.size <= MOST_VALUES else None
