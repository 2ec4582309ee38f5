"""Where the agent keeps its state, the lock on the board, and the store of models."""

import fcntl
import glob
import hashlib
import json
import os
import shutil
import time
from typing import Any, Dict, Optional


class Busy(Exception):
    """Somebody else holds the board; `holder` is what the lock file says of them."""

    def __init__(self, holder: Dict[str, Any]) -> None:
        super().__init__("the board is held")
        self.holder = holder


class WrongHash(Exception):
    """A file is not what it was announced to be."""


def home() -> str:
    """Return $EDGEPIPE_HOME, else /var/lib/edgepipe where writable, else ~/.local/share/edgepipe; it exists then."""
    wanted = os.environ.get("EDGEPIPE_HOME")
    for place in [wanted] if wanted else ["/var/lib/edgepipe", os.path.expanduser("~/.local/share/edgepipe")]:
        try:
            os.makedirs(place, mode=0o755, exist_ok=True)
        except OSError:
            continue
        if os.access(place, os.W_OK):
            return place
    raise OSError("no folder to keep state in: set EDGEPIPE_HOME")


class Lock:
    """A kernel lock on the board: it dies with this process, and no child inherits it (Python's handles close on exec)."""

    def __init__(self, folder: str) -> None:
        """Take the lock. Raises Busy."""
        self._handle = os.open(os.path.join(folder, "lock"), os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            holder = self._read()
            os.close(self._handle)
            raise Busy(holder) from exc
        self.sign("")

    def _read(self) -> Dict[str, Any]:
        try:
            holder = json.loads(os.read(self._handle, 4096).decode())
        except ValueError:  # the holder has not signed yet
            return {}
        return holder if isinstance(holder, dict) else {}

    def sign(self, holder: str) -> None:
        """Say in the lock file who holds it."""
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        text = json.dumps({"pid": os.getpid(), "since": since, "holder": holder}).encode()
        os.pwrite(self._handle, text, 0)
        os.ftruncate(self._handle, len(text))


class Store:
    """Models by their hash: store/sha256-<hex>/model.tflite, written whole or not at all, never changed."""

    def __init__(self, folder: str) -> None:
        """Open the store; what an agent that was killed left half-written is deleted (we hold the lock)."""
        self._folder = os.path.join(folder, "store")
        for part in glob.glob(os.path.join(glob.escape(self._folder), ".part-*")):
            os.unlink(part)

    def path(self, sha256: str) -> Optional[str]:
        """Return where the model is, or None."""
        path = os.path.join(self._place(sha256), "model.tflite")
        return path if os.path.isfile(path) else None

    def _place(self, sha256: str) -> str:
        if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
            raise WrongHash("%.80r is no sha256" % sha256)
        return os.path.join(self._folder, "sha256-" + sha256)

    def add(self, source: str, sha256: str) -> None:
        """Take in the file at `source`, which is gone then. Raises WrongHash where it is not the announced one."""
        place = self._place(sha256)
        os.makedirs(self._folder, exist_ok=True)
        part = os.path.join(self._folder, ".part-%d" % os.getpid())
        shutil.copyfile(source, part)
        os.unlink(source)
        try:
            arrived = file_sha256(part)
            if arrived != sha256:
                raise WrongHash("sha256 %s arrived where %s was announced" % (arrived, sha256))
            os.makedirs(place, exist_ok=True)
            _sync(part)
            os.replace(part, os.path.join(place, "model.tflite"))
            _sync(place)
        finally:
            if os.path.exists(part):
                os.unlink(part)


def _sync(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def file_sha256(path: str) -> str:
    """Return the hash of a file's content."""
    digest = hashlib.sha256()
    with open(path, "rb") as content:
        for chunk in iter(lambda: content.read(1 << 20), b""):
            digest.update(chunk)
    return digest.hexdigest()
