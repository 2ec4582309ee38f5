"""The firmware's frame codec as a shared library, called from Python."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from importlib import resources
from pathlib import Path

import pytest

from edgepipe.devices.firmware_build import FLAGS
from edgepipe.devices.transports.frames import Frame

SINK = ctypes.CFUNCTYPE(None, ctypes.POINTER(ctypes.c_uint8), ctypes.c_uint32)
DECODER_BYTES = DRAFT_BYTES = 2048  # more than either struct takes
HEAD_BYTES = 6
TEXT, WHOLE, DAMAGED = 1, 2, 3


def built(folder: Path) -> FrameLibrary:
    """Compile the codec into `folder`."""
    if shutil.which("gcc") is None:
        pytest.skip("the firmware's tests need a C compiler: apt-get install gcc")
    path = folder / "frame.so"
    with resources.as_file(resources.files("edgepipe.devices") / "firmware") as root:
        sources = sorted(map(str, (root / "frame").glob("*.c")))
        subprocess.run(["gcc", *FLAGS, "-shared", "-fPIC", f"-I{root}", *sources, "-o", str(path)], check=True)
    return FrameLibrary(ctypes.CDLL(str(path)))


class FrameLibrary:
    """What devices/firmware/frame offers."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        library.frame_payload.restype = ctypes.POINTER(ctypes.c_uint8)
        library.frame_kind.restype = ctypes.c_uint8
        library.frame_sequence.restype = ctypes.c_uint16
        library.frame_payload_bytes.restype = ctypes.c_uint32

    def encode(self, frame: Frame) -> bytes:
        """Return what frame_send() writes."""
        draft = (ctypes.c_uint8 * DRAFT_BYTES)()
        draft[HEAD_BYTES : HEAD_BYTES + len(frame.payload)] = list(frame.payload)
        written = bytearray()
        sink = SINK(lambda data, count: written.extend(data[:count]))
        self._library.frame_send(draft, frame.kind, frame.sequence, len(frame.payload), sink)
        return bytes(written)

    def decode(self, line: bytes) -> tuple[list[Frame], bytes, int]:
        """Return the frames, the text and the number of damaged frames that frame_take() finds on a line."""
        decoder = (ctypes.c_uint8 * DECODER_BYTES)()
        self._library.frame_begin(decoder)
        frames, text, damaged = [], bytearray(), 0
        for byte in line:
            event = self._library.frame_take(decoder, byte)
            if event == WHOLE:
                frames.append(self._frame(decoder))
            elif event == TEXT:
                text.append(byte)
            damaged += event == DAMAGED
        return frames, bytes(text), damaged

    def _frame(self, decoder: ctypes.Array[ctypes.c_uint8]) -> Frame:
        library = self._library
        payload = bytes(library.frame_payload(decoder)[: library.frame_payload_bytes(decoder)])
        return Frame(kind=library.frame_kind(decoder), sequence=library.frame_sequence(decoder), payload=payload)
