"""What a firmware file puts into flash, as bytes: enough to see whether a build stands in it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from edgepipe.errors import UsageError
from edgepipe.places import regular

LARGEST_BYTES = 64 << 20
# UF2 (github.com/microsoft/uf2): blocks of 512 bytes; two magic numbers, flags, address, size of the data, which begins at 32.
UF2_BLOCK, UF2_DATA, UF2_LARGEST = 512, 32, 476
UF2_HEAD = struct.Struct("<IIIII")
UF2_MAGIC = (0x0A324655, 0x9E5D5157)
MODEL = b"TFL3"  # what a .tflite has at byte 4
BUILD_AGAIN = "Build it again, or leave --file out: then edgepipe's own firmware is written."


def image_bytes(path: Path) -> bytes:
    """Return the content of an .elf or .bin, the data of a .uf2 or .hex. Raises UsageError for what is none of them."""
    try:
        with regular(path).open("rb") as file:
            content = file.read(LARGEST_BYTES + 1)
    except OSError as exc:
        raise UsageError(f"cannot read {path}: {exc.strerror}", todo="Check the path.") from exc
    if not content or len(content) > LARGEST_BYTES:
        raise UsageError(f"{path} is no firmware: it has {'no' if not content else 'over 64 Mi'} bytes", todo=BUILD_AGAIN)
    if content[4:8] == MODEL:
        todo = "`edgepipe deploy` brings a model to a board that has our firmware, `edgepipe export` makes a program with it."
        raise UsageError(f"{path} is a model, and no firmware", todo=todo)
    suffix = path.suffix.lower()
    try:
        if suffix == ".uf2":
            return b"".join(_uf2(content))
        return b"".join(_hex(content)) if suffix == ".hex" else content
    except ValueError as exc:
        raise UsageError(f"{path} is damaged: {exc}", todo=BUILD_AGAIN) from exc


def _uf2(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), UF2_BLOCK):
        block = content[start : start + UF2_BLOCK]
        if len(block) < UF2_BLOCK or UF2_HEAD.unpack_from(block)[:2] != UF2_MAGIC or UF2_HEAD.unpack_from(block)[4] > UF2_LARGEST:
            raise ValueError(f"no block of UF2 at byte {start}")
        yield block[UF2_DATA : UF2_DATA + UF2_HEAD.unpack_from(block)[4]]


def _hex(content: bytes) -> Iterator[bytes]:
    """Yield the data records of Intel HEX: ":", count, address, type, data, checksum."""
    for number, line in enumerate(content.decode("ascii").split(), start=1):
        record = bytes.fromhex(line.removeprefix(":"))
        if not line.startswith(":") or len(record) < 5 or record[0] != len(record) - 5 or sum(record) & 0xFF:
            raise ValueError(f"no record of Intel HEX in line {number}")
        if record[3] == 0:
            yield record[4:-1]
