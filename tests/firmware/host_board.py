"""The firmware on this machine: a process whose standard input and output are the line."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import threading
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest

from edgepipe.devices import firmware_build
from edgepipe.devices.transports.frame_link import FrameLink
from edgepipe.devices.transports.serial_line import Line
from edgepipe.devices.transports.serial_upload import LineLimits, SerialUpload, Upload
from edgepipe.errors import DeviceUnreachable

READ_BYTES = 65536
LIMITS = LineLimits(window_bytes=4096, payload_bytes=1024, baud=921_600)


def firmware(folder: Path, *, flags: Sequence[str] = ()) -> Path:
    """Build the host's firmware in `folder`; skips where there is no compiler."""
    if shutil.which("gcc") is None:
        pytest.skip("the firmware's tests need a C compiler: apt-get install gcc")
    return firmware_build.build("host", folder=folder, flags=tuple(flags)).path


def push(line: Line, content: bytes, name: str, scores: int = 0) -> None:
    """Bring a model into the memory of the board on the line, as the text protocol cannot; `scores` as upload.h numbers them."""
    link = FrameLink(line, "board")
    link.hello(deadline_s=10)
    SerialUpload(link, Upload(content=content, name=name, scores=scores), LIMITS).run(deadline_s=60)


@contextmanager
def behind_pty(program: Path) -> Iterator[Path]:
    """Run a firmware whose line is a terminal, and yield where that stands."""
    master, slave = os.openpty()
    tty.setraw(slave)
    process = subprocess.Popen([program], stdin=master, stdout=master)
    try:
        yield Path(os.ttyname(slave))
    finally:
        process.kill()
        process.wait()
        os.close(master)
        os.close(slave)


class KeptLine:
    """How a board's line is got at by one host after another, while the board goes on."""

    key, baud = "here", 115_200

    def __init__(self, board: HostBoard) -> None:
        self._board = board

    def open(self, *, deadline_s: float) -> Line:
        """Return the line."""
        return self._board

    def close(self) -> None:
        """Leave the board as it is."""

    def flash(self, content: bytes, name: str) -> None:
        """Put a model in."""
        push(self._board, content, name)

    def switch_off(self) -> None:
        """Switch the board off."""
        self._board.close()


class HostBoard:
    """A running firmware; itself a `Line`, with a reset button."""

    def __init__(self, program: Path, *, flash: Path | None = None, marker: Path | None = None) -> None:
        """Switch it on; what it keeps in flash outlives it in the file `flash`, and its pin writes into `marker`."""
        files = {"EDGEPIPE_FLASH": flash, "EDGEPIPE_MARKER": marker}
        named = {name: str(path) for name, path in files.items() if path is not None}
        self._process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, env={**os.environ, **named}
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._in, False)
        self._is_on = True

    def read(self, *, deadline_s: float) -> bytes:
        """Return what came, b"" for nothing."""
        self._check()
        ready, _, _ = select.select([self._out], [], [], max(0.0, deadline_s))
        if not ready:
            return b""
        data = os.read(self._out, READ_BYTES)
        if not data:
            raise DeviceUnreachable("the firmware has ended")
        return data

    def write(self, data: bytes, *, deadline_s: float) -> None:
        """Send bytes."""
        self._check()
        end = monotonic() + deadline_s
        while data:
            _, ready, _ = select.select([], [self._in], [], max(0.0, end - monotonic()))
            if not ready:
                raise DeviceUnreachable("the firmware does not read")
            try:
                data = data[os.write(self._in, data) :]
            except OSError as exc:
                raise DeviceUnreachable("the firmware has ended") from exc

    def press_reset(self) -> None:
        """Start the board anew; its memory stays."""
        self._process.send_signal(signal.SIGUSR1)

    def press_power(self) -> None:
        """Cut its power for a moment; its memory is lost."""
        self._process.send_signal(signal.SIGUSR2)

    def stall(self, seconds: float) -> None:
        """Have it do nothing for a while, as an emulator on a busy machine does."""
        self._process.send_signal(signal.SIGSTOP)
        threading.Timer(seconds, self._process.send_signal, [signal.SIGCONT]).start()

    def close(self) -> None:
        """Switch it off."""
        if self._is_on:
            self._is_on = False
            self._process.kill()
            self._process.communicate()

    def _check(self) -> None:
        if not self._is_on:
            raise DeviceUnreachable("the firmware is switched off")

    def says(self, command: str, *, deadline_s: float = 10.0) -> list[str]:
        """Send a text command and return its lines up to `m-ready`, which is the last; each ended with CR LF."""
        self.write(command.encode(), deadline_s=deadline_s)
        return self.lines(deadline_s=deadline_s)

    def lines(self, *, deadline_s: float = 10.0) -> list[str]:
        """Return the lines up to the next `m-ready`."""
        said, end = b"", monotonic() + deadline_s
        while not said.endswith(b"m-ready\r\n"):
            assert monotonic() < end, said
            said += self.read(deadline_s=end - monotonic())
        return said.decode("latin-1").removesuffix("\r\n").split("\r\n")


class HostTransport:
    """The line of a running board; the board goes on when it is closed."""

    baud = 921_600

    def __init__(self, board: HostBoard, key: str) -> None:
        self.key, self._board = key, board

    def open(self, *, deadline_s: float) -> HostBoard:
        """Return the board's line."""
        return self._board

    def close(self) -> None:
        """Leave it."""
