"""One pass over the values of an input, in pieces: range, scale, what is no number, what never changes, a hash per sample."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgepipe.pipeline.data.dataset import Array, chunks

NUMERIC_KINDS = "biuf"
Floats = NDArray[np.float32] | NDArray[np.float64]


@dataclass(kw_only=True)
class Scan:
    """What the pass found; ranges and means are over the finite values. `digests` has 16 bytes a sample, of its float32 values."""

    low: float = math.inf
    high: float = -math.inf
    total: float = 0.0
    total_abs: float = 0.0
    finite: int = 0
    nonfinite: int = 0
    first_nonfinite: int | None = None
    whole: bool = True
    digests: list[bytes] = field(default_factory=list)
    lowest: Floats | None = None
    highest: Floats | None = None

    @property
    def mean(self) -> float:
        """Mean of the finite values."""
        return self.total / self.finite if self.finite else math.nan

    @property
    def mean_abs(self) -> float:
        """Mean of the finite values' magnitudes."""
        return self.total_abs / self.finite if self.finite else math.nan

    @property
    def span(self) -> float:
        """Largest less smallest finite value."""
        return self.high - self.low if self.finite else 0.0

    @property
    def constant(self) -> bool:
        """Whether all values of all samples are one and the same."""
        return len(self.digests) > 1 and self.finite > 0 and not self.nonfinite and self.low == self.high

    @property
    def constant_features(self) -> list[int]:
        """Flat positions in a sample whose value is the same in every sample."""
        if self.lowest is None or self.highest is None or len(self.digests) < 2:
            return []
        return [int(k) for k in np.flatnonzero(self.lowest == self.highest)]

    def add(self, start: int, part: Array) -> None:
        """Take the rows from index `start` on."""
        rows = part.reshape(len(part), -1)
        fits_float32 = rows.dtype.itemsize < 4 or rows.dtype == np.float32
        values: Floats = rows.astype(np.float32) if fits_float32 else rows.astype(np.float64)
        finite = np.isfinite(values)
        if finite.all():
            self._measure(values)
        else:
            bad_rows = np.flatnonzero(~finite.all(axis=1))
            if self.first_nonfinite is None:
                self.first_nonfinite = start + int(bad_rows[0])
            self.nonfinite += int((~finite).sum())
            self._measure(values[finite])
        lowest, highest = values.min(axis=0), values.max(axis=0)
        self.lowest = lowest if self.lowest is None else np.minimum(self.lowest, lowest)
        self.highest = highest if self.highest is None else np.maximum(self.highest, highest)
        self._hash(values)

    def _measure(self, values: Floats) -> None:
        if not values.size:
            return
        self.low = min(self.low, float(values.min()))
        self.high = max(self.high, float(values.max()))
        self.total += float(values.sum(dtype=np.float64))
        self.total_abs += float(np.abs(values).sum(dtype=np.float64))
        self.finite += values.size
        self.whole = self.whole and bool((values == np.rint(values)).all())

    def _hash(self, values: Floats) -> None:
        rows = np.ascontiguousarray(values, dtype=np.float32) + np.float32(0)  # -0.0 and 0.0 are the same value
        self.digests.extend(hashlib.blake2b(row.data, digest_size=16).digest() for row in rows)


def scan(array: Array, taken: Callable[[int], None]) -> Scan:
    """Return what stands in a numeric array that is not empty; `taken` is told how many more samples have been read."""
    found = Scan()
    with np.errstate(all="ignore"):  # what overflows here is told apart from what is wrong in the data
        for start, part in chunks(array):
            found.add(start, part)
            taken(len(part))
    return found


def join(scans: Sequence[Scan]) -> list[bytes]:
    """Return one key per sample over several inputs. The scans must be of equal length."""
    if len(scans) == 1:
        return scans[0].digests
    return [b"".join(parts) for parts in zip(*(found.digests for found in scans), strict=True)]
