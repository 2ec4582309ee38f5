"""The journal: what was done to the slots and why, one JSON object a line, on the disk before anything follows from it."""

import json
import os
from typing import Any, Dict, List

from .clock import utc
from .durable import sync, write_whole

Entry = Dict[str, Any]
LARGEST_BYTES = 256 << 10
KEPT = 500  # entries, when it got larger


class Journal:
    """journal.jsonl. Each entry has the boot it was written in, the seconds since that boot, and the wall clock for people."""

    def __init__(self, folder: str) -> None:
        self.path = os.path.join(folder, "journal.jsonl")

    def append(self, event: str, boot: str, uptime_s: float, **fields: Any) -> None:
        """Write an entry, whole or not at all. Raises OSError."""
        entry = dict(fields, event=event, boot=boot, uptime_s=round(uptime_s, 3), utc=utc())
        line = json.dumps(entry, separators=(",", ":"), sort_keys=True).encode() + b"\n"
        new = not os.path.exists(self.path)
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            size = os.fstat(handle).st_size
            if size and os.pread(handle, 1, size - 1) != b"\n":  # torn by a power cut: its end is no entry
                line = b"\n" + line
            try:
                if os.write(handle, line) != len(line):
                    raise OSError("the disk is full")
                os.fsync(handle)
            except OSError:
                os.ftruncate(handle, size)
                raise
        finally:
            os.close(handle)
        if new:
            sync(os.path.dirname(self.path))

    def entries(self) -> List[Entry]:
        """Return all entries, the oldest first; what is no entry is passed over."""
        try:
            with open(self.path, "rb") as file:
                lines = file.read().splitlines()
        except FileNotFoundError:
            return []
        return [entry for entry in map(_entry, lines) if entry]

    def trim(self) -> None:
        """Forget the oldest entries of a journal that has become long, never those of the last deployment."""
        if os.path.exists(self.path) and os.path.getsize(self.path) > LARGEST_BYTES:
            entries = self.entries()
            last = next((entry.get("id") for entry in reversed(entries) if entry["event"] == "staged"), None)
            told = [entry for entry in entries[:-KEPT] if entry.get("id") == last and entry["event"] != "crash"]
            lines = (json.dumps(entry, separators=(",", ":"), sort_keys=True) for entry in told + entries[-KEPT:])
            write_whole(self.path, "".join(line + "\n" for line in lines).encode())

    def mark(self) -> object:
        """Return something that is another once the journal was changed."""
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns


def _entry(line: bytes) -> Entry:
    try:
        entry = json.loads(line.decode())
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) and {"event", "boot", "uptime_s"} <= set(entry) else {}
