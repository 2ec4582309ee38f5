"""Takes what a meter measures into a file, in a thread of its own, while the board is busy with something else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from edgepipe.devices.power.meter import MeterFacts, PowerMeter, Samples
from edgepipe.devices.power.pieces import cut, joined
from edgepipe.devices.power.trace_file import TraceFile, TraceWriter
from edgepipe.energy import TraceCounters
from edgepipe.errors import InfrastructureError, StorageError

READ_S = 0.2
LATE_S = 2.0  # how long samples from before the end may still be on their way
WRITE_S = 0.5  # how much of the end is in memory only
WRITE_SAMPLES = 1 << 16
STOP_S = 10.0


class Recorder:
    """Reads an opened meter for the length of a `with`; one that fails is told by `failure`, and what came before stays.

    `failed` is called then, in the recorder's thread, so that nobody works on for a meter that sees nothing.

    1. Entering makes the file, raising StorageError, and starts reading.
    2. `trace()` may be read at any time; it is half a second behind.
    3. Leaving waits for the samples until then, which some meters send a little late, but no longer than LATE_S, and writes the
       file's end. The meter is the caller's to close, afterwards.
    """

    def __init__(
        self,
        meter: PowerMeter,
        facts: MeterFacts,
        path: Path,
        *,
        started_utc: str,
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        self._meter, self._facts, self.path, self._failed = meter, facts, path, failed
        self._started_utc = started_utc
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="power", daemon=True)
        self._counted = TraceCounters(dropped=0 if facts.drops_detectable else None)
        self._waiting: list[Samples] = []
        self._written_s = 0.0
        self.failure: InfrastructureError | None = None

    @property
    def counters(self) -> TraceCounters:
        """What came until now, `negative` and `markers_missing` not being counted yet; `dropped` are those that are known."""
        return self._counted

    def trace(self) -> TraceFile:
        """Return what is in the file by now. Raises DataError where something else changed it."""
        return TraceFile(self.path)

    def __enter__(self) -> Recorder:
        self._writer = TraceWriter(self.path, self._facts, started_utc=self._started_utc)
        self._written_s = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join(STOP_S)
        if self._thread.is_alive() and self.failure is None:
            self.failure = InfrastructureError(
                f"the meter {self._facts.name} did not answer for {STOP_S:g} s", todo="Unplug it and plug it in again."
            )

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._take(self._meter.read(deadline_s=READ_S))
            self._take_late_ones()
            self._writer.finish(self._flush())
        except InfrastructureError as exc:
            self.failure = exc
            self._failed()
            if not isinstance(exc, StorageError):  # whose half a block must stay the last thing in the file
                self._end_early()
        finally:
            self._writer.close()

    def _take_late_ones(self) -> None:
        """Read on to a sample from after the end, or until no more come."""
        stopped_s = time.monotonic()
        wait_s = min(LATE_S, max(READ_S, 2 * (self._facts.period_s + self._facts.jitter_s)))
        while time.monotonic() < stopped_s + LATE_S:
            samples = self._meter.read(deadline_s=wait_s)
            self._take(samples)
            if not samples.time_s.size or samples.time_s[-1] >= stopped_s:
                return

    def _end_early(self) -> None:
        """Write what there is, where the disk still takes it."""
        try:
            self._writer.finish(self._flush())
        except StorageError:
            return  # the first failure is the one to tell

    def _take(self, samples: Samples) -> None:
        counted = self._counted
        self._counted = replace(
            counted,
            samples=counted.samples + samples.time_s.size,
            dropped=counted.dropped if not samples.dropped else (counted.dropped or 0) + samples.dropped,
            saturated=counted.saturated + samples.saturated,
            resets=counted.resets + samples.resets,
        )
        self._waiting.append(samples)
        full = sum(piece.time_s.size for piece in self._waiting) >= WRITE_SAMPLES
        if full or time.monotonic() - self._written_s >= WRITE_S:
            left = self._flush()
            self._waiting = [left] if _counts(left) else []

    def _flush(self) -> Samples:
        """Write what waits, and return what was counted without any sample since."""
        whole = joined(self._waiting)
        self._waiting, self._written_s = [], time.monotonic()
        if not whole.time_s.size:
            return whole
        for at in range(0, whole.time_s.size, WRITE_SAMPLES):
            self._writer.write(cut(whole, slice(at, at + WRITE_SAMPLES), counted=at == 0))
        return joined([])


def _counts(samples: Samples) -> int:
    return samples.dropped + samples.saturated + samples.resets
