"""Where state lives: results of this project, caches and settings of this user; and how a file gets there whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from edgepipe.errors import StorageError


def results_dir() -> Path:
    """Return EDGEPIPE_RESULTS, else ./edgepipe-results."""
    return Path(os.environ.get("EDGEPIPE_RESULTS") or "edgepipe-results").absolute()


def cache_dir() -> Path:
    """Return $XDG_CACHE_HOME/edgepipe, else ~/.cache/edgepipe."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "edgepipe"


def config_dir(environment: Mapping[str, str] = os.environ) -> Path:
    """Return $XDG_CONFIG_HOME/edgepipe, else ~/.config/edgepipe."""
    base = environment.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path(environment.get("HOME") or Path.home()) / ".config") / "edgepipe"


FULL = (errno.ENOSPC, errno.EDQUOT)
CAUSES = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota is used up",
    errno.EACCES: "no permission to write there",
    errno.EROFS: "the file system is read-only",
}


@contextmanager
def storage_errors(path: Path, *, needed_bytes: int | None = None) -> Iterator[None]:
    """Turn an OSError while writing `path` into a StorageError that says what to do, and how much it takes where that is known."""
    try:
        yield
    except OSError as exc:
        cause = CAUSES.get(exc.errno or 0, exc.strerror or str(exc))
        needed = f", and {needed_bytes:,} bytes are needed" if exc.errno in FULL and needed_bytes is not None else ""
        raise StorageError(f"could not write {path}: {cause}{needed}", cause=cause, todo=way_out(path, exc.errno)) from exc


def way_out(path: Path, number: int | None) -> str:
    """Return what to do where the system refused `path` with this error number: what says that such files go elsewhere."""
    chosen_by = {cache_dir(): " with XDG_CACHE_HOME", results_dir(): " with EDGEPIPE_RESULTS"}
    place = path.absolute()
    how = next((how for folder, how in chosen_by.items() if folder.absolute() in (place, *place.parents)), "")
    return f"{'Free some space, or choose' if number in FULL else 'Choose'} another place{how}. Nothing half-written was left."


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is synced and renamed over `path`, else deleted.

    Raises StorageError where the disk refuses; what was at `path` before is then still there.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(handle)
        part = Path(name)
        part.chmod(0o666 & ~_umask())
        try:
            yield part
            with part.open("rb") as written:
                os.fsync(written.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def regular(path: Path) -> Path:
    """Return `path` where a regular file stands. Raises OSError otherwise: reading a pipe or a device might never end."""
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise OSError(errno.EISDIR, "it is a folder", str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is a pipe or a device, not a file", str(path))
    return path


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_whole(path: Path, content: bytes | str) -> None:
    """Write `content` to `path` whole or not at all. Raises StorageError."""
    with whole_file(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)
