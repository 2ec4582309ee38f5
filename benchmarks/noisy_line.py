"""A line that flips, drops, duplicates and inserts bytes, in both directions, the same ones for the same seed."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from edgepipe.devices.transports.serial_line import Line

# What may become of a byte at position `at` of what is on its way.
FAULTS: tuple[Callable[[bytearray, int, random.Random], None], ...] = (
    lambda data, at, source: data.__setitem__(at, data[at] ^ 1 << source.randrange(8)),
    lambda data, at, source: data.__delitem__(at),
    lambda data, at, source: data.insert(at, data[at]),
    lambda data, at, source: data.insert(at, source.randrange(256)),
)


class NoisyLine:
    """Passes on to `line` and back what is left of the bytes when each is hit with the probability `rate`."""

    def __init__(self, line: Line, *, rate: float, seed: int) -> None:
        self._line, self._rate, self._source = line, rate, random.Random(seed)
        self._gap = self._next_gap()
        self.faults = 0

    def read(self, *, deadline_s: float) -> bytes:
        """Return what has come, damaged."""
        return self._damaged(self._line.read(deadline_s=deadline_s))

    def write(self, data: bytes, *, deadline_s: float) -> None:
        """Send bytes, damaged."""
        self._line.write(self._damaged(data), deadline_s=deadline_s)

    def close(self) -> None:
        """Let go of the line."""
        self._line.close()

    def _damaged(self, data: bytes) -> bytes:
        out, at = bytearray(data), self._gap
        while at < len(out):
            self._source.choice(FAULTS)(out, at, self._source)
            self.faults += 1
            at += self._next_gap()
        self._gap = at - len(out)
        return bytes(out)

    def _next_gap(self) -> int:
        """Return how many bytes it is to the next fault: geometrically distributed."""
        if not self._rate:
            return 1 << 62
        return 1 + int(math.log(1.0 - self._source.random()) / math.log(1.0 - self._rate))
