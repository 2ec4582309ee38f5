"""A line whose ends run at two baud rates: each reads the levels of the other's bytes, 8N1, at its own pace."""

from __future__ import annotations

from collections.abc import Iterator

from edgepipe.devices.transports.serial_line import Line

DATA_BITS = 8


def misread(data: bytes, sent_baud: int, read_baud: int) -> bytes:
    """Return what a UART at `read_baud` makes of bytes that were sent one right after another at `sent_baud`."""
    levels = [1, *(level for byte in data for level in (0, *(byte >> bit & 1 for bit in range(DATA_BITS)), 1)), 1]
    return bytes(_received(levels, sent_baud / read_baud))


def _received(levels: list[int], step: float) -> Iterator[int]:
    """Yield a byte for each falling edge, which is a start bit: its bits are looked at in their middles, `step` levels apart."""

    def level(at: float) -> int:
        return levels[int(at)] if at < len(levels) else 1

    at = 1.0
    while at < len(levels):
        if level(at):
            at = float(int(at) + 1)
            continue
        yield sum(level(at + (bit + 1.5) * step) << bit for bit in range(DATA_BITS))
        at += (DATA_BITS + 1.5) * step
        while at < len(levels) and not level(at):  # no stop bit: it waits for the line to rise
            at = float(int(at) + 1)


class MisreadLine:
    """Passes on to `line`, a board's at `board_baud`, and back what each end makes of the other's bytes."""

    def __init__(self, line: Line, *, board_baud: int, baud: int) -> None:
        self._line, self._board_baud, self._baud = line, board_baud, baud

    def read(self, *, deadline_s: float) -> bytes:
        """Return what has come, as it is read here."""
        return misread(self._line.read(deadline_s=deadline_s), self._board_baud, self._baud)

    def write(self, data: bytes, *, deadline_s: float) -> None:
        """Send bytes, as the board reads them."""
        self._line.write(misread(data, self._baud, self._board_baud), deadline_s=deadline_s)

    def close(self) -> None:
        """Let go of the line."""
        self._line.close()
