"""The frequency governor while models are measured: `performance` where this user may set it, and what was there before afterwards.

It is put back however the agent ends: by the agent itself, else (SIGKILL, a crash) by a keeper, which is a process that waits for
that; what both leave behind, the next agent puts back. A reboot does so by itself.
"""

import contextlib
import fcntl
import glob
import json
import os
import signal
import time
from typing import Callable, Dict, List, Optional

from .clock import boot_id

STEADY = "performance"
# One file for each group of cores that share a clock; older kernels show it for each core only (kernel, admin-guide/pm/cpufreq).
PATTERNS = ("sys/devices/system/cpu/cpufreq/policy*/scaling_governor", "sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor")
PATIENCE_S = 2.0  # for an agent that has just crashed, and its keeper


def files(root: str) -> List[str]:
    """Return the files that set the governor, none where the system does not let it be seen."""
    found = (sorted(glob.glob(os.path.join(glob.escape(root), pattern))) for pattern in PATTERNS)
    return next((each for each in found if each), [])


def is_settable(root: str) -> Optional[bool]:
    """Whether this user may set it; None where there is nothing to set."""
    there = files(root)
    return all(os.access(path, os.W_OK) for path in there) if there else None


class Governor:
    """The governor of one board. `folder` is the agent's home, where what is to be put back is noted."""

    def __init__(self, folder: str, root: str = "/") -> None:
        self._note, self._root = os.path.join(folder, "governor.json"), root
        self._lock: Optional[int] = None
        self._keeper: Optional[int] = None
        with contextlib.suppress(OSError):
            self._put_back_what_was_left()

    def steady(self) -> None:
        """Set it for the rest of this session; where that is not allowed, nothing happens, which the blocks' conditions show."""
        with contextlib.suppress(OSError):
            if self._lock is None and is_settable(self._root) and self._take_lock(PATIENCE_S):
                try:
                    self._set()
                finally:
                    if self._keeper is None:
                        self.restore()

    def _set(self) -> None:
        """Note what there is, have it kept, and only then change it; the lock is held."""
        assert self._lock is not None
        self._put_back()
        before = {path: _read(path) for path in files(self._root)}
        wrong = {path: value for path, value in before.items() if value != STEADY}
        if wrong:
            self._write_note(wrong)
            self._keeper = keep(self._put_back, self._lock)
        for path in wrong:
            _write(path, STEADY)

    def restore(self) -> None:
        """Put back what was there before, and let the keeper go."""
        if self._lock is None:
            return
        with contextlib.suppress(OSError):
            self._put_back()
        if self._keeper is not None:
            with contextlib.suppress(OSError):
                os.write(self._keeper, b".")
            os.close(self._keeper)
        os.close(self._lock)
        self._lock = self._keeper = None

    def _take_lock(self, patience_s: float) -> bool:
        """Take the note's lock, which this agent and its keeper share; False where another's has it."""
        handle, end = os.open(self._note, os.O_RDWR | os.O_CREAT, 0o644), time.monotonic() + patience_s
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if time.monotonic() >= end:
                    os.close(handle)
                    return False
                time.sleep(0.02)
            else:
                self._lock = handle
                return True

    def _put_back_what_was_left(self) -> None:
        if os.path.exists(self._note) and os.path.getsize(self._note) and self._take_lock(PATIENCE_S):
            self.restore()

    def _write_note(self, before: Dict[str, str]) -> None:
        assert self._lock is not None
        note = json.dumps({"boot": boot_id(), "before": before}).encode()
        os.pwrite(self._lock, note, 0)
        os.ftruncate(self._lock, len(note))
        os.fsync(self._lock)

    def _put_back(self) -> None:
        """Write what the note says where `performance` still stands, unless the board was restarted since; then empty the note."""
        assert self._lock is not None
        try:
            note = json.loads(os.pread(self._lock, 1 << 20, 0).decode())
        except ValueError:  # empty, or cut off by a power cut, after which there is nothing to put back
            return
        if note["boot"] == boot_id():
            for path, value in note["before"].items():
                if _read(path) in (STEADY, ""):
                    with contextlib.suppress(OSError):  # the others shall have theirs
                        _write(path, value)
        os.ftruncate(self._lock, 0)


def keep(put_back: Callable[[], None], hold: int) -> int:
    """Start a process that puts back when the returned handle is closed, unless something was written to it before.

    It is no child of this one, is deaf to the signals that end a session, and has no handle but `hold` and its own: not the board's
    lock, not the pipes.
    """
    reading, writing = os.pipe()
    between = os.fork()
    if between:
        os.close(reading)
        os.waitpid(between, 0)
        return writing
    try:
        os.setsid()
        if os.fork() == 0:
            for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)
            for handle in {int(name) for name in os.listdir("/proc/self/fd")} - {reading, hold}:
                with contextlib.suppress(OSError):
                    os.close(handle)
            if not os.read(reading, 1):
                put_back()
    finally:
        os._exit(0)


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""


def _write(path: str, value: str) -> None:
    with open(path, "w") as file:
        file.write(value)
