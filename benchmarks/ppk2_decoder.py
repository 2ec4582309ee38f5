"""A PPK2's 100,000 samples a second, decoded and recorded: what that takes of a processor, what is lost, and an hour's memory.

The kit is the tests' emulator in a process of its own, on a PTY. Decoder and recorder are another process, whose processor time and
memory are measured. The hour is played faster than it would take, and beside the ten minutes: of it only the memory counts.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.result import write
from edgepipe.devices.power.ppk2 import Ppk2, Ppk2Meter
from edgepipe.devices.power.recorder import Recorder
from tests.power_meters.ppk2_emulator import HZ, NAME

COMMAND = "python -m benchmarks.ppk2_decoder"
LIVE_S, HOUR_S, HOURS_SPEED = 600, 3600, 6
UP_SHARE, UP_S = 3.0, 60.0  # the kit goes by itself when it was not ended by then


def recorded(folder: Path, seconds: float, speed: int) -> dict[str, float]:
    """Record the kit in `folder` until so many seconds of its own clock are in the file; return what it took this process."""
    meter = Ppk2Meter("board", Ppk2(by_id=NAME, mode="source", volts=3.3, marker_line=0), folder=folder)
    facts = meter.open()
    began_s, began_cpu_s = time.monotonic(), time.process_time()
    with Recorder(meter, facts, folder / "trace", started_utc="") as recorder:
        while recorder.counters.samples + (recorder.counters.dropped or 0) < seconds * HZ and recorder.failure is None:
            time.sleep(0.1)
    wall_s, cpu_s = time.monotonic() - began_s, time.process_time() - began_cpu_s
    meter.close()
    if recorder.failure is not None:
        raise recorder.failure
    return {
        "samples": recorder.counters.samples,
        "dropped": recorder.counters.dropped or 0,
        "wall_s": round(wall_s, 1),
        "processor_share_of_one_core": round(cpu_s / wall_s, 4),
        "largest_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "file_mb": round((folder / "trace").stat().st_size / 1e6, 1),
        "times_real_speed": speed,
    }


def tried(seconds: float, speed: int) -> dict[str, float]:
    """Let a kit and its recorder run as two processes; add how many samples nobody read in time, as the kit counts them."""
    with tempfile.TemporaryDirectory() as folder:
        up_s = str(UP_SHARE * seconds / speed + UP_S)
        kit = subprocess.Popen(
            [sys.executable, "-m", "tests.power_meters.ppk2_emulator", folder, up_s, str(speed)], stdout=subprocess.PIPE, text=True
        )
        assert kit.stdout is not None
        try:
            kit.stdout.readline()
            command = [sys.executable, "-m", "benchmarks.ppk2_decoder", "record", folder, str(seconds), str(speed)]
            figures: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
            time.sleep(1.0)
            figures["lost_since_nobody_read"] = int((Path(folder) / "unread").read_text())
        finally:
            kit.terminate()
            kit.wait()
    return figures


def main() -> None:
    """Measure and write; `quick` as an argument takes a hundredth of it and writes nothing."""
    if sys.argv[1:2] == ["record"]:
        print(json.dumps(recorded(Path(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))))
        return
    divisor = 100 if "quick" in sys.argv else 1
    with ThreadPoolExecutor() as both:
        live = both.submit(tried, LIVE_S / divisor, 1)
        hour = both.submit(tried, HOUR_S / divisor, HOURS_SPEED)
        figures = {"ten minutes": live.result(), "an hour": hour.result()}
    print(figures)
    if divisor == 1:
        print(write("ppk2_decoder", COMMAND, figures))


if __name__ == "__main__":
    main()
