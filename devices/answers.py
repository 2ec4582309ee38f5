"""A board's answers as they come, kept in a file until all are there, so that none is asked for twice."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from time import time

from edgepipe.errors import DeviceBusy
from edgepipe.places import storage_errors

HEAD = struct.Struct("<II")  # bytes of an answer, and their CRC-32
COUNT, LENGTH = struct.Struct("<H"), struct.Struct("<I")
KEPT_S = 30 * 86400.0  # what nobody went on with for so long is deleted


class KeptAnswers:
    """The answers in one file, in the order of their samples; what a crash or a power cut left half-written is dropped."""

    def __init__(self, path: Path) -> None:
        """Open or begin the file. Raises DeviceBusy where another process is at it, StorageError."""
        self._path, self._count = path, 0
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _sweep(path.parent)
            self._file = path.open("a+b", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            self._file.close()
            raise DeviceBusy("another process collects the same answers of this board", todo="Wait for it.") from exc
        for _ in self:
            self._count += 1
        with storage_errors(path):
            self._file.truncate(self._end)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[tuple[bytes, ...]]:
        """Yield each answer's outputs, from the first on."""
        self._end = 0
        while body := self._next():
            self._end += HEAD.size + len(body)
            yield _outputs(body)

    def _next(self) -> bytes:
        """Return the next answer's bytes, b"" where there are none, or not all of them, or others."""
        self._file.seek(self._end)
        head = self._file.read(HEAD.size)
        if len(head) < HEAD.size:
            return b""
        size, crc = HEAD.unpack(head)
        if size > os.fstat(self._file.fileno()).st_size:  # damaged, and not to be made room for
            return b""
        body = self._file.read(size)
        return body if len(body) == size and zlib.crc32(body) == crc else b""

    def add(self, outputs: Sequence[bytes]) -> None:
        """Keep the next answer, whole or not at all. Raises StorageError."""
        body = COUNT.pack(len(outputs)) + b"".join(LENGTH.pack(len(output)) for output in outputs) + b"".join(outputs)
        data = HEAD.pack(len(body), zlib.crc32(body)) + body
        with storage_errors(self._path):
            if self._file.write(data) != len(data):  # the rest did not fit; what is half there is dropped by who opens it next
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._count += 1

    def close(self) -> None:
        """Let others have the file."""
        self._file.close()

    def forget(self) -> None:
        """Delete the file: all was made of it that was to be made."""
        with storage_errors(self._path):
            self._path.unlink(missing_ok=True)
        self.close()


def _outputs(body: bytes) -> tuple[bytes, ...]:
    (count,) = COUNT.unpack_from(body)
    start = COUNT.size + count * LENGTH.size
    outputs = []
    for index in range(count):
        (length,) = LENGTH.unpack_from(body, COUNT.size + index * LENGTH.size)
        outputs.append(body[start : start + length])
        start += length
    return tuple(outputs)


def _sweep(folder: Path) -> None:
    for path in folder.glob("*.answers"):
        with suppress(FileNotFoundError):  # whoever it belonged to has just forgotten it
            if time() - path.stat().st_mtime > KEPT_S:
                path.unlink()
