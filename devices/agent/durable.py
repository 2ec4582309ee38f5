"""Changes to files that are there whole or not at all, also after a power cut: write aside, sync, one rename, sync the folder."""

import fcntl
import os
import time
from contextlib import contextmanager
from typing import Callable, Iterator

PART = ".part-"
PATIENCE_S = 10.0
POLL_S = 0.02


def sync(path: str) -> None:
    """Have the disk write a file, or the names in a folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def part_of(path: str) -> str:
    """Return the name that `path` has until it is whole."""
    return os.path.join(os.path.dirname(path), PART + os.path.basename(path))


def write_whole(path: str, content: bytes) -> None:
    """Put `content` at `path`. The caller holds a lock: nobody else writes the same part."""
    part = part_of(path)
    with open(part, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
    sync(os.path.dirname(path))


def point(link: str, target: str) -> None:
    """Let the symbolic link at `link` name `target`, by one rename."""
    part = part_of(link)
    if os.path.lexists(part):
        os.unlink(part)
    os.symlink(target, part)
    os.replace(part, link)
    sync(os.path.dirname(link))


@contextmanager
def turn(path: str, impatient: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock file at `path`; `impatient` is called when that took PATIENCE_S, then OSError is raised."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        end = time.monotonic() + PATIENCE_S
        while not _taken(handle):
            if time.monotonic() >= end:
                impatient()
                raise OSError("%s is held by another process" % path)
            time.sleep(POLL_S)
        try:
            yield
        finally:
            fcntl.flock(handle, fcntl.LOCK_UN)  # closing does, too, unless the disk refuses it
    finally:
        os.close(handle)


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
