"""What an X-NUCLEO-LPM01A prints while it measures: samples, time stamps, and what went wrong.

`6409-07` is 640.9e-6 A. Between the samples stand lines like `TimeStamp: 003s 200ms, buff 00%`, from which it follows how many
samples there should have been. Sources: ST, UM2269 "Getting started with PowerShield firmware", and what its command `help` prints,
which stands in MLPerf Tiny's runner (github.com/mlcommons/tiny, benchmark/runner/power_manager.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

SAMPLE = re.compile(rb"\d{4}[+-]\d{2}")
STAMP = re.compile(rb"TimeStamp: *(\d+)s *(\d+)ms", re.IGNORECASE)
PROMPT = b"PowerShield > "
LONGEST_LINE_BYTES = 1000


@dataclass(kw_only=True)
class Said:
    """Currents in amperes with the number of each, which jumps where some are missing; `ended` is why there will be no more."""

    amps: list[float] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    dropped: int = 0
    over_current: int = 0
    ended: str = ""


class Lines:
    """Reads the stream of `hz` samples a second.

    A stamp has milliseconds, so up to 1 ms of samples may be missing before it shows: at 500 Hz and below, each one does. A line
    that is none of these was a sample, and is counted at once.
    """

    def __init__(self, hz: int) -> None:
        self._hz = hz
        self._rest = b""
        self._next = 0
        self._stamped: tuple[int, int] | None = None

    @property
    def next_number(self) -> int:
        """The number that the next sample would have."""
        return self._next

    def feed(self, data: bytes) -> Said:
        """Return what `data` completes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[-LONGEST_LINE_BYTES:]
        said = Said()
        for line in lines:
            if text := line.strip(b"\r\0 \t").removeprefix(PROMPT.strip()).strip():
                self._line(text, said)
        return said

    def _line(self, text: bytes, said: Said) -> None:
        if SAMPLE.fullmatch(text):
            said.amps.append(float(text[:4] + b"e" + text[4:]))
            said.numbers.append(self._next)
            self._next += 1
        elif stamp := STAMP.search(text):
            self._stamp(1000 * int(stamp[1]) + int(stamp[2]), said)
        else:
            self._words(text, said)

    def _stamp(self, at_ms: int, said: Said) -> None:
        if self._stamped is not None:
            number, before_ms = self._stamped
            missing = number + (at_ms - before_ms) * self._hz / 1000 - self._next
            if missing > self._hz / 1000 and missing >= 1:
                said.dropped += round(missing)
                self._next += round(missing)
        else:
            self._stamped = self._next, at_ms

    def _words(self, text: bytes, said: Said) -> None:
        low = text.lower()
        if b"overcurrent" in low or b"over current" in low or b"over-current" in low:
            said.over_current += 1
        elif low.startswith((b"error", b"err ")) or low == b"end" or b"acquisition completed" in low:
            said.ended = said.ended or text[:200].decode(errors="replace")
        elif low.startswith((b"ack", b"summary")):
            pass  # it answers the command to start
        else:
            said.dropped += 1
            self._next += 1
