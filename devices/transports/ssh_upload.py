"""Uploads that are atomic and resumable: SFTP moves the bytes, a program on the board says what has arrived and is right."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import paramiko

from edgepipe.devices.agent.arrivals import CHUNK_BYTES
from edgepipe.devices.agent.lines import Message, decode
from edgepipe.devices.transports.ssh_channel import SshChannel
from edgepipe.devices.transports.ssh_link import Link
from edgepipe.errors import DeviceUnreachable, InfrastructureError, ModelFileError, StorageError, error_for

STALL_S = 30.0  # the longest time without any progress, whatever the deadline of the whole
PIECE_BYTES, FIRST_PIECE_BYTES = 32 << 10, 8 << 10  # of one request: the largest of SFTP's, and one for a line of unknown speed
FAST_BYTES_PER_S = 64 << 10
AHEAD = 16  # requests without an answer yet, half a MiB: what a broken connection loses at most, and 100 Mbit/s at 40 ms
ASK_S = 60.0  # the board hashes whole files


@dataclass(frozen=True, kw_only=True)
class Survey:
    """A file as it is here: its size and sha256."""

    source: Path
    size_bytes: int
    sha256: str

    def verified_bytes(self, arrived: list[str], arrived_bytes: int) -> int:
        """Return how many bytes from the start are right on a board that has `arrived_bytes`, with these hashes of each MiB."""
        right = 0
        for chunk, theirs in zip(_chunks(self.source), arrived, strict=False):
            ours = chunk[: arrived_bytes - right]
            if hashlib.sha256(ours).hexdigest() != theirs:
                break
            right += len(ours)
        return right


def survey(source: Path) -> Survey:
    """Read a file once. Raises ModelFileError."""
    whole, size = hashlib.sha256(), 0
    try:
        for chunk in _chunks(source):
            whole.update(chunk)
            size += len(chunk)
    except OSError as exc:
        raise ModelFileError(f"cannot read {source}: {exc.strerror}") from exc
    return Survey(source=source, size_bytes=size, sha256=whole.hexdigest())


def _chunks(source: Path) -> Iterator[bytes]:
    with source.open("rb") as content:
        while chunk := content.read(CHUNK_BYTES):
            yield chunk


class Sftp(paramiko.SFTPClient):
    """paramiko's own pipelining asks for the answers to all of a file's requests or to none; a window needs some of them."""

    def answers(self, file: paramiko.SFTPFile, ahead: int, heard: Callable[[], None]) -> None:
        """Wait until at most `ahead` requests have no answer. Raises OSError where the board could not do one of them."""
        waiting = file._reqs  # type: ignore[attr-defined]  # the type stubs show public names only
        while len(waiting) > ahead:
            self._read_response(waiting.popleft())  # type: ignore[attr-defined]
            heard()


class Uploads:
    """Sends files over one connection. `arrivals` is the program on the board, which has said in which folder they arrive."""

    def __init__(self, link: Link, arrivals: SshChannel, folder: str) -> None:
        self._link, self._arrivals, self._folder = link, arrivals, folder
        self._sftp: Sftp | None = None
        self.sent_bytes = 0

    def put(self, source: Path, name: str, *, deadline_s: float) -> str:
        """Bring a file and return its path there; nothing is sent of what the board has already. Raises InfrastructureError."""
        end = monotonic() + deadline_s
        ours = survey(source)
        names = {"name": name, "part": f"{ours.sha256}.part", "sha256": ours.sha256}
        state = self._ask({"do": "want", **names, "bytes": ours.size_bytes}, end)
        path = f"{self._folder}/{name}"
        if state["there"]:
            return path
        start = ours.verified_bytes(state["chunks"], int(state["part_bytes"]))
        if ours.size_bytes - start > state["free_bytes"]:
            raise StorageError(
                f"{self._link.name} has {state['free_bytes']:,} bytes free, and {source.name} needs {ours.size_bytes - start:,}",
                todo="Free some space on the board.",
            )
        self._send(source, f"{self._folder}/{names['part']}", start, end)
        arrived = self._ask({"do": "settle", **names}, end)["sha256"]
        if arrived != ours.sha256:
            raise InfrastructureError(
                f"{source.name} arrived damaged on {self._link.name}: sha256 {arrived}, announced {ours.sha256}",
                cause="the board's disk, or a file that changed while it was sent",
                todo="Try again; the damaged file was deleted.",
            )
        return path

    def _transfer(self, end: float) -> Sftp:
        """Return the file transfer, begun when the first byte is to be sent: a board that has all is not asked for one."""
        if self._sftp is None:
            with self._link.within(min(STALL_S, end - monotonic()), "open a file transfer to"), self._refused():
                self._sftp = Sftp.from_transport(self._link.transport)
        assert self._sftp is not None  # the connection still stands
        return self._sftp

    @contextmanager
    def _refused(self) -> Iterator[None]:
        """Tell a board without SFTP from one that went away: the first still talks, and closes the channel that asked for it."""
        try:
            yield
        except (paramiko.SSHException, EOFError, OSError) as exc:  # by how far the question had got when it was closed
            if not self._link.is_alive:
                raise
            todo = "Let /etc/ssh/sshd_config there say: Subsystem sftp internal-sftp; then restart sshd."
            raise DeviceUnreachable(f"{self._link.name} offers no file transfer (SFTP)", todo=todo) from exc

    def _send(self, source: Path, part: str, start: int, end: float) -> None:
        """Write the bytes from `start` on, many requests ahead of the board's answers; each answer is a sign of life."""
        sftp = self._transfer(end)
        with source.open("rb") as content, self._link.within(end - monotonic(), "write to", stall_s=STALL_S) as watch:
            content.seek(start)
            try:
                file = sftp.open(part, "r+b")
            except FileNotFoundError:  # somebody else brought the same file meanwhile
                return
            file.seek(start)
            file.set_pipelined(True)
            began, written = monotonic(), 0
            try:
                while piece := content.read(_piece_bytes(written, monotonic() - began)):
                    file.write(piece)
                    written += len(piece)
                    self.sent_bytes += len(piece)
                    sftp.answers(file, AHEAD, watch.progress)
                sftp.answers(file, 0, watch.progress)
                file.close()
            except OSError as exc:
                if not self._link.is_alive:
                    raise
                raise StorageError(
                    f"{self._link.name} could not write the file: {self._link.redact(str(exc))}",
                    cause="its disk is full or broken",
                    todo="Free some space on the board; what has arrived is kept, and the next attempt goes on from there.",
                ) from exc

    def _ask(self, request: Message, end: float) -> Message:
        """Ask the program on the board."""
        left = end - monotonic()
        self._arrivals.send(json.dumps(request).encode(), deadline_s=min(STALL_S, left))
        return heard(self._arrivals, self._link, min(ASK_S, end - monotonic()))


def _piece_bytes(written: int, seconds: float) -> int:
    return PIECE_BYTES if written > FAST_BYTES_PER_S * seconds else FIRST_PIECE_BYTES


def heard(arrivals: SshChannel, link: Link, deadline_s: float) -> Message:
    """Return what the program on the board says next. Raises the error that it names."""
    line = arrivals.receive(deadline_s=max(0.0, deadline_s))
    try:
        answer = decode(line)
    except ValueError as exc:
        raise DeviceUnreachable(
            f"{link.name} said something that is no answer: {link.redact(line.decode(errors='replace'))[:60]!r}",
            cause="a login script there writes to standard output, or the account may not run commands",
            todo="`ssh USER@HOST true` must print nothing: let ~/.bashrc there begin with [ -t 1 ] || return",
        ) from exc
    if "error" in answer:
        raise error_for(str(answer["error"]))(f"{link.name}: {link.redact(str(answer.get('words')))}")
    return answer
