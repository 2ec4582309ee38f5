"""Frames: the firmware's codec and the host's are one, and no damage makes one frame of another."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgepipe.devices.transports.frames import (
    PAYLOAD_BYTES_MAX,
    Damaged,
    Decoder,
    Frame,
    Text,
    encode,
    stuffed,
    unstuffed,
)
from tests.firmware.frame_library import FrameLibrary, built

# Payloads of few different bytes: long runs without a zero, and many zeros, are where COBS has its corners.
PAYLOADS = st.binary(max_size=PAYLOAD_BYTES_MAX) | st.lists(
    st.tuples(st.sampled_from([b"\0", b"\1", b"%", b"\xff"]), st.integers(0, 300)), max_size=6
).map(lambda runs: b"".join(byte * count for byte, count in runs)[:PAYLOAD_BYTES_MAX])
FRAMES = st.builds(Frame, kind=st.integers(0, 255), sequence=st.integers(0, 65535), payload=PAYLOADS)
WORDS = st.text(st.characters(min_codepoint=10, max_codepoint=126), max_size=20).map(str.encode)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> FrameLibrary:
    return built(tmp_path_factory.mktemp("frame"))


def heard(line: bytes, piece: int = 4096) -> tuple[list[Frame], bytes, int]:
    """What the host's decoder makes of a line that comes in pieces."""
    decoder, frames, text, damaged = Decoder(), [], b"", 0
    for start in range(0, len(line), piece):
        for event in decoder.feed(line[start : start + piece]):
            if isinstance(event, Frame):
                frames.append(event)
            elif isinstance(event, Text):
                text += event.content
            damaged += isinstance(event, Damaged)
    return frames, text, damaged


@given(body=PAYLOADS.filter(bool))
def test_stuffing_leaves_no_zero_and_is_undone(body: bytes) -> None:
    assert 0 not in stuffed(body)
    assert unstuffed(stuffed(body)) == body


@pytest.mark.parametrize("length", [1, 243, 244, 245, 246, 253, 254, 255, 508, 509, 1023, 1024])
@pytest.mark.parametrize("byte", [0, 1, 255])
def test_both_sides_write_the_same_frame_at_every_corner(library: FrameLibrary, length: int, byte: int) -> None:
    frame = Frame(kind=1, sequence=0x0101, payload=bytes([byte]) * length)
    assert library.encode(frame) == encode(frame)
    assert heard(encode(frame)) == ([frame], b"", 0)


@settings(max_examples=150, deadline=None)
@given(frames=st.lists(FRAMES, max_size=3), words=WORDS, piece=st.integers(1, 50))
def test_each_side_reads_what_the_other_writes_with_text_between(
    library: FrameLibrary, frames: list[Frame], words: bytes, piece: int
) -> None:
    line = words + b"".join(library.encode(frame) + words for frame in frames)
    assert line == words + b"".join(encode(frame) + words for frame in frames)
    assert library.decode(line) == (frames, words * (len(frames) + 1), 0)
    assert heard(line, piece) == (frames, words * (len(frames) + 1), 0)


@settings(max_examples=150, deadline=None)
@given(
    line=st.lists(st.sampled_from([b"\0", b"\0\1", b"\1", b"\2", b"%", b"\xff", b"ab"]) | FRAMES.map(encode), max_size=30).map(
        b"".join
    )
)
def test_both_sides_agree_on_any_line(library: FrameLibrary, line: bytes) -> None:
    frames, text, damaged = library.decode(line)
    assert heard(line, 7) == (frames, text, damaged)


def test_every_single_damaged_byte_is_found(library: FrameLibrary) -> None:
    source = random.Random(5)
    for length in (0, 1, 12, 40):
        line = encode(Frame(kind=0x11, sequence=7, payload=bytes(source.choices([0, 0, 1, 37, 255], k=length))))
        for at, right in enumerate(line):
            for byte in range(256):
                damaged = line[:at] + bytes([byte]) + line[at + 1 :]
                if byte != right:
                    assert heard(damaged)[0] == []
                    if byte % 8 == 0:  # C through ctypes takes its time
                        assert library.decode(damaged)[0] == []


@pytest.mark.parametrize("lost", ["opening", "closing"])
def test_after_a_lost_zero_the_very_next_frame_is_read(library: FrameLibrary, lost: str) -> None:
    first, second, third = (Frame(kind=1, sequence=number, payload=b"payload") for number in range(3))
    damaged = encode(first)[1:] if lost == "opening" else encode(first)[:-1]
    whole = [second, third] if lost == "opening" else [first, second, third]
    line = damaged + encode(second) + encode(third)
    assert heard(line)[0] == whole
    assert library.decode(line)[0] == whole


def test_a_stray_zero_costs_no_text(library: FrameLibrary) -> None:
    assert heard(b"\0name%\0\0profile%") == ([], b"name%profile%", 0)
    assert library.decode(b"\0name%\0\0profile%") == ([], b"name%profile%", 0)


def test_a_frame_that_never_ends_is_given_up_and_text_is_text_again(library: FrameLibrary) -> None:
    line = b"\0\1" + b"\xff" * 3000
    for frames, text, damaged in (heard(line), library.decode(line)):
        assert frames == []
        assert damaged == 1
        assert 1000 < len(text) < 2000


def test_a_payload_that_no_board_could_take_is_refused() -> None:
    with pytest.raises(ValueError, match="1024 bytes at most"):
        encode(Frame(kind=1, sequence=0, payload=bytes(PAYLOAD_BYTES_MAX + 1)))
