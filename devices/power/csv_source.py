"""Where a tool's lines come from: a command's standard output, or a file or named pipe."""

from __future__ import annotations

import atexit
import os
import select
import signal
import stat
import subprocess
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import IO, Protocol

from edgepipe.errors import DeviceUnreachable, MeterMissing

READ_BYTES = 1 << 16
LAST_WORDS_BYTES = 500
END_S, LOOK_AGAIN_S = 2.0, 0.02


class Source(Protocol):
    """Bytes, in the order in which they are printed."""

    @property
    def name(self) -> str:
        """What messages call it."""

    def open(self) -> None:
        """Start it, or find it. Raises MeterMissing."""

    def read(self, *, deadline_s: float) -> bytes:
        """Return what came, b"" where nothing did by the deadline. Raises DeviceUnreachable when it ended."""

    def close(self) -> None:
        """Let go of it. May be called twice."""


class CommandSource:
    """A program and what it starts: all of it ends with the measurement."""

    def __init__(self, command: tuple[str, ...]) -> None:
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._said = b""

    @property
    def name(self) -> str:
        """The program's name."""
        return Path(self._command[0]).name

    def open(self) -> None:
        """Start it in a session of its own, so that nothing of it stays behind, not even where edgepipe ends in the middle."""
        try:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
            )
        except OSError as exc:
            todo = f"Install {self.name}, or write its whole path in the power entry's command."
            raise MeterMissing(f"{self._command[0]} cannot be started: {exc.strerror}", todo=todo) from exc
        atexit.register(self.close)

    def read(self, *, deadline_s: float) -> bytes:
        """Return what it printed; what it says on standard error is kept for when it ends."""
        process = self._process
        if process is None or process.stdout is None or process.stderr is None:
            raise DeviceUnreachable(f"{self.name} does not run")
        end = monotonic() + deadline_s
        open_ends: list[IO[bytes]] = [process.stdout, process.stderr]
        while ready := select.select(open_ends, [], [], max(0.0, end - monotonic()))[0]:
            if process.stderr in ready:
                words = os.read(process.stderr.fileno(), READ_BYTES)
                self._said = (self._said + words)[-LAST_WORDS_BYTES:]
                if not words:
                    open_ends.remove(process.stderr)
            if process.stdout in ready:
                if data := os.read(process.stdout.fileno(), READ_BYTES):
                    return data
                raise self._ended(process)
        return b""

    def close(self) -> None:
        """End it, by force where it does not listen."""
        atexit.unregister(self.close)
        process, self._process = self._process, None
        if process is None:
            return
        for how in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, how)
            with suppress(subprocess.TimeoutExpired):
                process.wait(END_S)
                break
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()

    def _ended(self, process: subprocess.Popen[bytes]) -> DeviceUnreachable:
        try:
            status = f"with status {process.wait(END_S)}"
        except subprocess.TimeoutExpired:
            status = "its output, though it still runs"
        last = self._said.decode(errors="replace").strip()
        return DeviceUnreachable(f"{self.name} ended {status}", cause=last or "it printed no reason", todo="Run it by hand.")


class FileSource:
    """A file that another program writes, from its end on, or a named pipe."""

    def __init__(self, path: Path) -> None:
        self._path = path.expanduser()
        self._handle: int | None = None
        self._writer_seen = False

    @property
    def name(self) -> str:
        """Its path."""
        return str(self._path)

    def open(self) -> None:
        """Open it without waiting for a writer."""
        try:
            handle = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as exc:
            todo = "Have it readable for you: chmod a+r." if exc.errno == 13 else "Start what writes it, and compare its path."
            raise MeterMissing(f"{self._path} cannot be read: {exc.strerror}", todo=todo) from exc
        self._handle, mode = handle, os.fstat(handle).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
            self.close()
            raise MeterMissing(f"{self._path} is neither a file nor a named pipe")
        self._is_pipe = stat.S_ISFIFO(mode)
        if not self._is_pipe:
            os.lseek(handle, 0, os.SEEK_END)

    def read(self, *, deadline_s: float) -> bytes:
        """Return what was written since."""
        if self._handle is None:
            raise DeviceUnreachable(f"{self._path} is not open")
        end = monotonic() + deadline_s
        while True:
            try:
                data = os.read(self._handle, READ_BYTES)
            except BlockingIOError:  # a pipe that has a writer, who writes nothing
                self._writer_seen, data = True, b""
            else:
                self._ask_whether_gone(data)
            if data or monotonic() >= end:
                return data
            sleep(min(LOOK_AGAIN_S, max(0.0, end - monotonic())))

    def close(self) -> None:
        """Close it."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)

    def _ask_whether_gone(self, data: bytes) -> None:
        """Raise where what was read says that nobody writes any more."""
        if data:
            self._writer_seen = True
        elif self._is_pipe and self._writer_seen:
            raise DeviceUnreachable(f"what wrote to {self._path} has ended", todo="Start it again.")
        elif not self._is_pipe and self._handle is not None and os.fstat(self._handle).st_nlink == 0:
            raise DeviceUnreachable(f"{self._path} was deleted", todo="Start what writes it again.")
