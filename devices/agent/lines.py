"""The line protocol: one JSON object a line, at most 1 MiB of it; long byte strings travel in parts."""

import json
import os
from base64 import b64decode, b64encode
from typing import Any, Dict, Iterator, List, Optional

Message = Dict[str, Any]
MAX_LINE_BYTES = 1 << 20
READ_BYTES = 1 << 16
PART_BYTES = 512 << 10  # 683 kB as base64


def encode(message: Message) -> bytes:
    """Return the message as one line, without its line end."""
    return json.dumps(message, separators=(",", ":")).encode()


def decode(line: bytes) -> Message:
    """Return the message in a line. Raises ValueError for anything that is no JSON object."""
    try:
        message = json.loads(line.decode())
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc
    if not isinstance(message, dict):
        raise ValueError("not a JSON object")
    return message


class Refused(Exception):
    """A request that cannot be served: the slug of an error of the host's, and words."""

    def __init__(self, slug: str, words: str) -> None:
        super().__init__(words)
        self.slug = slug


class LineBuffer:
    """Takes bytes as they come and gives whole lines."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> List[bytes]:
        """Return the lines that `data` completed. Raises ValueError once a line is over 1 MiB."""
        start = len(self._pending)
        self._pending += data
        lines = []
        end = self._pending.find(b"\n", start)
        while end >= 0:
            lines.append(bytes(self._pending[:end]))
            del self._pending[: end + 1]
            end = self._pending.find(b"\n")
        if len(self._pending) > MAX_LINE_BYTES or any(len(line) > MAX_LINE_BYTES for line in lines):
            raise ValueError("a line of more than 1 MiB")
        return lines


def incoming(handle: int, buffer: LineBuffer) -> Optional[List[Message]]:
    """Return what came on a handle that does not wait; None at its end, which is also a host that does not speak this protocol."""
    try:
        data = os.read(handle, READ_BYTES)
        messages = [decode(line) for line in buffer.feed(data)]
    except BlockingIOError:
        return []
    except (OSError, ValueError):
        return None
    return messages if data else None


def parts(data: bytes) -> Iterator[Message]:
    """Cut bytes into messages that fit a line each; there is always one."""
    for start in range(0, max(1, len(data)), PART_BYTES):
        end = start + PART_BYTES
        yield {"part": b64encode(data[start:end]).decode(), "more": end < len(data)}


class PartBuffer:
    """Puts the bytes together again that `parts` cut."""

    def __init__(self) -> None:
        self._data = bytearray()

    def add(self, message: Message) -> Optional[bytes]:
        """Return the whole once its last part is there. Raises ValueError or KeyError for what is no part."""
        self._data += b64decode(message["part"], validate=True)
        if message["more"]:
            return None
        whole, self._data = bytes(self._data), bytearray()
        return whole


def claim_stdout() -> int:
    """Return a private handle on standard output, and send to standard error whatever else this process prints."""
    private = os.dup(1)
    os.dup2(2, 1)
    return private


def write_line(handle: int, message: Message) -> None:
    """Write one message to a blocking handle."""
    data = encode(message) + b"\n"
    while data:
        data = data[os.write(handle, data) :]
