"""A board at the end of a serial line: locked before the line is opened, told from any other, stopped while it is waited for."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Protocol

from edgepipe.devices.transports.board_lock import BoardLock
from edgepipe.devices.transports.serial_line import Line
from edgepipe.errors import Interrupted, WrongBoard

OPEN_S, HELLO_S = 20.0, 15.0
SLICE_S = 0.2  # how long a board that is stopped goes on waiting


class LineTransport(Protocol):
    """How the serial line of a board is got at. `key` names the board for its lock; `baud` is the line's."""

    @property
    def key(self) -> str:
        """What the board is, wherever it is plugged in."""

    @property
    def baud(self) -> int:
        """Bits a second."""

    def open(self, *, deadline_s: float) -> Line:
        """Open the line, and start what is behind it. Raises DeviceUnreachable, DeviceBusy."""

    def close(self) -> None:
        """Let go of it. May be called at any time and twice."""


class StoppableLine:
    """A line whose waits another thread can end: they then raise Interrupted."""

    def __init__(self, line: Line, device: str, stopped: threading.Event) -> None:
        self._line, self._device, self._stopped = line, device, stopped

    def read(self, *, deadline_s: float) -> bytes:
        """Return what has come."""
        self._check()
        while deadline_s > SLICE_S:
            data = self._line.read(deadline_s=SLICE_S)
            if data:
                return data
            self._check()
            deadline_s -= SLICE_S
        return self._line.read(deadline_s=deadline_s)

    def write(self, data: bytes, *, deadline_s: float) -> None:
        """Send bytes."""
        self._check()
        self._line.write(data, deadline_s=deadline_s)

    def close(self) -> None:
        """Let go of the line."""
        self._line.close()

    def _check(self) -> None:
        if self._stopped.is_set():
            raise Interrupted(f"{self._device}: stopped")


class LineBoard(ABC):
    """Holds a board from `open` to `close`; what is spoken on its line is a subclass's: `meet` begins it, `part` ends it."""

    def __init__(
        self,
        name: str,
        transport: LineTransport,
        *,
        emulated: bool = False,
        board_id: str | None = None,
        lock_folder: Path | None = None,
    ) -> None:
        """`board_id` is what `meet` must return, None: anything. Whatever else is on the line is let go of at once."""
        self._name, self._transport, self._emulated, self._lock_folder = name, transport, emulated, lock_folder
        self._board_id = board_id
        self._lock: BoardLock | None = None
        self._stopped = threading.Event()

    @abstractmethod
    def meet(self, line: Line) -> str:
        """Find the board on its line, and return what tells it from others. Raises DeviceUnreachable."""

    @abstractmethod
    def part(self) -> None:
        """Forget what was found."""

    def open(self) -> None:
        """Take the lock before the line is opened, since opening it resets many boards; then find the board on it.

        Raises WrongBoard where another board than `board_id` is on the line, DeviceBusy, DeviceUnreachable.
        """
        self._lock = BoardLock(self._name, self._transport.key, folder=self._lock_folder)
        try:
            line = StoppableLine(self._transport.open(deadline_s=OPEN_S), self._name, self._stopped)
            check_is(self._name, self._board_id, self.meet(line))
        except BaseException:
            self.close()
            raise

    def stop(self) -> None:
        """Have whatever waits for the board raise Interrupted."""
        self._stopped.set()

    def check_wanted(self) -> None:
        """Raise Interrupted once it was stopped."""
        if self._stopped.is_set():
            raise Interrupted(f"{self._name}: stopped")

    def close(self) -> None:
        """Let go of the board. May be called at any time and twice."""
        self._transport.close()
        self.part()
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.free()


def check_is(device: str, board_id: str | None, found: str) -> None:
    """Raise WrongBoard for another board than the one that the inventory means; None: any."""
    if board_id not in (None, found):
        raise WrongBoard(
            f'{device} should be the board "{board_id}", but "{found}" is on its line',
            cause="two boards changed places, or the entry means another one",
            todo="Mend the cables, or board_id in the inventory. Nothing was sent.",
        )
