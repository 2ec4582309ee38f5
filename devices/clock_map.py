"""A board's clock on this machine's: what was asked of it before and after, and how far the answer may be off."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

EXCHANGES = 8


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """The board's clock was read somewhere between two readings of this machine's, all in seconds."""

    sent_s: float
    board_s: float
    received_s: float

    @property
    def offset_s(self) -> float:
        """What to add to the board's clock, if both ways took equally long (Cristian 1989)."""
        return (self.sent_s + self.received_s) / 2 - self.board_s

    @property
    def round_trip_s(self) -> float:
        """How long it took."""
        return self.received_s - self.sent_s


@dataclass(frozen=True, kw_only=True)
class ClockMap:
    """A line through two exchanges: the board's clock may run a little faster or slower than this machine's."""

    before: Exchange
    after: Exchange

    def host_s(self, board_s: float) -> float:
        """Return this machine's time at a time of the board's clock."""
        span_s = self.after.board_s - self.before.board_s
        share = (board_s - self.before.board_s) / span_s if span_s > 0 else 0.0
        return board_s + self.before.offset_s + share * (self.after.offset_s - self.before.offset_s)

    @property
    def uncertainty_s(self) -> float:
        """Of a mapped time (k = 1): the reading lay anywhere within the slower round trip, a rectangle (GUM 4.3.7)."""
        return max(self.before.round_trip_s, self.after.round_trip_s) / 2 / math.sqrt(3)


def exchange(read_ns: Callable[[], int], *, count: int = EXCHANGES, clock: Callable[[], float] = monotonic) -> Exchange:
    """Read the board's clock `count` times, and return the exchange that was quickest."""
    best: Exchange | None = None
    for _ in range(count):
        sent_s = clock()
        board_s = read_ns() / 1e9
        found = Exchange(sent_s=sent_s, board_s=board_s, received_s=clock())
        if best is None or found.round_trip_s < best.round_trip_s:
            best = found
    assert best is not None
    return best
