"""Where the agent keeps its state, and the lock on the board."""

import contextlib
import fcntl
import json
import os
import time
from typing import Any, Dict, Optional, Sequence

SHARED = ("/run/lock", "/tmp")  # where every user of a machine may write


class Busy(Exception):
    """Somebody else holds the board; `holder` is what the lock file says of them."""

    def __init__(self, holder: Dict[str, Any]) -> None:
        super().__init__("the board is held")
        self.holder = holder


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


def _for_all_users(folders: Sequence[str]) -> Optional[int]:
    """Return a handle on the machine's own lock file, in the first of the folders that allows it; None where none does.

    Whoever came first owns the file; to lock it, reading is enough (flock(2)). A sticky folder may forbid O_CREAT to others.
    """
    for folder in folders:
        place = os.path.join(folder, "edgepipe.lock")
        for flags in (os.O_RDONLY, os.O_RDONLY | os.O_CREAT | os.O_EXCL, os.O_RDONLY):
            try:
                return os.open(place, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
            except OSError:
                continue
    return None


class Lock:
    """A kernel lock on the board: it dies with this process, and no child inherits it (Python's handles close on exec)."""

    def __init__(self, folder: str, shared: Sequence[str] = SHARED) -> None:
        """Take the lock of the home and, unless EDGEPIPE_HOME makes that a board of its own, the machine's. Raises Busy."""
        self._handle = os.open(os.path.join(folder, "lock"), os.O_RDWR | os.O_CREAT, 0o644)
        self._machine = None if os.environ.get("EDGEPIPE_HOME") else _for_all_users(shared)
        if not _taken(self._handle):
            holder = self._read()
            self._let_go()
            raise Busy(holder)
        if self._machine is not None and not _taken(self._machine):
            self._let_go()
            raise Busy({})  # somebody with another home: another user of the machine
        self.sign("")

    def _let_go(self) -> None:
        for handle in (self._handle, self._machine):
            if handle is not None:
                os.close(handle)

    def _read(self) -> Dict[str, Any]:
        try:
            holder = json.loads(os.read(self._handle, 4096).decode())
        except ValueError:  # the holder has not signed yet
            return {}
        return holder if isinstance(holder, dict) else {}

    def sign(self, holder: str) -> None:
        """Say in the lock file who holds it; a full disk keeps the words out, not the holder."""
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        text = json.dumps({"pid": os.getpid(), "since": since, "holder": holder}).encode()
        with contextlib.suppress(OSError):
            os.pwrite(self._handle, text, 0)
            os.ftruncate(self._handle, len(text))


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
