"""Lines and long byte strings survive being cut anywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepipe.devices.agent.lines import MAX_LINE_BYTES, PART_BYTES, LineBuffer, PartBuffer, decode, encode, parts


@given(st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line), max_size=8), st.integers(1, 7))
def test_lines_come_out_whole_however_they_were_cut(lines: list[bytes], step: int) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    buffer = LineBuffer()
    got = [line for start in range(0, len(stream), step) for line in buffer.feed(stream[start : start + step])]
    assert got == lines


def test_a_line_without_an_end_is_refused_at_one_mebibyte() -> None:
    buffer = LineBuffer()
    buffer.feed(bytes(MAX_LINE_BYTES))
    with pytest.raises(ValueError, match="1 MiB"):
        buffer.feed(b"x")


@pytest.mark.parametrize("size", [0, 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES])
def test_parts_fit_a_line_each_and_make_the_whole(size: int) -> None:
    data = bytes(k % 251 for k in range(size))
    buffer = PartBuffer()
    messages = list(parts(data))
    assert all(len(encode(message)) <= MAX_LINE_BYTES for message in messages)
    assert [buffer.add(message) for message in messages] == [None] * (len(messages) - 1) + [data]


@pytest.mark.parametrize("line", [b"", b"login:", b"[1]", b"\xff\xfe", b"[" * 100_000, b"null"])
def test_what_is_no_message_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError):
        decode(line)
