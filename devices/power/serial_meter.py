"""A meter on a serial line of this machine: odd baud rates, questions and answers, and what goes wrong, in a meter's words."""

from __future__ import annotations

import fcntl
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Annotated, TypeVar

from pydantic import Field

from edgepipe.devices.power.meter import PowerMeter
from edgepipe.devices.transports.serial_line import TtyLine
from edgepipe.errors import DeviceUnreachable, InventoryError, MeterMissing

BY_ID = Path("/dev/serial/by-id")
WRITE_S, QUIET_WITHIN_S = 1.0, 3.0
LARGEST_ANSWER_BYTES = 1 << 16
ById = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:+-]{0,199}$")]
L = TypeVar("L", bound=TtyLine)
# Linux, include/uapi/asm-generic/ioctls.h and termbits.h: struct termios2 with both speeds in bits a second.
TCGETS2, TCSETS2, TERMIOS2 = 0x802C542A, 0x402C542B, struct.Struct("4IB19s2I")
BOTHER, CBAUD = 0o010000, 0o010017


class OddLine(TtyLine):
    """A line at a baud rate that termios(3) has no constant for."""

    def __init__(self, path: Path, baud: int) -> None:
        """Open it. Raises DeviceUnreachable, DeviceBusy."""
        super().__init__(path)
        try:
            handle = self._open()
            mode = list(TERMIOS2.unpack(fcntl.ioctl(handle, TCGETS2, bytes(TERMIOS2.size))))
            mode[2] = mode[2] & ~CBAUD | BOTHER
            mode[6] = mode[7] = baud
            fcntl.ioctl(handle, TCSETS2, TERMIOS2.pack(*mode))
        except OSError as exc:
            self.close()
            raise DeviceUnreachable(f"{path} takes no baud rate of {baud}: {exc.strerror}") from exc


def open_line(by_id: str, folder: Path, opened: Callable[[Path], L]) -> L:
    """Return the meter's line. Raises MeterMissing, or DeviceBusy where another program has it."""
    if Path(by_id).name != by_id:
        raise InventoryError(f"{by_id[:80]!r} is no name under {folder}", todo=f"Write one that `ls {folder}` shows.")
    try:
        return opened(folder / by_id)
    except DeviceUnreachable as exc:
        todo = exc.todo if "usermod" in exc.todo else f"Plug the meter in; `ls {folder}` shows what is there."
        raise MeterMissing(exc.what, cause=exc.cause, todo=todo) from exc


@contextmanager
def closed_if_missing(meter: PowerMeter, name: str) -> Iterator[None]:
    """Close a meter that cannot be opened; one whose line is gone meanwhile is missing. Raises MeterMissing."""
    try:
        yield
    except DeviceUnreachable as exc:
        meter.close()
        raise MeterMissing(f"{name}: {exc.what}", cause=exc.cause) from exc
    except MeterMissing:
        meter.close()
        raise


def silence(line: TtyLine, stop: bytes, *, quiet_s: float) -> None:
    """Stop what a meter sends, and pass over the rest of it, until nothing comes for `quiet_s`. Raises DeviceUnreachable."""
    line.write(stop, deadline_s=WRITE_S)
    end = monotonic() + QUIET_WITHIN_S
    while line.read(deadline_s=quiet_s) and monotonic() < end:
        pass


def answer(line: TtyLine, question: bytes, is_whole: Callable[[bytes], object], *, within_s: float) -> bytes:
    """Return what a meter says until that is whole, or the time is over, or it is too much. Raises DeviceUnreachable."""
    line.write(question, deadline_s=WRITE_S)
    said, end = b"", monotonic() + within_s
    while not is_whole(said) and monotonic() < end and len(said) < LARGEST_ANSWER_BYTES:
        said += line.read(deadline_s=end - monotonic())
    return said
