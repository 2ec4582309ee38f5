"""A trace: what a meter told over a time, a piece after another, so that an hour of it needs no more memory than a second."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import inf
from typing import Protocol

from edgepipe.devices.power.meter import Samples


class Trace(Protocol):
    """Samples in the order of their times, in pieces of at most a few MB; it may be gone through again and again."""

    def pieces(self, start_s: float = -inf, end_s: float = inf) -> Iterator[Samples]:
        """Yield the pieces that have a sample from `start_s` to `end_s`; a piece also counts what was lost before it.

        What was lost after the last sample stands in a last piece that is empty. Raises DataError for a damaged file.
        """


class HeldTrace:
    """A trace in memory."""

    def __init__(self, pieces: Iterable[Samples]) -> None:
        self._pieces = tuple(pieces)

    def pieces(self, start_s: float = -inf, end_s: float = inf) -> Iterator[Samples]:
        """Yield the pieces between two times; what an empty one counts as lost was so after the piece before it."""
        last_s = -inf
        for piece in self._pieces:
            first_s, last_s = (piece.time_s[0], piece.time_s[-1]) if piece.time_s.size else (last_s, last_s)
            if last_s >= start_s and first_s <= end_s:
                yield piece
