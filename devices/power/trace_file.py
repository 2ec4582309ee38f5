"""The file of a trace: raw columns, readable while it grows, and never taken for whole where a byte of it is wrong.

    file   = "edgepipe power\\r\\n", version u16, header's length u32, header's CRC-32 u32, header, block..., end
    header = JSON: {"meter": what the meter is, "started_utc": ISO 8601, "edgepipe": version}
    block  = "BLCK", samples u32, dropped u32, saturated u32, resets u32, first and last time f64, CRC-32 of the columns u32,
             CRC-32 of all that u32; then the columns: time_s f64, volts f32, amps f32, and, for a meter that has one, marker u8
    end    = "ENDS" and the rest of a block without samples; it counts what was lost after the last one

All numbers are little-endian. A block has 1 to 2**20 samples. A file without its end is one that still grows, or whose recorder
was killed: it is read as far as it goes.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from zlib import crc32

from edgepipe.devices.power.meter import MeterFacts, Samples
from edgepipe.documents import parse
from edgepipe.errors import DataError
from edgepipe.places import regular, storage_errors
from edgepipe.version import VERSION

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAGIC, FORMAT = b"edgepipe power\r\n", 1
HEAD = struct.Struct("<16sHII")
BLOCK = struct.Struct("<4sIIIIddI")
CRC = struct.Struct("<I")
GOES_ON, ENDS = b"BLCK", b"ENDS"
MOST_HEADER_BYTES, MOST_SAMPLES = 1 << 16, 1 << 20
COUNTED = 0xFFFFFFFF
COLUMN_BYTES, MARKER_BYTES = 16, 1


@dataclass(frozen=True, kw_only=True)
class Header:
    """What stands at the beginning of a trace's file."""

    meter: MeterFacts
    started_utc: str
    edgepipe: str


class TraceWriter:
    """Writes a new file; raises StorageError where the disk refuses."""

    def __init__(self, path: Path, facts: MeterFacts, *, started_utc: str) -> None:
        self._path, self._marked, self._last_s = path, facts.has_marker, 0.0
        header = json.dumps(asdict(Header(meter=facts, started_utc=started_utc, edgepipe=VERSION))).encode()
        with storage_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("wb", buffering=0)  # nothing is left to write when it is closed
        self._put(HEAD.pack(MAGIC, FORMAT, len(header), crc32(header)) + header)

    def write(self, samples: Samples) -> None:
        """Append samples, at least one and at most 2**20."""
        self._write(GOES_ON, samples)

    def finish(self, lost: Samples) -> None:
        """Write what was counted since the last sample, and the end; close the file."""
        self._write(ENDS, lost)
        self.close()

    def close(self) -> None:
        """Let go of the file as it is; may be called twice."""
        with storage_errors(self._path):
            self._file.close()

    def _write(self, tag: bytes, samples: Samples) -> None:
        times, columns = samples.time_s, b""
        if times.size:
            columns = times.astype("<f8").tobytes() + samples.volts.astype("<f4").tobytes() + samples.amps.astype("<f4").tobytes()
            columns += samples.marker.astype("u1").tobytes() if self._marked and samples.marker is not None else b""
        first_s, self._last_s = (float(times[0]), float(times[-1])) if times.size else (self._last_s, self._last_s)
        counts = (min(count, COUNTED) for count in (samples.dropped, samples.saturated, samples.resets))
        block = BLOCK.pack(tag, times.size, *counts, first_s, self._last_s, crc32(columns))
        self._put(block + CRC.pack(crc32(block)) + columns)

    def _put(self, content: bytes) -> None:
        left = memoryview(content)
        with storage_errors(self._path):
            while left:
                left = left[self._file.write(left) :]


class TraceFile:
    """A trace on the disk: only one block of it is in memory at a time. Opening raises DataError for what is none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._opened() as file:
            self.header = self._header(file)
            self._begin = file.tell()
        self.facts = self.header.meter

    @property
    def is_finished(self) -> bool:
        """Whether the file has its end: nothing more will come."""
        return any(tag == ENDS for tag, *_ in self._blocks(inf, inf))

    def pieces(self, start_s: float = -inf, end_s: float = inf) -> Iterator[Samples]:
        """Yield the pieces between two times, as far as the file goes by now."""
        for _, piece in self._blocks(start_s, end_s):
            if piece is not None:
                yield piece

    def _blocks(self, start_s: float, end_s: float) -> Iterator[tuple[bytes, Samples | None]]:
        """Yield each block's tag, with its samples where its times are wanted."""
        size, last_s = BLOCK.size + CRC.size, -inf
        each = COLUMN_BYTES + (MARKER_BYTES if self.facts.has_marker else 0)
        with self._opened() as file:
            length = file.seek(0, 2)
            file.seek(self._begin)
            while file.tell() + size <= length:
                at, head = file.tell(), file.read(size)
                tag, count, dropped, saturated, resets, first_s, ended_s, columns_crc = BLOCK.unpack_from(head)
                if crc32(head[: BLOCK.size]) != CRC.unpack_from(head, BLOCK.size)[0] or tag not in (GOES_ON, ENDS):
                    raise self._damaged(f"byte {at} begins no block")
                if count > MOST_SAMPLES or (count == 0) != (tag == ENDS) or not (last_s <= first_s <= ended_s or tag == ENDS):
                    raise self._damaged(f"the block at byte {at} cannot be: {count} samples from {first_s} s to {ended_s} s")
                if file.tell() + count * each > length:
                    return  # the block is still being written
                if ended_s < start_s or first_s > end_s:
                    file.seek(count * each, 1)
                    yield tag, None
                else:
                    columns = file.read(count * each)
                    if crc32(columns) != columns_crc:
                        raise self._damaged(f"the samples of the block at byte {at} are not those that were written")
                    yield tag, self._samples(columns, count, dropped, saturated, resets)
                last_s = ended_s
                if tag == ENDS:
                    return

    def _samples(self, columns: bytes, count: int, dropped: int, saturated: int, resets: int) -> Samples:
        import numpy as np

        def column(kind: str, offset: int) -> NDArray[np.float64]:
            return np.frombuffer(columns, kind, count, offset).astype(np.float64)

        time_s = column("<f8", 0)
        if not (np.isfinite(time_s).all() and (np.diff(time_s) > 0).all()):
            raise self._damaged("its times do not rise")
        return Samples(
            time_s=time_s,
            volts=column("<f4", 8 * count),
            amps=column("<f4", 12 * count),
            marker=np.frombuffer(columns, "u1", count, 16 * count).astype(bool) if self.facts.has_marker else None,
            dropped=dropped,
            saturated=saturated,
            resets=resets,
        )

    def _header(self, file: BinaryIO) -> Header:
        head = file.read(HEAD.size)
        if len(head) < HEAD.size or not head.startswith(MAGIC):
            raise DataError(
                f"{self.path} is no trace of power",
                cause="another file was meant, or it went through a program that changes line ends",
                todo="`edgepipe power record` writes such a file; `edgepipe power import` reads those of MLPerf Tiny.",
            )
        _, version, length, crc = HEAD.unpack(head)
        if version != FORMAT:
            raise DataError(
                f"{self.path} has format {version} of a trace; this edgepipe reads format {FORMAT}",
                cause="it was written by a newer edgepipe",
                todo="Upgrade edgepipe.",
            )
        text = file.read(length) if length <= MOST_HEADER_BYTES else b""
        if len(text) != length or crc32(text) != crc:
            raise self._damaged("its header is not the one that was written")
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as exc:
            raise self._damaged("its header is no JSON") from exc
        return parse(Header, content, source=f"the header of {self.path}", error=DataError)

    def _opened(self) -> BinaryIO:
        try:
            return regular(self.path).open("rb")
        except OSError as exc:
            raise DataError(f"cannot read {self.path}: {exc.strerror}", todo="Check the path.") from exc

    def _damaged(self, why: str) -> DataError:
        return DataError(f"{self.path} is damaged: {why}", cause="it was cut, edited, or badly copied", todo="Record it again.")
