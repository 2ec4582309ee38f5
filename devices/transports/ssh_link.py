"""One SSH connection: whatever is done on it has a deadline, and passing that closes it; nothing it says shows a secret."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic

import paramiko

from edgepipe.devices.transports.redact import Redactor
from edgepipe.errors import DeviceUnreachable

LOG = "edgepipe.paramiko"
DEAD_PEER_MS = 30_000  # bytes that the other side's kernel did not acknowledge for so long: it is gone (tcp(7), TCP_USER_TIMEOUT)
GRACE_S = 0.5  # on top of a deadline, for what ends when the connection is closed
WINDOW_BYTES = 1 << 20  # the most that a channel's other side may say before somebody reads it


class Watch:
    """A deadline that somebody else keeps: `act` is called when it has passed, unless `end` was."""

    def __init__(self, seconds: float, stall_s: float | None, act: Callable[[], None]) -> None:
        self.is_late, self.limit_s = False, max(0.0, seconds)
        self._last = monotonic() + self.limit_s
        self._stall_s, self._act, self._over = stall_s, act, threading.Event()
        self.progress()
        threading.Thread(target=self._wait, name="deadline", daemon=True).start()

    def progress(self) -> None:
        """Something moved: the time without any begins anew."""
        self._due = self._last if self._stall_s is None else min(self._last, monotonic() + self._stall_s)

    def end(self) -> None:
        """All is done."""
        self._over.set()

    def _wait(self) -> None:
        while not self._over.wait(max(0.0, self._due - monotonic())):
            if monotonic() >= self._due:
                self.limit_s = self.limit_s if self._due == self._last or self._stall_s is None else self._stall_s
                self.is_late = True
                self._act()
                return


class Link:
    """Guards the calls to one `paramiko.SSHClient`: paramiko's own waits are partly without a limit."""

    def __init__(self, name: str, redact: Redactor) -> None:
        self.name, self.redact = name, redact
        self.client = paramiko.SSHClient()
        self.client.set_log_channel(LOG)
        logging.getLogger(LOG).setLevel(logging.CRITICAL + 1)  # it logs tracebacks at every broken line; what is wrong is raised
        self._socket: socket.socket | None = None
        self._over = False

    @property
    def transport(self) -> paramiko.Transport:
        """The connection. Raises DeviceUnreachable where there is none any more."""
        transport = self.client.get_transport()
        if self._over or transport is None or not transport.is_active():
            raise DeviceUnreachable(f"the connection to {self.name} is closed")
        return transport

    @property
    def is_alive(self) -> bool:
        """Whether the connection stands, as far as this side knows."""
        transport = self.client.get_transport()
        return not self._over and transport is not None and transport.is_active()

    def dial(self, host: str, port: int, deadline_s: float) -> socket.socket:
        """Return a connected socket. Looking up a name cannot be stopped, so a thread does it that may be left behind."""
        done: list[socket.socket | OSError] = []

        def connect() -> None:
            try:
                made = socket.create_connection((host, port), timeout=deadline_s)
            except OSError as exc:
                done.append(exc)
                return
            if self._over:
                made.close()
            done.append(made)

        thread = threading.Thread(target=connect, name=f"dial {self.name}", daemon=True)
        thread.start()
        thread.join(deadline_s)
        if not done:
            self._over = True
            raise DeviceUnreachable(f"{self.name} ({host}:{port}) did not answer within {deadline_s:g} s")
        found = done[0]
        if isinstance(found, OSError):
            raise DeviceUnreachable(f"{self.name} ({host}:{port}) cannot be reached: {found.strerror or found}") from found
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(AttributeError, OSError):  # Linux only; elsewhere the deadlines alone notice a dead peer
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_PEER_MS)
        self._socket = found
        return found

    @contextmanager
    def within(self, seconds: float, doing: str, *, stall_s: float | None = None) -> Iterator[Watch]:
        """Give what happens inside `seconds`, then close the connection, at which every wait ends. Raises DeviceUnreachable.

        With `stall_s`, the yielded watch must also be told of some progress at least that often.
        """
        watch = Watch(seconds, stall_s, self.close)
        try:
            yield watch
            if watch.is_late:
                raise EOFError
        except (paramiko.SSHException, paramiko.SFTPError, OSError, EOFError) as exc:
            if watch.is_late:
                raise DeviceUnreachable(
                    f"could not {doing} {self.name} within {watch.limit_s:.3g} s", cause="the board hangs, or the network lost it"
                ) from exc
            if isinstance(exc, paramiko.SFTPError):
                raise DeviceUnreachable(
                    f"could not {doing} {self.name}: {self.redact(words(exc))}",
                    cause="a login script there, such as ~/.bashrc, prints something into the file transfer",
                    todo="Let it print only where somebody can read it: [ -t 1 ] || return",
                ) from exc
            raise DeviceUnreachable(f"could not {doing} {self.name}: {self.redact(words(exc))}") from exc
        finally:
            watch.end()

    def close(self) -> None:
        """Cut the connection: first the socket, so that nothing waits for a peer that reads no more. May be called twice."""
        self._over = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
        self.client.close()


def words(exc: Exception) -> str:
    """Return what an error of paramiko's says, in one line."""
    said = " ".join(str(exc).split())
    return said or ("the connection broke" if isinstance(exc, EOFError) else type(exc).__name__)


def run_within(link: Link, seconds: float, doing: str, call: Callable[[], None]) -> None:
    """Call `call` under a deadline where the connection still stands; what goes wrong no longer matters.

    In a thread that may be left behind: paramiko waits without a limit for a lock that a Ctrl-C in the wrong moment left taken.
    """

    def work() -> None:
        with suppress(DeviceUnreachable), link.within(seconds, doing):
            call()

    if link.is_alive:
        thread = threading.Thread(target=work, name=f"farewell {link.name}", daemon=True)
        thread.start()
        thread.join(seconds + GRACE_S)
