"""Lines over a channel of an SSH connection: both outputs are read while waiting, so that neither stops the other."""

from __future__ import annotations

import threading
from time import monotonic

import paramiko

from edgepipe.devices.agent.lines import LineBuffer
from edgepipe.devices.transports.ssh_link import Link, run_within
from edgepipe.errors import DeviceUnreachable

TAIL_BYTES = 4096
READ_BYTES = 1 << 16
FAREWELL_S = 3.0  # for a program whose input has ended


class Wake(threading.Event):
    """Set by whatever arrives, by either output's buffer; only who waits clears it, with `rest`."""

    def clear(self) -> None:
        """Do nothing: one of the two buffers was emptied, which says nothing of the other."""

    def rest(self) -> None:
        """Forget what arrived so far."""
        super().clear()


class SshChannel:
    """A conversation with a program on the board; `what` names it in messages."""

    def __init__(self, link: Link, channel: paramiko.Channel, what: str) -> None:
        self._link, self._channel, self._what = link, channel, what
        self._buffer, self._lines, self._tail, self._wake = LineBuffer(), list[bytes](), b"", Wake()
        channel.in_buffer.set_event(self._wake)
        channel.in_stderr_buffer.set_event(self._wake)
        self._closed = False

    def send(self, line: bytes, *, deadline_s: float) -> None:
        """Send one line; a board that does not read it by the deadline loses the connection."""
        self._check_open()
        with self._link.within(deadline_s, f"send to {self._what} on"):
            self._channel.sendall(line + b"\n")

    def receive(self, *, deadline_s: float) -> bytes:
        """Return the next line."""
        self._check_open()
        end = monotonic() + deadline_s
        while not self._lines:
            self._wake.rest()
            if not self._read() and not self._wake.wait(max(0.0, end - monotonic())):
                raise DeviceUnreachable(
                    f"{self._what} on {self._link.name} said nothing for {deadline_s:g} s", cause="it hangs, or the network lost it"
                )
        return self._lines.pop(0)

    def _read(self) -> bool:
        """Take in what has arrived; return whether anything had. Raises DeviceUnreachable at the end."""
        channel = self._channel
        ended = channel.eof_received or channel.closed  # asked first: what arrives meanwhile is not lost
        errors = channel.recv_stderr(READ_BYTES) if channel.recv_stderr_ready() else b""
        self._tail = (self._tail + errors)[-TAIL_BYTES:]
        data = channel.recv(READ_BYTES) if channel.recv_ready() else b""
        try:
            self._lines += self._buffer.feed(data)
        except ValueError as exc:
            raise DeviceUnreachable(f"{self._what} on {self._link.name} spoke out of turn: {exc}") from exc
        if ended and not errors and not data:
            raise self._ended()
        return bool(errors or data)

    def _ended(self) -> DeviceUnreachable:
        """Return the error that says how the program ended."""
        last = self._link.redact(self._tail.decode(errors="replace").strip().rpartition("\n")[2])[:400]
        if self._channel.status_event.wait(1.0) and self._channel.exit_status >= 0:
            return DeviceUnreachable(
                f"{self._what} on {self._link.name} ended with exit code {self._channel.exit_status}", cause=last
            )
        if self._link.is_alive:
            return DeviceUnreachable(f"{self._what} on {self._link.name} ended", cause=last)
        return DeviceUnreachable(f"the connection to {self._link.name} broke", cause=last)

    def _check_open(self) -> None:
        if self._closed:
            raise DeviceUnreachable("the channel is closed")

    def close(self) -> None:
        """End the program's input, at which it ends itself and lets go of the board, and wait for that, but not for long."""
        if not self._closed:
            self._closed = True
            run_within(self._link, FAREWELL_S, f"end {self._what} on", self._part)

    def _part(self) -> None:
        self._channel.shutdown_write()
        end = monotonic() + FAREWELL_S / 2
        while not self._channel.status_event.is_set() and monotonic() < end:
            self._wake.rest()
            while self._channel.recv_ready() and self._channel.recv(READ_BYTES):
                pass
            while self._channel.recv_stderr_ready() and self._channel.recv_stderr(READ_BYTES):
                pass
            self._channel.status_event.wait(0.05)
        self._channel.close()
