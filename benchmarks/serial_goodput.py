"""How much of a serial line an upload uses: payload bytes over baud / 10, through a line that takes its time for every byte."""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path
from time import monotonic

from benchmarks.emulated_line import MACHINE, emulated_line
from benchmarks.paced_line import PacedLine
from benchmarks.result import write
from edgepipe.devices import firmware_build
from edgepipe.devices.transports.frame_link import FrameLink
from edgepipe.devices.transports.serial_line import Line
from edgepipe.devices.transports.serial_upload import LineLimits, SerialUpload, Upload
from tests.firmware.host_board import HostBoard

COMMAND = "python -m benchmarks.serial_goodput"
SIZE_BYTES = 276_976  # the anomaly detector of MLPerf Tiny
TURNAROUNDS_MS = (1, 16)
LOST_FRAMES = (0.0, 0.01)
Board = Callable[[], AbstractContextManager[Line]]


def goodput(board: Board, baud: int, turnaround_s: float, lost_frames: float, size_bytes: int) -> dict[str, float]:
    """Upload once, from the first announcement to the checked hash."""
    with board() as line:
        link = FrameLink(PacedLine(line, baud=baud, turnaround_s=turnaround_s, lost_frames=lost_frames, seed=1), "board")
        link.hello(deadline_s=20)
        limits = LineLimits(window_bytes=8192, payload_bytes=1024, baud=baud)
        began = monotonic()
        sent = SerialUpload(link, Upload(content=random.Random(1).randbytes(size_bytes)), limits).run(deadline_s=120)
        took_s = monotonic() - began
    return {"share_of_the_line": round(size_bytes / took_s / (baud / 10), 4), "seconds": round(took_s, 3), "rewinds": sent.rewinds}


def main() -> None:
    """Measure and write; `quick` as an argument measures one case and writes nothing."""
    with tempfile.TemporaryDirectory() as folder:
        program = firmware_build.build("host", folder=Path(folder)).path

        def on_host() -> AbstractContextManager[Line]:
            return closing(HostBoard(program))

        def emulated() -> AbstractContextManager[Line]:
            return emulated_line(Path(folder))

        if "quick" in sys.argv:
            print(goodput(on_host, 921_600, 0.016, 0.01, 100_000))
            return
        cases: list[tuple[str, Board, int]] = [
            ("host", on_host, 115_200),
            ("host", on_host, 921_600),
            (f"QEMU {MACHINE}", emulated, 115_200),
        ]
        figures = {
            f"{name}, {baud} baud, {turnaround_ms} ms turn-around, {lost:g} of the frames lost": goodput(
                board, baud, turnaround_ms / 1000, lost, SIZE_BYTES
            )
            for name, board, baud in cases
            for turnaround_ms in TURNAROUNDS_MS
            for lost in LOST_FRAMES
        }
    print(figures)
    print(write("serial_goodput", COMMAND, figures))


if __name__ == "__main__":
    main()
