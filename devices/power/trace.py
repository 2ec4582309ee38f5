"""A trace: what a meter told over a time, a piece after another, so that an hour of it needs no more memory than a second."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import inf
from typing import Protocol

from edgepipe.devices.power.meter import Samples


class Trace(Protocol):
    """Samples in the order of their times, in pieces of at most a few MB; it may be gone through again and again."""

    def pieces(self, start_s: float = -inf, end_s: float = inf) -> Iterator[Samples]:
        """Yield the pieces that have a sample from `start_s` to `end_s`, or lost one there. Raises DataError for a damaged file."""


class HeldTrace:
    """A trace in memory."""

    def __init__(self, pieces: Iterable[Samples]) -> None:
        self._pieces = tuple(piece for piece in pieces if piece.time_s.size)

    def pieces(self, start_s: float = -inf, end_s: float = inf) -> Iterator[Samples]:
        """Yield the pieces between two times."""
        for piece in self._pieces:
            if piece.time_s[-1] >= start_s and piece.time_s[0] <= end_s:
                yield piece
