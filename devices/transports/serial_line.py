"""A serial line: bytes to a board and from it, with a deadline on every wait."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import struct
import termios
import tty
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Protocol

from edgepipe.errors import DeviceBusy, DeviceUnreachable, UsageError

READ_BYTES = 65536
LOOK_S = 0.2  # how often a wait looks whether another thread closed the line, at which select(2) wakes nobody
DTR_AND_RTS = struct.pack("i", termios.TIOCM_DTR | termios.TIOCM_RTS)


class Line(Protocol):
    """Bytes both ways."""

    def read(self, *, deadline_s: float) -> bytes:
        """Return what has come, b"" where nothing came by the deadline. Raises DeviceUnreachable when the line is gone."""

    def write(self, data: bytes, *, deadline_s: float) -> None:
        """Send bytes. Raises DeviceUnreachable when the line is gone or takes nothing."""

    def close(self) -> None:
        """Let go of the line. May be called twice."""


class HandleLine:
    """A line behind a file descriptor that does not block; `name` is what messages call it."""

    def __init__(self, handle: int, name: str) -> None:
        self._handle: int | None = handle
        self._name = name

    def read(self, *, deadline_s: float) -> bytes:
        """Return what has come."""
        end = monotonic() + deadline_s
        while not select.select([handle := self._open()], [], [], max(0.0, min(LOOK_S, end - monotonic())))[0]:
            if monotonic() >= end:
                return b""
        try:
            data = os.read(handle, READ_BYTES)
        except BlockingIOError:
            return b""
        except OSError as exc:
            raise self._gone() from exc
        if not data:
            raise self._gone()
        return data

    def write(self, data: bytes, *, deadline_s: float) -> None:
        """Send bytes."""
        handle, end = self._open(), monotonic() + deadline_s
        while data:
            _, ready, _ = select.select([], [handle], [], max(0.0, end - monotonic()))
            if not ready:
                raise DeviceUnreachable(f"{self._name} takes no bytes", cause="the board does not read, or is not there")
            try:
                data = data[os.write(handle, data) :]
            except BlockingIOError:
                continue
            except OSError as exc:
                raise self._gone() from exc

    def close(self) -> None:
        """Let go of it."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)

    def _open(self) -> int:
        if self._handle is None:
            raise DeviceUnreachable(f"{self._name} is not open")
        return self._handle

    def _gone(self) -> DeviceUnreachable:
        return DeviceUnreachable(f"{self._name} is gone", cause="it was unplugged or switched off")


class TtyLine(HandleLine):
    """A terminal device of this machine: raw, 8N1, without flow control, and nobody else's as long as it is open.

    DTR and RTS are both raised at opening: what they do on a board that resets by them is then the same every time.
    """

    def __init__(self, path: Path, baud: int = 115_200) -> None:
        """Open it. Raises DeviceUnreachable, DeviceBusy, UsageError for a baud rate that this machine does not have."""
        speed = getattr(termios, f"B{baud}", None)
        if speed is None:
            raise UsageError(f"{path}: this machine knows no baud rate of {baud}", todo="Write 115200, 460800 or 921600.")
        try:
            handle = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError as exc:
            raise _cannot_open(path, exc) from exc
        super().__init__(handle, str(path))
        try:
            _hold(handle, path)
            _set_raw(handle, speed)
            with suppress(OSError):  # a PTY has no such wires
                fcntl.ioctl(handle, termios.TIOCMBIS, DTR_AND_RTS)
        except (OSError, termios.error) as exc:
            self.close()
            raise DeviceUnreachable(f"{path} is no serial line: {exc}") from exc
        except DeviceBusy:
            self.close()
            raise


def _hold(handle: int, path: Path) -> None:
    """Keep others off the device itself, since two names may lead to it: TIOCEXCL stops whoever is not root, flock(2) all of us."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        raise DeviceBusy(f"{path} is open in another program", todo="Close the serial monitor.") from exc
    fcntl.ioctl(handle, termios.TIOCEXCL)


def _set_raw(handle: int, speed: int) -> None:
    tty.setraw(handle)
    mode = termios.tcgetattr(handle)
    mode[2] = (mode[2] | termios.CLOCAL | termios.CREAD | termios.CS8) & ~(termios.CSTOPB | termios.PARENB | termios.CRTSCTS)
    mode[4] = mode[5] = speed
    termios.tcsetattr(handle, termios.TCSANOW, mode)
    termios.tcflush(handle, termios.TCIFLUSH)


def _cannot_open(path: Path, exc: OSError) -> DeviceUnreachable | DeviceBusy:
    if exc.errno == errno.EBUSY:
        return DeviceBusy(f"{path} is open in another program", todo="Close the serial monitor.")
    cause, todo = "", ""
    if exc.errno == errno.ENOENT:
        cause = "no such board is plugged in, or the inventory has another name for it"
        todo = "Plug the board in; /dev/serial/by-id has the names of those that are."
    if exc.errno == errno.EACCES:
        todo = "Join the group that owns it, most often: sudo usermod -aG dialout $USER, then log in again."
    return DeviceUnreachable(f"{path} cannot be opened: {exc.strerror}", cause=cause, todo=todo)
