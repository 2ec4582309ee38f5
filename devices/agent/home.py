"""Where the agent keeps its state, and the lock on the board."""

import contextlib
import fcntl
import json
import os
import time
from typing import Any, Dict


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
        """Say in the lock file who holds it; a full disk keeps the words out, not the holder."""
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        text = json.dumps({"pid": os.getpid(), "since": since, "holder": holder}).encode()
        with contextlib.suppress(OSError):
            os.pwrite(self._handle, text, 0)
            os.ftruncate(self._handle, len(text))
