"""Reads a fast line in a thread of its own, so that who is held up by a slow disk for some seconds loses nothing."""

from __future__ import annotations

import threading
from time import monotonic

from edgepipe.devices.transports.serial_line import TtyLine
from edgepipe.errors import DeviceUnreachable

LARGEST_BYTES = 1 << 24  # 40 s of 400 kB/s
# The kernel hands out 4 kB at a time, and holds a device up whose bytes are not fetched in time. Where much came in a pause, it
# goes on without one until a read brings next to nothing.
PAUSE_S, BEHIND_BYTES, MORE_BYTES = 0.004, 2048, 512
JOIN_S = 5.0


class LineReader:
    """Keeps what comes until it is taken; what finds no room any more is lost."""

    def __init__(self, line: TtyLine) -> None:
        self._line = line
        self._came = threading.Condition()
        self._data, self._last_s = bytearray(), monotonic()
        self._failure: DeviceUnreachable | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="meter", daemon=True)
        self._thread.start()

    def take(self, wanted: int, *, deadline_s: float) -> tuple[bytes, float]:
        """Return all that came, as soon as it is `wanted` bytes or the deadline is over, and when the last of it had come.

        Raises DeviceUnreachable when the line is gone and everything was taken.
        """
        with self._came:
            self._came.wait_for(lambda: len(self._data) >= wanted or self._failure is not None, deadline_s)
            if self._failure is not None and not self._data:
                raise self._failure
            data, self._data = bytes(self._data), bytearray()
            return data, self._last_s

    def close(self) -> None:
        """End the thread; the line stays open."""
        self._stop.set()
        self._thread.join(JOIN_S)

    def _run(self) -> None:
        behind = False
        try:
            while not self._stop.is_set():
                part = self._line.read(deadline_s=PAUSE_S)
                behind = len(part) > (MORE_BYTES if behind else BEHIND_BYTES)
                self._keep(part)
                if not behind:
                    self._stop.wait(PAUSE_S)
        except DeviceUnreachable as exc:
            with self._came:
                self._failure = exc
                self._came.notify()

    def _keep(self, part: bytes) -> None:
        with self._came:
            if part and len(self._data) + len(part) <= LARGEST_BYTES:
                self._data += part
                self._last_s = monotonic()
                self._came.notify()
