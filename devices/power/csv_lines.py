"""Any tool that prints a line "time,volts,amps" per sample: a command, or a file or named pipe that grows."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from pathlib import Path
from statistics import median
from time import monotonic
from typing import TYPE_CHECKING, Literal

from edgepipe.devices.power.csv_source import CommandSource, FileSource, Source
from edgepipe.devices.power.csv_text import Row, Rows
from edgepipe.devices.power.feed import Site
from edgepipe.devices.power.meter import MeterFacts, Positive, PowerMeter, Samples, Text
from edgepipe.devices.power.stated import StatedErrors
from edgepipe.errors import DeviceUnreachable, InfrastructureError, InventoryError, MeterMissing

if TYPE_CHECKING:
    from collections.abc import Sequence

FIRST_ROWS = 5  # from which the tool's pace and clock are learned
STRETCH_S = 5.0  # in which at least one line comes at once
STRAY_S, STRAY_JITTERS = 0.1, 5  # how far the promptest line may be from where the first ones were
CLOCK_ERROR = 1e-4 / 3**0.5  # quartz clocks keep ±100 ppm; evenly distributed, JCGM 100:2008, 4.3.7


@dataclass(frozen=True, kw_only=True)
class Csv(StatedErrors):
    """`command` is run without any shell, or `path` is read from its end on. Time is in seconds and rises; a header may come first.

    A line says nothing of its errors, so the entry does. With `period_s`, the even pace of its lines, missing ones are counted.
    Lines may be late by up to `jitter_s`; a tool that is silent for `silence_s` hangs.
    """

    meter: Literal["csv"] = "csv"
    command: tuple[Text, ...] = ()
    path: Text | None = None
    period_s: Positive | None = None
    jitter_s: Positive = 0.01
    silence_s: Positive = 10.0

    def connect(self, site: Site) -> PowerMeter:
        """Return the meter of a board. Raises InventoryError without exactly one of `command` and `path`."""
        if bool(self.command) == (self.path is not None):
            raise InventoryError(f'{site.board}: a csv meter has one of "command" and "path"')
        return CsvMeter(site.board, self)


class CsvMeter:
    """The tool. Its clock is set on this machine's by the line that came soonest among the first ones."""

    def __init__(self, device: str, settings: Csv) -> None:
        self._board, self._name, self._settings = device, f"the csv meter of {device}", settings
        self._source: Source | None = None

    def open(self) -> MeterFacts:
        """Start the tool and wait for its first lines. Raises MeterMissing."""
        self.close()
        self._rows, self._ready = Rows(), deque[Row]()
        self._ahead_s, self._last_s, self._told, self._unreadable = inf, -inf, 0, 0
        self._late_s, self._since_s = inf, monotonic()
        settings = self._settings
        self._source = CommandSource(settings.command) if settings.command else FileSource(Path(settings.path or ""))
        try:
            self._source.open()
            self._await_first(self._source)
        except DeviceUnreachable as exc:
            self.close()
            raise MeterMissing(f"{self._name}: {exc.what}", cause=exc.cause, todo=exc.todo) from exc
        except MeterMissing:
            self.close()
            raise
        return self._facts()

    def read(self, *, deadline_s: float) -> Samples:
        """Return what it printed. Raises DeviceUnreachable when it ended, or is silent for too long."""
        if self._source is None:
            raise DeviceUnreachable(f"{self._name} is not open")
        if not self._ready:
            self._fetch(self._source, deadline_s)
        if not self._ready and monotonic() - self._heard_s > self._settings.silence_s:
            silent = f"{self._source.name} has printed nothing for {self._settings.silence_s:g} s"
            if self._rows.unreadable > self._unreadable:
                bad = self._rows.unreadable - self._unreadable
                silent = f"none of the last {bad} lines of {self._source.name} can be read, or their times do not rise"
            raise DeviceUnreachable(f"{self._name}: {silent}", todo="Run it by hand: each line is time,volts,amps, and time rises.")
        taken, self._ready = self._ready, deque()
        if taken:
            self._check_clock(taken[-1])
        return self._samples(taken)

    def _check_clock(self, newest: Row) -> None:
        """Hold the tool's seconds against this machine's: the promptest line of a stretch must come as late as the first ones did.

        Raises InfrastructureError for a tool that counts its samples by a period that is not theirs.
        """
        self._late_s = min(self._late_s, self._heard_s - newest.time_s - self._ahead_s)
        if self._heard_s - self._since_s < STRETCH_S or self._source is None:
            return
        if abs(self._late_s) > STRAY_S + STRAY_JITTERS * self._settings.jitter_s:
            raise InfrastructureError(
                f"{self._name}: the times of {self._source.name} run away from this machine's, by {self._late_s:+.2g} s until now",
                cause="it counts its samples by a period that is not quite theirs",
                todo="Have it print the seconds of a clock.",
            )
        self._late_s, self._since_s = inf, self._heard_s

    def close(self) -> None:
        """End the tool."""
        source, self._source = self._source, None
        if source is not None:
            source.close()

    def _await_first(self, source: Source) -> None:
        self._heard_s = monotonic()
        end = self._heard_s + self._settings.silence_s
        while len(self._ready) < FIRST_ROWS:
            left_s = end - monotonic()
            if left_s <= 0:
                good, bad = len(self._ready), self._rows.preamble + self._rows.unreadable
                raise MeterMissing(
                    f"{self._name}: {source.name} printed {good} lines that can be read, and {bad} others",
                    cause="it waits for something, or keeps its output back when it prints into a pipe",
                    todo="Each line is time,volts,amps in seconds, volts and amperes; have the tool flush each one.",
                )
            self._fetch(source, left_s)
            for row in self._ready:
                self._ahead_s = min(self._ahead_s, self._heard_s - row.time_s)

    def _fetch(self, source: Source, deadline_s: float) -> None:
        data = source.read(deadline_s=deadline_s)
        if data:
            rows = self._rows.feed(data)
            if rows:
                self._heard_s, self._unreadable = monotonic(), self._rows.unreadable
            self._ready.extend(rows)

    def _samples(self, rows: Sequence[Row]) -> Samples:
        import numpy as np

        dropped, self._told = self._rows.unreadable - self._told, self._rows.unreadable
        period_s = self._settings.period_s
        for row in rows:
            if period_s is not None and self._last_s > -inf:
                dropped += max(0, round((row.time_s - self._last_s) / period_s) - 1)
            self._last_s = row.time_s
        columns = np.array([(row.time_s, row.volts, row.amps) for row in rows], dtype=np.float64).reshape(-1, 3)
        return Samples(time_s=columns[:, 0] + self._ahead_s, volts=columns[:, 1], amps=columns[:, 2], dropped=dropped)

    def _facts(self) -> MeterFacts:
        settings = self._settings
        times = [row.time_s for row in self._ready]
        seen_s = median(later - earlier for earlier, later in pairwise(times))
        return MeterFacts(
            name=f"csv {self._source.name}" if self._source else "csv",
            serial=f"of {self._board}",
            period_s=settings.period_s or seen_s,
            jitter_s=settings.jitter_s,
            errors=settings.errors(),
            drops_detectable=settings.period_s is not None,
            clock_error=CLOCK_ERROR,
            follow_clock=False,
        )
