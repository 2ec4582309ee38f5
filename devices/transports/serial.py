"""A microcontroller on a serial line of this machine, found by the name that stays the same wherever it is plugged in."""

from __future__ import annotations

from pathlib import Path

from edgepipe.devices.transports.serial_line import Line, TtyLine
from edgepipe.errors import InventoryError

BY_ID = Path("/dev/serial/by-id")


class SerialTransport:
    """Opens `/dev/serial/by-id/<by_id>` at `baud`."""

    def __init__(self, name: str, by_id: str, baud: int, *, folder: Path = BY_ID) -> None:
        if Path(by_id).name != by_id or by_id in ("", ".", ".."):
            raise InventoryError(f"{name}: {by_id[:80]!r} is no name under {folder}", todo=f"Write one that `ls {folder}` shows.")
        self.key, self.baud = f"serial {by_id}", baud
        self._path = folder / by_id
        self._line: TtyLine | None = None

    def open(self, *, deadline_s: float) -> Line:
        """Open the line. Raises DeviceUnreachable, DeviceBusy, UsageError for a baud rate that this machine does not have."""
        self.close()
        self._line = TtyLine(self._path, self.baud)
        return self._line

    def close(self) -> None:
        """Close it."""
        line, self._line = self._line, None
        if line is not None:
            line.close()
