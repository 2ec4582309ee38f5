"""Files that arrive on the board: how much of one is there and right, and its name once it is whole.

The host sends this file's text itself (it must run before there is an agent) and then speaks in lines of JSON. Whoever uploads a
file only ever writes its right bytes at their right places, so two who upload the same one at the same time do no harm.
"""

import hashlib
import json
import os
import select
import sys
import time
from typing import Any, Dict, List, Optional

CHUNK_BYTES = 1 << 20
SILENCE_S = 900.0  # a host that was silent for so long is gone
PART_DAYS = 7  # what nobody went on with for so long is deleted
Message = Dict[str, Any]


def folder() -> str:
    """Return where files arrive: $EDGEPIPE_HOME/incoming where that is set, else ~/.cache/edgepipe; it exists then, ours alone."""
    home = os.environ.get("EDGEPIPE_HOME")
    place = os.path.join(home, "incoming") if home else os.path.expanduser("~/.cache/edgepipe")
    os.makedirs(place, mode=0o700, exist_ok=True)
    return place


def inside(place: str, name: str) -> str:
    """Return the path of a plain file name. Raises ValueError for any other."""
    if not name or name != os.path.basename(name) or name in (".", "..") or "\0" in name:
        raise ValueError("%.80r is no plain file name" % name)
    return os.path.join(place, name)


def chunk_hashes(path: str) -> List[str]:
    """Return the sha256 of each MiB of a file, of its last and shorter one too."""
    with open(path, "rb") as content:
        return [hashlib.sha256(chunk).hexdigest() for chunk in iter(lambda: content.read(CHUNK_BYTES), b"")]


def file_hash(path: str) -> Optional[str]:
    """Return the sha256 of a file, None where there is none."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as content:
            for chunk in iter(lambda: content.read(CHUNK_BYTES), b""):
                digest.update(chunk)
    except FileNotFoundError:
        return None
    return digest.hexdigest()


def want(place: str, request: Message) -> Message:
    """Say whether the file is there, and otherwise what there is of it and how much room."""
    if file_hash(inside(place, request["name"])) == request["sha256"]:
        return {"there": True}
    part = inside(place, request["part"])
    if os.path.isfile(part) and os.path.getsize(part) > request["bytes"]:
        os.unlink(part)
    os.close(os.open(part, os.O_RDWR | os.O_CREAT, 0o600))  # here, so that the host never truncates one that grows
    room = os.statvfs(place)
    return {
        "there": False,
        "chunks": chunk_hashes(part),
        "part_bytes": os.path.getsize(part),
        "free_bytes": room.f_bavail * room.f_frsize,
    }


def settle(place: str, request: Message) -> Message:
    """Give a part its name if it is whole; a wrong one is deleted. Done again, or after somebody else's, it says the same."""
    path, part = inside(place, request["name"]), inside(place, request["part"])
    arrived = file_hash(part)
    try:
        if arrived == request["sha256"]:
            os.rename(part, path)  # without fsync: a power cut may spoil it, but `want` would see that
        elif arrived is not None:
            os.unlink(part)
    except FileNotFoundError:
        arrived = None
    return {"sha256": arrived or file_hash(path)}


def sweep(place: str, now: float) -> None:
    """Delete the parts that nobody went on with for a week."""
    for name in os.listdir(place):
        path = os.path.join(place, name)
        if ".part" in name and now - os.path.getmtime(path) > PART_DAYS * 86400:
            os.unlink(path)


def answer(place: str, line: bytes) -> Message:
    """Answer one request."""
    try:
        request = json.loads(line.decode())
        return {"want": want, "settle": settle}[request["do"]](place, request)
    except OSError as exc:
        return {"error": "storage", "words": str(exc)}
    except (KeyError, TypeError, ValueError) as exc:
        return {"error": "infrastructure", "words": str(exc)}


def say(message: Message) -> None:
    """Write one line."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Serve until the host hangs up or falls silent."""
    try:
        place = folder()
        sweep(place, time.time())
    except OSError as exc:
        say({"error": "storage", "words": str(exc)})
        return
    say({"folder": place})
    pending = b""
    while select.select([0], [], [], SILENCE_S)[0]:
        data = os.read(0, 1 << 16)
        if not data:
            return
        *lines, pending = (pending + data).split(b"\n")
        for line in lines:
            say(answer(place, line))


if __name__ == "__main__":
    main()
