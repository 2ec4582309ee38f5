"""A microcontroller on a serial line: of this machine, by the name that stays the same wherever it is plugged in, or of another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from edgepipe.devices.transports.network_line import network_line
from edgepipe.devices.transports.serial_line import Line, TtyLine
from edgepipe.errors import InventoryError

BY_ID = Path("/dev/serial/by-id")


class _OneLine(ABC):
    """Has one line at a time; `key` is what the board's lock is named by."""

    def __init__(self, key: str, baud: int) -> None:
        self.key, self.baud = f"serial {key}", baud
        self._line: Line | None = None

    def open(self, *, deadline_s: float) -> Line:
        """Open the line. Raises DeviceUnreachable, DeviceBusy, UsageError for a baud rate that this machine does not have."""
        self.close()
        self._line = self._opened(deadline_s)
        return self._line

    def close(self) -> None:
        """Close it."""
        line, self._line = self._line, None
        if line is not None:
            line.close()

    @abstractmethod
    def _opened(self, deadline_s: float) -> Line: ...


class SerialTransport(_OneLine):
    """Opens `/dev/serial/by-id/<by_id>` at `baud`."""

    def __init__(self, name: str, by_id: str, baud: int, *, folder: Path = BY_ID) -> None:
        if Path(by_id).name != by_id or by_id in ("", ".", ".."):
            raise InventoryError(f"{name}: {by_id[:80]!r} is no name under {folder}", todo=f"Write one that `ls {folder}` shows.")
        super().__init__(by_id, baud)
        self._path = folder / by_id

    def _opened(self, deadline_s: float) -> Line:
        return TtyLine(self._path, self.baud)


class NetworkTransport(_OneLine):
    """Opens the line at a URL; the lock keeps off who writes the same URL on this machine, not who reaches it from another."""

    def __init__(self, url: str, baud: int) -> None:
        super().__init__(url.lower(), baud)
        self._url = url

    def _opened(self, deadline_s: float) -> Line:
        return network_line(self._url, self.baud, deadline_s=deadline_s)
