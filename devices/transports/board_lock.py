"""The lock on a board that cannot keep one itself: a kernel lock on a file of this machine, named by what the board is."""

from __future__ import annotations

import fcntl
import hashlib
import os
from contextlib import suppress
from pathlib import Path

from edgepipe.errors import DeviceBusy
from edgepipe.places import cache_dir, storage_errors

SHARED = (Path("/run/lock"), Path("/tmp"))  # where every user of a machine may write


class BoardLock:
    """Dies with this process; no child inherits it, since Python's handles close on exec."""

    def __init__(self, name: str, key: str, *, folder: Path | None = None) -> None:
        """Take the lock of the board `key`, which messages call `name`. Raises DeviceBusy with who has it, StorageError."""
        digest = hashlib.sha256(key.encode()).hexdigest()[:16]
        path = (folder or _shared()) / f"edgepipe-board-{digest}.lock"
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._handle: int | None = _opened(path)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            holder = os.pread(self._handle, 200, 0).decode(errors="replace").strip() or "another process"
            self.free()
            raise DeviceBusy(f"{name} is held by {holder}", todo="Wait for it, or end it.") from exc
        with suppress(OSError):  # whoever made the file may have it written by themselves only; the lock holds all the same
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, f"process {os.getpid()}\n".encode(), 0)

    def free(self) -> None:
        """Let others have the board. May be called twice."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)


def _shared() -> Path:
    return next((folder for folder in SHARED if os.access(folder, os.W_OK)), cache_dir() / "locks")


def _opened(path: Path) -> int:
    """Open the file, or make it; one of another user may be readable only, which is enough to lock it (flock(2))."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    except PermissionError:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
