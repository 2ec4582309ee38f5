"""A file goes to a board over a serial line: many pieces under way at once, again from where it stopped, and proved by its hash."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from edgepipe.devices.transports.frame_link import Answer, Ask, FrameLink, Status
from edgepipe.devices.transports.frames import CRC, HEAD
from edgepipe.errors import DeviceUnreachable, InfrastructureError, ModelRejected

OFFSET = struct.Struct("<I")
ORDER = struct.Struct("<32sIB")
FRAME_BYTES = HEAD.size + CRC.size + OFFSET.size + 4  # beside the piece: two zeros and what COBS adds
SMALLEST_PIECE = 32
GROWS_AFTER = 24  # pieces that arrived one after another
PATIENCE_S, LONGEST_PATIENCE_S = 0.3, 3.0  # without an answer, until the board is asked what it has
ASK_S = 15.0
STALL_S = 20.0  # without progress
HASHING_BYTES_PER_S = 50_000.0  # of a slow microcontroller
TRIES = 3


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A file and what it is called by MLPerf Tiny; `scores` as devices/firmware/core/upload.h numbers them."""

    content: bytes
    name: str = ""
    scores: int = 0

    @property
    def order(self) -> bytes:
        """What BEGIN says of it."""
        name = self.name.encode("ascii", "replace")[:31]
        return ORDER.pack(hashlib.sha256(self.content).digest(), len(self.content), self.scores) + name


@dataclass(frozen=True, kw_only=True)
class LineLimits:
    """What a board takes: `window_bytes` unread on the line, `payload_bytes` in a frame; `baud` is the line's."""

    window_bytes: int
    payload_bytes: int
    baud: int


@dataclass(frozen=True, kw_only=True)
class Sent:
    """How an upload went: the offset that it began at, pieces sent, and how often it went back."""

    began_at: int
    pieces: int
    rewinds: int


class SerialUpload:
    """One upload; `advance` is told the bytes that have arrived."""

    def __init__(self, link: FrameLink, upload: Upload, limits: LineLimits, advance: Callable[[int], None] | None = None) -> None:
        self._link, self._upload, self._limits = link, upload, limits
        self._advance = advance or (lambda offset: None)
        self._largest = limits.payload_bytes - OFFSET.size
        self._piece, self._unbroken = self._largest, 0
        self._under_way: dict[int, tuple[int, int]] = {}  # sequence number -> the piece's first byte and the one after its last
        self._base, self._next = 0, 0
        self._pieces, self._rewinds = 0, 0

    def run(self, *, deadline_s: float) -> Sent:
        """Bring the file to the board and have its hash checked there.

        Raises ModelRejected where it does not fit, DeviceUnreachable, InfrastructureError where it arrives damaged every time.
        """
        end = monotonic() + deadline_s
        began_at, tries = self._begin(), 0
        while True:
            self._pour(end)
            status = self._commit()
            if status is Status.OK:
                return Sent(began_at=began_at, pieces=self._pieces, rewinds=self._rewinds)
            tries += status is Status.DIFFERENT
            if tries == TRIES:
                raise InfrastructureError(f"the model arrived damaged {TRIES} times", cause="the board's memory, or its firmware")
            self._begin()

    def _begin(self) -> int:
        """Announce the file and return where the board wants it to go on."""
        answer = self._link.ask(Ask.BEGIN, self._upload.order, deadline_s=ASK_S)
        if answer.status is Status.TOO_LARGE:
            raise ModelRejected(
                f"the model of {len(self._upload.content):,} bytes does not fit into the board's memory for models",
                todo="Make it smaller, or use a board with more memory.",
            )
        self._go_back(OFFSET.unpack_from(answer.payload)[0])
        return self._base

    def _pour(self, end: float) -> None:
        """Send until everything has arrived."""
        total, progress, patience_s = len(self._upload.content), monotonic(), PATIENCE_S
        while self._base < total:
            self._fill_window()
            answer = self._link.answer(deadline_s=min(patience_s + self._window_s() / 4, end - monotonic()))
            had = self._base
            if answer is None:
                self._probe()
                patience_s = min(2 * patience_s, LONGEST_PATIENCE_S)
            else:
                patience_s = PATIENCE_S
                self._take(answer)
            if self._base > had:
                progress = monotonic()
                self._advance(self._base)
            if monotonic() > min(end, progress + STALL_S):
                raise DeviceUnreachable(
                    f"the upload stopped at {self._base:,} of {total:,} bytes", todo="Do it again: it goes on from there."
                )

    def _fill_window(self) -> None:
        content = self._upload.content
        while self._next < len(content):
            ahead = self._next - self._base + len(self._under_way) * FRAME_BYTES
            piece = content[self._next : self._next + self._piece]
            if self._under_way and ahead + len(piece) + FRAME_BYTES > self._limits.window_bytes:
                return
            number = self._link.send(Ask.DATA, OFFSET.pack(self._next) + piece)
            self._under_way[number] = (self._next, self._next + len(piece))
            self._next += len(piece)
            self._pieces += 1

    def _take(self, answer: Answer) -> None:
        """Go by the answer to a piece that is under way; those to earlier ones are no news."""
        if answer.sequence not in self._under_way:
            return
        if answer.status is not Status.OK:  # the board has started anew and forgot
            self._begin()
            return
        (offset,) = OFFSET.unpack_from(answer.payload)
        _, piece_end = self._under_way[answer.sequence]
        if offset < piece_end:  # a piece before this one is missing there
            self._lost(offset)
            return
        self._base = offset
        self._under_way = {number: place for number, place in self._under_way.items() if place[1] > offset}
        self._unbroken += 1
        if self._unbroken >= GROWS_AFTER:
            self._piece, self._unbroken = min(2 * self._piece, self._largest), 0

    def _probe(self) -> None:
        """Ask what the board has by a piece without bytes: what is only late, since somebody was busy, is not sent again."""
        number = self._link.send(Ask.DATA, OFFSET.pack(self._next))
        self._under_way[number] = (self._next, self._next)

    def _lost(self, offset: int) -> None:
        """Send again from what the board has; in smaller pieces, of which fewer are damaged."""
        self._rewinds += 1
        self._piece = max(SMALLEST_PIECE, self._piece // 2)
        self._go_back(offset)

    def _go_back(self, offset: int) -> None:
        self._base = self._next = offset
        self._under_way.clear()
        self._unbroken = 0

    def _window_s(self) -> float:
        return 10.0 * self._limits.window_bytes / self._limits.baud

    def _commit(self) -> Status:
        return self._link.ask(Ask.COMMIT, deadline_s=ASK_S + len(self._upload.content) / HASHING_BYTES_PER_S).status
