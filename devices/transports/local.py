"""This machine: the agent is a child process, and its standard input and output are the channel."""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic

from edgepipe.devices.agent.lines import LineBuffer
from edgepipe.devices.transports.names import plain_name
from edgepipe.errors import DeviceUnreachable, InfrastructureError
from edgepipe.places import storage_errors

TAIL_BYTES = 4096
FAREWELL_S = 3.0  # for an agent whose input has ended; it then kills its own children


class LocalTransport:
    """Files go to a temporary folder, programs run with `python`."""

    def __init__(self, python: str = sys.executable) -> None:
        self._python = python
        self._folder: Path | None = None
        self._channels: list[PipeChannel] = []

    def open(self, *, deadline_s: float) -> None:
        """Make the folder."""
        if self._folder is None:
            with storage_errors(Path(tempfile.gettempdir())):
                self._folder = Path(tempfile.mkdtemp(prefix="edgepipe-local-"))

    def put(self, source: Path, name: str, *, deadline_s: float) -> str:
        """Copy a file into the folder."""
        place = self._opened() / plain_name(name)
        part = place.with_name(f".{name}.part")
        with storage_errors(place):
            shutil.copyfile(source, part)
            part.replace(place)
        return str(place)

    def start_agent(self, agent: str, *, deadline_s: float, role: str = "serve") -> PipeChannel:
        """Start the agent in its own session, so that Ctrl-C reaches it through us only."""
        self._opened()
        command = [self._python, "-I", agent, role]
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
            )
        except OSError as exc:
            raise DeviceUnreachable(
                f"could not start {self._python}: {exc.strerror}", todo="Mend `python` in the inventory."
            ) from exc
        channel = PipeChannel(process)
        self._channels.append(channel)
        return channel

    def close(self) -> None:
        """End every agent and delete the folder."""
        for channel in self._channels:
            channel.close()
        self._channels.clear()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _opened(self) -> Path:
        if self._folder is None:
            raise InfrastructureError("the transport is not open")
        return self._folder


class PipeChannel:
    """Lines over the pipes of a process; what it says on standard error is kept for the message when it dies."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin and process.stdout and process.stderr
        self._process = process
        self._input, self._output, self._errors = process.stdin, process.stdout, process.stderr
        self._buffer, self._lines, self._tail = LineBuffer(), list[bytes](), b""
        self._reading = selectors.DefaultSelector()
        for pipe in (self._input, self._output, self._errors):
            os.set_blocking(pipe.fileno(), False)
        self._reading.register(self._output, selectors.EVENT_READ)
        self._reading.register(self._errors, selectors.EVENT_READ)
        self._closed = False

    @property
    def pid(self) -> int:
        """The process at the other end."""
        return self._process.pid

    def send(self, line: bytes, *, deadline_s: float) -> None:
        """Write one line."""
        waiting = memoryview(line + b"\n")
        end = monotonic() + deadline_s
        with selectors.DefaultSelector() as writing:
            self._check_open()
            writing.register(self._input, selectors.EVENT_WRITE)
            while waiting:
                if not writing.select(max(0.0, end - monotonic())):
                    raise DeviceUnreachable(f"the agent read nothing for {deadline_s:g} s", cause="it hangs or was stopped")
                try:
                    waiting = waiting[os.write(self._input.fileno(), waiting) :]
                except BlockingIOError:
                    continue
                except OSError as exc:
                    raise self._ended() from exc

    def receive(self, *, deadline_s: float) -> bytes:
        """Read one line."""
        self._check_open()
        end = monotonic() + deadline_s
        while not self._lines:
            ready = self._reading.select(max(0.0, end - monotonic()))
            if not ready:
                raise DeviceUnreachable(f"the agent said nothing for {deadline_s:g} s", cause="it hangs or was stopped")
            for key, _ in ready:
                if key.fileobj is self._output:
                    self._read_lines()
                else:
                    self._read_errors()
        return self._lines.pop(0)

    def _read_lines(self) -> None:
        data = os.read(self._output.fileno(), 1 << 16)
        if not data:
            raise self._ended()
        try:
            self._lines += self._buffer.feed(data)
        except ValueError as exc:
            raise DeviceUnreachable(f"the agent spoke out of turn: {exc}") from exc

    def _read_errors(self) -> None:
        data = os.read(self._errors.fileno(), 1 << 16)
        self._tail = (self._tail + data)[-TAIL_BYTES:]
        if not data:
            self._reading.unregister(self._errors)

    def _ended(self) -> DeviceUnreachable:
        """Return the error that says how the process ended."""
        try:
            code = self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            return DeviceUnreachable("the agent closed its output and still runs")
        while self._errors in {key.fileobj for key in self._reading.get_map().values()} and self._reading.select(0):
            self._read_errors()
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return DeviceUnreachable(f"the agent ended {how}", cause=self._tail.decode(errors="replace").strip().rpartition("\n")[2])

    def _check_open(self) -> None:
        if self._closed:
            raise DeviceUnreachable("the channel is closed")

    def close(self) -> None:
        """Close its input, at which the agent ends itself and its children; kill it where it does not."""
        if self._closed:
            return
        self._closed = True
        self._reading.close()
        self._input.close()
        try:
            self._process.wait(timeout=FAREWELL_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._output.close()
        self._errors.close()
