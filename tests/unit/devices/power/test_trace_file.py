"""A trace's file gives back what was written, while it grows too, and never anything else."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from known_power import KnownBoard

from edgepipe.devices.power.meter import Samples
from edgepipe.devices.power.trace_file import HEAD, TraceFile, TraceWriter
from edgepipe.errors import DataError, StorageError

NOTHING = Samples(time_s=np.zeros(0), volts=np.zeros(0), amps=np.zeros(0), marker=np.zeros(0, bool))


def written(path: Path, board: KnownBoard, *, finish: bool = True) -> Path:
    """The file of a board's trace."""
    writer = TraceWriter(path, board.facts, started_utc="2026-11-22T12:00:00+00:00")
    for piece in board.trace().pieces():
        writer.write(piece)
    if finish:
        writer.finish(replace(NOTHING, dropped=2))
    else:
        writer.close()
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return written(tmp_path / "board.trace", KnownBoard())


def test_what_was_written_is_read(file: Path) -> None:
    board, trace = KnownBoard(), TraceFile(file)
    pieces = list(trace.pieces())
    assert trace.facts == board.facts
    assert trace.is_finished
    assert np.array_equal(np.concatenate([piece.time_s for piece in pieces]), board.time_s)
    assert np.array_equal(np.concatenate([piece.amps for piece in pieces]), board.amps.astype(np.float32))
    assert np.array_equal(np.concatenate([piece.marker for piece in pieces if piece.marker is not None]), board.marker)
    assert pieces[-1].dropped == 2


def test_the_energy_in_a_file_is_that_in_memory(file: Path) -> None:
    board = KnownBoard()
    board.trace = lambda: TraceFile(file)  # type: ignore[assignment,return-value,method-assign]
    assert board.energy().energy_uj == pytest.approx(480_000)


def test_only_the_blocks_that_are_asked_for_are_read(file: Path) -> None:
    pieces = list(TraceFile(file).pieces(1010.0, 1012.5))
    assert pieces[0].time_s[0] == pytest.approx(1010.0)
    assert len(pieces) == 3


def test_a_file_that_grows_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    board = KnownBoard()
    path = written(tmp_path / "growing.trace", board, finish=False)
    whole = path.read_bytes()
    for length in (len(whole), len(whole) - 1, len(whole) - 1700):
        path.write_bytes(whole[:length])
        trace = TraceFile(path)
        samples = sum(piece.time_s.size for piece in trace.pieces())
        assert not trace.is_finished
        assert samples == board.time_s.size if length == len(whole) else board.time_s.size - 200 <= samples < board.time_s.size


def test_no_byte_can_be_changed_unnoticed(file: Path) -> None:
    whole = file.read_bytes()
    random = np.random.default_rng(5)
    places = [*range(HEAD.size), *random.integers(HEAD.size, len(whole), 150)]
    for place in places:
        file.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << int(random.integers(8)))]) + whole[place + 1 :])
        with pytest.raises(DataError):
            list(TraceFile(file).pieces())


def test_a_cut_in_the_middle_is_noticed(file: Path) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[:5000] + whole[6000:])
    with pytest.raises(DataError, match="damaged"):
        list(TraceFile(file).pieces())


def test_a_newer_format_says_so(file: Path) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[:16] + struct.pack("<H", 2) + whole[18:])
    with pytest.raises(DataError, match="newer edgepipe"):
        TraceFile(file)


@pytest.mark.parametrize("content", [b"", b"edgepipe power\n", b"\x00" * 100, b"time,volts,amps\n1,2,3\n"])
def test_another_file_is_no_trace(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(DataError, match="is no trace of power"):
        TraceFile(path)


@pytest.mark.parametrize("header", [b"[]", b"{", b"[" * 60_000, b'{"meter": {}, "started_utc": "", "edgepipe": ""}'])
def test_a_header_that_is_none_is_refused(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "other.trace"
    path.write_bytes(HEAD.pack(b"edgepipe power\r\n", 1, len(header), crc32(header)) + header)
    with pytest.raises(DataError):
        TraceFile(path)


def test_a_block_that_claims_to_be_huge_is_refused_before_anything_is_read(file: Path) -> None:
    whole = file.read_bytes()
    at = whole.index(b"BLCK")
    block = struct.pack("<4sIIIIddI", b"BLCK", 0xFFFFFFFF, 0, 0, 0, 0.0, 1.0, 0)
    file.write_bytes(whole[:at] + block + struct.pack("<I", crc32(block)) + whole[at:])
    with pytest.raises(DataError, match="cannot be"):
        list(TraceFile(file).pieces())


def test_a_pipe_or_a_folder_is_no_trace(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing", Path("/dev/zero")):
        with pytest.raises(DataError, match="cannot read"):
            TraceFile(path)


def test_a_full_disk_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="the disk is full"):
        written(Path("/dev/full"), KnownBoard())
