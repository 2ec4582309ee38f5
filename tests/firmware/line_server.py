"""A machine that a board hangs on: it passes the board's line on over TCP, as bytes or by RFC 2217."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import SimpleNamespace

from serial.rfc2217 import PortManager

from edgepipe.devices.transports.serial_line import Line
from edgepipe.errors import DeviceUnreachable

SLICE_S = 0.05
READ_BYTES = 4096


class LineServer:
    """Serves one line on a port of loopback, to one client after another; `baud` is what RFC 2217's client set last."""

    def __init__(self, line: Line, scheme: str) -> None:
        self._line, self._scheme = line, scheme
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._client: socket.socket | None = None
        self._over = threading.Event()
        self._port = SimpleNamespace(
            **dict.fromkeys(("cts", "dsr", "ri", "cd", "xonxoff", "rtscts", "dtr", "rts"), False),
            baudrate=9600,
            bytesize=8,
            parity="N",
            stopbits=1,
            **dict.fromkeys(("reset_input_buffer", "reset_output_buffer"), lambda: None),
        )
        self.url = f"{scheme}://127.0.0.1:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def baud(self) -> int:
        """What the line was set to."""
        return int(self._port.baudrate)

    def hang_up(self) -> None:
        """End the connection, as a machine that is switched off."""
        if self._client is not None:
            with suppress(OSError):
                self._client.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Serve no more."""
        self._over.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.hang_up()
        self._thread.join()

    def _serve(self) -> None:
        while not self._over.is_set():
            try:
                self._client, _ = self._listening.accept()
            except OSError:
                return
            with self._client:
                self._pass_on(self._client)

    def _pass_on(self, client: socket.socket) -> None:
        """Pass bytes both ways until the client leaves."""
        writing, left = threading.Lock(), threading.Event()

        def write(data: bytes) -> None:
            with writing, suppress(OSError):
                client.sendall(data)

        manager = PortManager(self._port, SimpleNamespace(write=write)) if self._scheme == "rfc2217" else None

        def upwards() -> None:
            with suppress(DeviceUnreachable):
                while not left.is_set():
                    data = self._line.read(deadline_s=SLICE_S)
                    write(b"".join(manager.escape(data)) if manager else data)
            self.hang_up()

        reader = threading.Thread(target=upwards, daemon=True)
        reader.start()
        with suppress(OSError, DeviceUnreachable):
            while data := client.recv(READ_BYTES):
                self._line.write(b"".join(manager.filter(data)) if manager else data, deadline_s=5)
        left.set()
        reader.join()


@contextmanager
def served(line: Line, scheme: str) -> Iterator[LineServer]:
    """Serve a line for the length of a `with`."""
    server = LineServer(line, scheme)
    try:
        yield server
    finally:
        server.close()
