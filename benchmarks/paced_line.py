"""A serial line of a baud rate: a byte takes 10 / baud seconds, answers come a turn-around later, and whole frames may be lost."""

from __future__ import annotations

import random
import re
from collections import deque
from time import monotonic, sleep

from edgepipe.devices.transports.serial_line import Line

FRAME = re.compile(rb"\x00\x01[^\x00]*\x00")
DRIVER_BYTES = 4096  # what an operating system takes before a write waits
NAP_S = 0.0005


class PacedLine:
    """Passes bytes on to `line` and back at the pace of `baud`; `turnaround_s` is what a USB adapter waits before it hands over."""

    def __init__(self, line: Line, *, baud: int, turnaround_s: float, lost_frames: float = 0.0, seed: int = 0) -> None:
        self._line, self._byte_s, self._turnaround_s = line, 10.0 / baud, turnaround_s
        self._lost_frames, self._source = lost_frames, random.Random(seed)
        self._out, self._out_since = bytearray(), 0.0
        self._in: deque[tuple[float, bytes]] = deque()
        self._in_until = 0.0

    def read(self, *, deadline_s: float) -> bytes:
        """Return what has come by now."""
        end = monotonic() + deadline_s
        while True:
            self._pump()
            if self._in and self._in[0][0] <= monotonic():
                return self._in.popleft()[1]
            if monotonic() >= end:
                return b""
            sleep(NAP_S)

    def write(self, data: bytes, *, deadline_s: float) -> None:
        """Put bytes on the line; waits while the driver's buffer is full."""
        while len(self._out) > DRIVER_BYTES:
            self._pump()
            sleep(NAP_S)
        if not self._out:
            self._out_since = monotonic()
        self._out += self._without_lost(data)

    def close(self) -> None:
        """Let go of the line."""
        self._line.close()

    def _pump(self) -> None:
        """Move what is due by now."""
        now = monotonic()
        due = min(len(self._out), int((now - self._out_since) / self._byte_s))
        if due:
            self._line.write(bytes(self._out[:due]), deadline_s=10.0)
            del self._out[:due]
            self._out_since += due * self._byte_s
        data = self._without_lost(self._line.read(deadline_s=0.0))
        if data:
            self._in_until = max(self._in_until, now) + len(data) * self._byte_s
            self._in.append((self._in_until + self._turnaround_s, data))

    def _without_lost(self, data: bytes) -> bytes:
        return FRAME.sub(lambda frame: b"" if self._source.random() < self._lost_frames else frame[0], data)
