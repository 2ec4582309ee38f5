"""Frames on a serial line: messages that no damage turns into others, between text that is never taken for one.

On the line `00 01 … 00`: a zero byte opens and closes a frame, COBS keeps it out of what is between. Inside, little-endian: lead u8
= 0, kind u8, sequence u16, length of the payload u16, payload, CRC-32 u32 of all before it. The lead makes 01 the first byte that
COBS writes, and no text begins with that: any zero byte may close one frame and open the next, so the frame after a lost or a
surplus one is read again. The board's side is devices/firmware/frame.
COBS: Cheshire and Baker, "Consistent Overhead Byte Stuffing", IEEE/ACM Transactions on Networking 7(2), 1999.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

HEAD = struct.Struct("<BBHH")
CRC = struct.Struct("<I")
PAYLOAD_BYTES_MAX = 1024
LONGEST_RUN = 254
LONGEST_CODED = (HEAD.size + PAYLOAD_BYTES_MAX + CRC.size) * (LONGEST_RUN + 1) // LONGEST_RUN + 2


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One message: `kind` says what it is, `sequence` which request it is or answers."""

    kind: int
    sequence: int
    payload: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Text:
    """What stood outside of frames."""

    content: bytes


@dataclass(frozen=True, kw_only=True)
class Damaged:
    """A frame that was there, and is dropped."""


def encode(frame: Frame) -> bytes:
    """Return a frame as it goes over the line. Raises ValueError for a payload of more than PAYLOAD_BYTES_MAX bytes."""
    if len(frame.payload) > PAYLOAD_BYTES_MAX:
        raise ValueError(f"a frame holds {PAYLOAD_BYTES_MAX} bytes at most, not {len(frame.payload)}")
    body = HEAD.pack(0, frame.kind, frame.sequence, len(frame.payload)) + frame.payload
    return b"\0" + stuffed(body + CRC.pack(zlib.crc32(body))) + b"\0"


def stuffed(body: bytes) -> bytes:
    """Return `body`, which must not be empty, without zero bytes: COBS."""
    out = bytearray()
    runs = body.split(b"\0")
    for number, run in enumerate(runs):
        while len(run) >= LONGEST_RUN:
            out += bytes((LONGEST_RUN + 1,)) + run[:LONGEST_RUN]
            run = run[LONGEST_RUN:]
            if not run and number == len(runs) - 1:
                return bytes(out)
        out += bytes((len(run) + 1,)) + run
    return bytes(out)


def unstuffed(coded: bytes) -> bytes | None:
    """Return what `stuffed` was given, or None where this cannot be it."""
    out, at = bytearray(), 0
    while at < len(coded):
        code = coded[at]
        run = coded[at + 1 : at + code]
        if not code or len(run) != code - 1 or 0 in run:
            return None
        out += run
        at += code
        if code <= LONGEST_RUN and at < len(coded):
            out.append(0)
    return bytes(out)


class Decoder:
    """Takes what a line brings, in pieces of any size, and tells frames from text; it never holds more than one frame."""

    def __init__(self) -> None:
        self._opened, self._inside, self._coded = False, False, bytearray()

    def feed(self, data: bytes) -> Iterator[Frame | Text | Damaged]:
        """Yield what the bytes complete, in their order; text as far as it has come."""
        pieces = data.split(b"\0")
        for number, piece in enumerate(pieces):
            if number:
                yield from self._zero()
            yield from self._between(piece)

    def _zero(self) -> Iterator[Frame | Damaged]:
        if self._inside:
            yield _opened(bytes(self._coded))
        self._opened, self._inside = True, False
        self._coded.clear()

    def _between(self, piece: bytes) -> Iterator[Text | Damaged]:
        if not piece:
            return
        if self._opened and piece[0] == 1:
            self._inside = True
        self._opened = False
        if not self._inside:
            yield Text(content=piece)
            return
        self._coded += piece
        rest = bytes(self._coded[LONGEST_CODED:])
        if rest:  # its closing byte was lost: what follows may be text
            self._inside = False
            self._coded.clear()
            yield Damaged()
            yield Text(content=rest)


def _opened(coded: bytes) -> Frame | Damaged:
    body = unstuffed(coded)
    if body is None or len(body) < HEAD.size + CRC.size:
        return Damaged()
    covered, crc = body[: -CRC.size], CRC.unpack(body[-CRC.size :])[0]
    lead, kind, sequence, length = HEAD.unpack_from(covered)
    if lead or length != len(covered) - HEAD.size or length > PAYLOAD_BYTES_MAX or zlib.crc32(covered) != crc:
        return Damaged()
    return Frame(kind=kind, sequence=sequence, payload=covered[HEAD.size :])
