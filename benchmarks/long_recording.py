"""An hour at 100 kS/s, recorded and made an energy of: how much memory that takes, and how much of a core.

The meter hands out its samples as fast as they are taken, so the hour passes in a minute or so; the memory is what an hour needs.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.result import write
from edgepipe.devices.power.energy import energy_of
from edgepipe.devices.power.meter import ErrorTerms, MeterFacts, Samples
from edgepipe.devices.power.recorder import Recorder
from edgepipe.devices.power.windows import Idle, Span, Stamp

COMMAND = "python -m benchmarks.long_recording"
MINUTES, RATE_HZ = 60.0, 100_000
AT_ONCE = 10_000
DEADLINE_S = 1800.0
VOLTS, ACTIVE_A, IDLE_A, MARGIN_S = 3.0, 0.02, 0.005, 6.0
FACTS = MeterFacts(
    name="unhurried",
    serial="1",
    period_s=1 / RATE_HZ,
    jitter_s=0.0,
    errors=ErrorTerms(gain=0.001, volt=0.001, offset_a=1e-7, source="none: it is made up"),
    has_marker=True,
    drops_detectable=True,
)


class UnhurriedMeter:
    """Idle, five windows with a tenth of a second between them, idle: `seconds` of it, whatever the clock says."""

    def __init__(self, seconds: float) -> None:
        self.samples = int(seconds * RATE_HZ)
        self._taken = 0
        length_s = (seconds - 2 * MARGIN_S) / 5
        starts = [MARGIN_S + length_s * index for index in range(5)]
        self.stamps = [
            Stamp(start_s=start + 0.05, end_s=start + length_s - 0.05, inferences=1000, uncertainty_s=1e-4) for start in starts
        ]
        self.idle = Idle(before=Span(start_s=0.5, end_s=5.9), after=Span(start_s=seconds - 5.9, end_s=seconds - 0.5))

    def open(self) -> MeterFacts:
        """Return the facts."""
        return FACTS

    def read(self, *, deadline_s: float) -> Samples:
        """Return the next samples; after the last, wait."""
        count = min(AT_ONCE, self.samples - self._taken)
        if not count:
            time.sleep(deadline_s)
        time_s = (self._taken + np.arange(1, count + 1)) / RATE_HZ
        marker = np.zeros(count, bool)
        for stamp in self.stamps:
            marker |= (time_s > stamp.start_s) & (time_s <= stamp.end_s)
        self._taken += count
        return Samples(time_s=time_s, volts=np.full(count, VOLTS), amps=np.where(marker, ACTIVE_A, IDLE_A), marker=marker)

    def close(self) -> None:
        """Nothing was opened."""


def peak_mb() -> float:
    """Return the most memory that this process had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(minutes: float, folder: Path) -> dict[str, Any]:
    """Record, make an energy of it, and return what that took."""
    meter, path = UnhurriedMeter(60 * minutes), folder / "hour.trace"
    before_mb, began_s, cpu_s = peak_mb(), time.monotonic(), time.process_time()
    with Recorder(meter, meter.open(), path, started_utc="2026-01-01T00:00:00+00:00") as recorder:
        while recorder.counters.samples < meter.samples and recorder.failure is None:
            time.sleep(0.1)
            if time.monotonic() - began_s > DEADLINE_S:
                sys.exit("the recording took too long")
    recorded_mb, recorded_cpu_s = peak_mb(), time.process_time() - cpu_s
    cpu_s = time.process_time()
    energy = energy_of(FACTS, recorder.trace(), meter.stamps, meter.idle, marked=True)
    return {
        "minutes": minutes,
        "samples": recorder.counters.samples,
        "samples_in_energy": energy.counters.samples,
        "file_mb": round(path.stat().st_size / 1e6, 1),
        "peak_mb_before": round(before_mb, 1),
        "peak_mb_recording": round(recorded_mb, 1),
        "peak_mb_with_energy": round(peak_mb(), 1),
        "recording_cpu_share_of_real_time": round(recorded_cpu_s / (60 * minutes), 4),
        "energy_cpu_s": round(time.process_time() - cpu_s, 1),
        "energy_uj": energy.energy_uj,
        "true_uj": round(1e6 * VOLTS * ACTIVE_A * meter.stamps[0].seconds / 1000, 3),
        "failure": str(recorder.failure or energy.reason),
    }


def main() -> None:
    """Measure and write; a number as an argument is how many minutes, and writes nothing."""
    asked = [float(word) for word in sys.argv[1:] if word.replace(".", "", 1).isdigit()]
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(asked[0] if asked else MINUTES, Path(folder))
    print(figures)
    if not asked:
        print(write("long_recording", COMMAND, figures))


if __name__ == "__main__":
    main()
