"""Requests and answers over a line that loses and damages bytes: what is not answered is asked again, until its deadline."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from time import monotonic

from edgepipe.devices.transports.frames import Damaged, Decoder, Frame, encode
from edgepipe.devices.transports.serial_line import Line
from edgepipe.errors import DeviceUnreachable, InfrastructureError

ANSWERED = 0x80
AGAIN_S = 0.25  # until an unanswered request is repeated; then longer each time, up to LONGEST_AGAIN_S
SLOW_AGAIN_S = 2.0  # the same for those that a board may work on for a while: their repetitions have it work again
AGAIN_GROWTH, LONGEST_AGAIN_S = 1.5, 5.0
WRITE_S = 10.0


class Ask(IntEnum):
    """What a board may be asked; devices/firmware/core/requests.h says what each takes and answers."""

    HELLO = 0x01
    INFO = 0x02
    BEGIN = 0x10
    DATA = 0x11
    COMMIT = 0x12
    LOAD = 0x20
    TENSOR = 0x21
    WRITE = 0x22
    INVOKE = 0x23
    READ = 0x24
    STEPS = 0x25
    FORGET = 0x30
    RESET = 0x31
    SLOTS = 0x40
    STAGE = 0x41
    CONFIRM = 0x42
    REVOKE = 0x43


SLOW = frozenset({Ask.COMMIT, Ask.LOAD, Ask.INVOKE, Ask.STAGE, Ask.CONFIRM, Ask.REVOKE})


class Status(IntEnum):
    """How a request ended."""

    OK = 0
    UNKNOWN_REQUEST = 1
    BAD_REQUEST = 2
    TOO_LARGE = 3
    NO_UPLOAD = 4
    INCOMPLETE = 5
    DIFFERENT = 6
    NO_MODEL = 7
    REFUSED = 8
    INPUT_MISSING = 9
    NO_FLASH = 10
    FLASH_FAILED = 11
    ON_TRIAL = 12
    NO_TRIAL = 13
    NO_WAY_BACK = 14


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a board answered to the request of this kind with this sequence number."""

    kind: int
    sequence: int
    status: Status
    payload: bytes


class FrameLink:
    """One conversation; `device` is what messages call the board."""

    def __init__(self, line: Line, device: str) -> None:
        self._line, self._device = line, device
        self._decoder = Decoder()
        self._waiting: list[Answer] = []
        # An INVOKE is told from its repetition by its number alone: two hosts, one after the other, begin at different ones.
        self._sequence = random.randrange(1 << 16)
        self._read_bytes, self._frames, self._damaged = 0, 0, 0

    def hello(self, *, deadline_s: float) -> None:
        """Find the board on the line, whatever it is saying. Raises DeviceUnreachable with the most likely cause."""
        try:
            self.ask(Ask.HELLO, deadline_s=deadline_s)
        except DeviceUnreachable as exc:
            raise DeviceUnreachable(exc.what, cause=exc.cause or self._likely_cause(), todo=exc.todo) from exc

    def ask(self, kind: Ask, payload: bytes = b"", *, deadline_s: float, sequence: int | None = None) -> Answer:
        """Return the answer to a request, which is repeated until it comes; `sequence` makes it the repetition of another.

        Raises DeviceUnreachable at the deadline, InfrastructureError where the board does not know such a request.
        """
        number = self._next() if sequence is None else sequence
        end, wait_s = monotonic() + deadline_s, SLOW_AGAIN_S if kind in SLOW else AGAIN_S
        while True:
            self._send(kind, number, payload)
            again = min(end, monotonic() + wait_s)
            while (answer := self.answer(deadline_s=again - monotonic())) is not None:
                if (answer.kind, answer.sequence) == (kind, number):
                    return self._known(kind, answer)
            if monotonic() >= end:
                raise DeviceUnreachable(f"{self._device} did not answer for {deadline_s:g} s")
            wait_s = min(AGAIN_GROWTH * wait_s, LONGEST_AGAIN_S)

    def send(self, kind: Ask, payload: bytes) -> int:
        """Send a request without waiting for its answer, and return its sequence number."""
        number = self._next()
        self._send(kind, number, payload)
        return number

    def answer(self, *, deadline_s: float) -> Answer | None:
        """Return the next answer to anything, None where there is none by the deadline. Text is dropped."""
        end = monotonic() + deadline_s
        while not self._waiting:
            data = self._line.read(deadline_s=max(0.0, end - monotonic()))
            self._read_bytes += len(data)
            self._waiting.extend(self._answers(data))
            if not self._waiting and monotonic() >= end:
                return None
        return self._waiting.pop(0)

    def _answers(self, data: bytes) -> Iterator[Answer]:
        for event in self._decoder.feed(data):
            if isinstance(event, Frame):
                self._frames += 1
                if event.kind & ANSWERED and event.payload and event.payload[0] < len(Status):
                    status = Status(event.payload[0])
                    yield Answer(kind=event.kind & ~ANSWERED, sequence=event.sequence, status=status, payload=event.payload[1:])
            else:
                self._damaged += isinstance(event, Damaged)

    def _known(self, kind: Ask, answer: Answer) -> Answer:
        if answer.status in (Status.UNKNOWN_REQUEST, Status.BAD_REQUEST):
            raise InfrastructureError(
                f"{self._device} refuses the request {kind.name}",
                cause="its firmware is of another version than edgepipe",
                todo="Flash the firmware that comes with this edgepipe.",
            )
        return answer

    def _next(self) -> int:
        self._sequence = (self._sequence + 1) & 0xFFFF
        return self._sequence

    def _send(self, kind: Ask, sequence: int, payload: bytes) -> None:
        self._line.write(encode(Frame(kind=kind, sequence=sequence, payload=payload)), deadline_s=WRITE_S)

    def _likely_cause(self) -> str:
        if not self._read_bytes:
            return "nothing at all came from it: no power, another line, another baud rate, or no firmware on it"
        if self._frames or self._damaged:
            return "the line damages most of what is sent: a bad cable, or a baud rate slightly off"
        return "it sends, but nothing that is ours: most often another baud rate, or another program on the board"
