"""Lines "time,volts,amps" out of bytes in any pieces; what is no such line is counted and left out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import inf, isfinite

from edgepipe.errors import MeterMissing

LONGEST_LINE_BYTES = 1000
WANTED = (re.compile(r"t"), re.compile(r"v"), re.compile(r"[aci]"))  # time, volts or voltage, amps or current
SCALED = re.compile(r"[\[(_ /](m|u|µ|n)(s|sec|v|volts?|a|amps?)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Row:
    """A sample, by the tool's own clock."""

    time_s: float
    volts: float
    amps: float


class Rows:
    """Reads lines; `unreadable` ones were left out: no three numbers, or a time that does not rise. Not so before the first row."""

    def __init__(self) -> None:
        self._rest = b""
        self._last_s = -inf
        self._first = True
        self.unreadable = self.preamble = 0

    def feed(self, data: bytes) -> list[Row]:
        """Return the rows that `data` completes. Raises MeterMissing for a header that names other columns."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST_LINE_BYTES:
            self._rest = b"\xff"  # no line any more, however it ends
        return [row for line in lines if line.strip() for row in self._row(line)]

    def _row(self, line: bytes) -> list[Row]:
        first, self._first = self._first, False
        parts = line.decode("utf-8", errors="replace").split(",")
        try:
            time_s, volts, amps = (float(part) for part in parts)
        except ValueError:
            if first and len(parts) > 1 and any(part.strip()[:1].isalpha() for part in parts):
                _check_header(parts)
            else:
                self._refuse()
            return []
        if not (isfinite(time_s) and isfinite(volts * amps)) or time_s <= self._last_s:
            self._refuse()
            return []
        self._last_s = time_s
        return [Row(time_s, volts, amps)]

    def _refuse(self) -> None:
        if self._last_s == -inf:
            self.preamble += 1
        else:
            self.unreadable += 1


def _check_header(names: list[str]) -> None:
    named = [name.strip().strip('"').lower() for name in names]
    if len(named) != 3 or any(not wanted.match(name) or SCALED.search(name) for wanted, name in zip(WANTED, named, strict=False)):
        raise MeterMissing(
            f"the columns are {','.join(names)[:200].strip()!r}, and should be time,volts,amps",
            cause="the tool prints other columns, or milliamperes",
            todo="Have it print seconds, volts and amperes, in this order.",
        )
