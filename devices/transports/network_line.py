"""Serial lines of other machines: a bare TCP connection (`socket://`), or RFC 2217, which also sets the baud rate over there.

Neither asks who one is, and anybody on the way can read and write: they belong on loopback, in a VPN, or in an SSH tunnel.
"""

from __future__ import annotations

import socket
from time import monotonic
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from edgepipe.devices.transports.serial_line import READ_BYTES, HandleLine, Line
from edgepipe.errors import DeviceUnreachable

if TYPE_CHECKING:
    from serial.rfc2217 import Serial

CONNECT_S = 5.0  # pyserial's for RFC 2217, which cannot be told another
SLICE_S = 0.02
FLOOD_BYTES = 1 << 20  # more than any board says unasked


def network_line(url: str, baud: int, *, deadline_s: float) -> Line:
    """Open the line at `socket://host:port` or `rfc2217://host:port`. Raises DeviceUnreachable."""
    return Rfc2217Line(url, baud) if url.startswith("rfc2217:") else SocketLine(url, deadline_s=deadline_s)


class SocketLine(HandleLine):
    """Bytes over TCP as they are; the baud rate is whatever the other machine has set."""

    def __init__(self, url: str, *, deadline_s: float) -> None:
        """Connect. Raises DeviceUnreachable."""
        place = urlsplit(url)
        try:
            connection = socket.create_connection((str(place.hostname), place.port or 0), timeout=min(CONNECT_S, deadline_s))
        except OSError as exc:
            raise _cannot_connect(url, exc) from exc
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(False)
        super().__init__(connection.detach(), url)

    def _gone(self) -> DeviceUnreachable:
        return _hung_up(self._name)


class Rfc2217Line:
    """pyserial's client; it has a thread that reads, and waits 5 s at most to connect or write and 3 s for each answer."""

    def __init__(self, url: str, baud: int) -> None:
        """Connect and have the other machine set its line up. Raises DeviceUnreachable."""
        from serial import SerialException
        from serial.rfc2217 import Serial

        self._url = url
        self._port: Serial | None = None
        port = Serial(None, baudrate=baud, timeout=SLICE_S)
        port.port = url
        try:
            port.open()
        except (SerialException, OSError) as exc:
            raise _cannot_connect(url, exc) from exc
        self._port = port

    def read(self, *, deadline_s: float) -> bytes:
        """Return what has come."""
        from serial import SerialException

        port, end = self._open(), monotonic() + deadline_s
        try:
            while not (data := port.read(1)) and monotonic() < end:
                pass
            data += port.read(min(port.in_waiting, READ_BYTES)) if data else b""
        except (SerialException, OSError) as exc:
            raise _hung_up(self._url) from exc
        if port.in_waiting > FLOOD_BYTES:  # pyserial keeps all that comes
            self.close()
            raise DeviceUnreachable(f"{self._url} sends more than can be read", cause="it is no board's line")
        return bytes(data)

    def write(self, data: bytes, *, deadline_s: float) -> None:
        """Send bytes."""
        from serial import SerialException

        try:
            self._open().write(data)
        except (SerialException, OSError) as exc:
            raise _hung_up(self._url) from exc

    def close(self) -> None:
        """Hang up."""
        port, self._port = self._port, None
        if port is not None:
            port.close()

    def _open(self) -> Serial:
        if self._port is None:
            raise DeviceUnreachable(f"{self._url} is not open")
        return self._port


def _hung_up(url: str) -> DeviceUnreachable:
    return DeviceUnreachable(f"{url} is gone", cause="the machine that the board hangs on ended the connection")


def _cannot_connect(url: str, exc: OSError) -> DeviceUnreachable:
    words = str(exc)
    if "does not seem to support" in words:
        return DeviceUnreachable(
            f"{url}: something answers there, but not in RFC 2217",
            todo="Write socket:// for a server that passes bytes on as they are.",
        )
    if "parameter change" in words:
        return DeviceUnreachable(f"{url}: the line over there does not take this baud rate", todo="Write another `baud`.")
    reason = exc.strerror or words.rpartition("] ")[2] or "no answer"
    return DeviceUnreachable(
        f"{url} cannot be reached: {reason}",
        cause="no server for the serial line runs there, or something on the way keeps it",
        todo="Start it there, such as ser2net or `socat TCP-LISTEN`, on loopback, and reach it through an SSH tunnel.",
    )
