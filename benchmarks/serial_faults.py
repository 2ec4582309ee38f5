"""Uploads over a line that flips, drops, duplicates and inserts bytes, and over resets: what arrives is whole, or it fails cleanly.

The firmware runs on this machine, its line is a pipe, and both directions are damaged; some of it again in QEMU. Whether a board
that reports success has the right file is asked again over the undamaged line.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from benchmarks.emulated_line import MACHINE, emulated_line
from benchmarks.noisy_line import NoisyLine
from benchmarks.result import write
from edgepipe.devices import firmware_build
from edgepipe.devices.transports.frame_link import Ask, FrameLink, Status
from edgepipe.devices.transports.serial_line import Line
from edgepipe.devices.transports.serial_upload import LineLimits, SerialUpload, Upload
from edgepipe.errors import DeviceUnreachable, InfrastructureError
from tests.firmware.host_board import HostBoard

COMMAND = "python -m benchmarks.serial_faults"
LIMITS = LineLimits(window_bytes=4096, payload_bytes=1024, baud=921_600)
IMAGES_AT_RATE = {1e-4: 400, 1e-3: 500, 1e-2: 100}  # faults a byte
LARGEST_BYTES = {1e-4: 60_000, 1e-3: 60_000, 1e-2: 2_000}
LARGE_IMAGES, LARGE_RATE, LARGE_BYTES = 30, 1e-2, 60_000  # most of their frames are hit: whole within UPLOAD_S, or a clean failure
EMULATED_IMAGES, EMULATED_RATE, EMULATED_BYTES = 20, 1e-3, 30_000
RESET_IMAGES, RESETS_EACH, RESET_BYTES = 100, 5, 60_000
OPEN_S, UPLOAD_S = 20.0, 60.0
AT_A_TIME = 6  # they mostly wait


def sent(line: Line, upload: Upload, advance: Callable[[int], None]) -> bool:
    """Whether an upload reported success; every other end is an error that says what happened."""
    link = FrameLink(line, "board")
    try:
        link.hello(deadline_s=OPEN_S)
        SerialUpload(link, upload, LIMITS, advance).run(deadline_s=UPLOAD_S)
    except (DeviceUnreachable, InfrastructureError):
        return False
    return True


def is_whole(board: Line, upload: Upload) -> bool:
    """Whether the board has exactly this file: announced again, it wants no byte more, and the hash is right."""
    link = FrameLink(board, "board")
    link.hello(deadline_s=OPEN_S)
    begun = link.ask(Ask.BEGIN, upload.order, deadline_s=OPEN_S)
    wants_no_more = int.from_bytes(begun.payload, "little") == len(upload.content)
    return wants_no_more and link.ask(Ask.COMMIT, deadline_s=OPEN_S).status is Status.OK


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One upload: over a line of this rate, or with so many resets; with an odd seed they are power cuts."""

    program: Path
    seed: int
    size_bytes: int
    rate: float = 0.0
    resets: int = 0

    def run(self) -> Counter[str]:
        """Upload, and look what has become of it."""
        source, found = random.Random(self.seed), Counter[str]()
        upload = Upload(content=source.randbytes(self.size_bytes), name="kws01")
        at = sorted(source.sample(range(1, self.size_bytes), self.resets))
        board = HostBoard(self.program)
        line = NoisyLine(board, rate=self.rate, seed=self.seed)
        last = monotonic()

        def press(offset: int) -> None:
            nonlocal last
            while at and offset >= at[0]:
                at.pop(0)
                (board.press_power if self.seed % 2 else board.press_reset)()
                last = monotonic()
                found["resets"] += 1

        if sent(line, upload, press):
            found["arrived" if is_whole(board, upload) else "silently_corrupt"] += 1
        else:
            found["failed_cleanly"] += 1
        board.close()
        found.update(images=1, faults=line.faults, bytes=self.size_bytes, longest_ms=round(1000 * (monotonic() - last)))
        return found


@dataclass(frozen=True, kw_only=True)
class EmulatedTrial:
    """One upload to a board that is booted for it."""

    folder: Path
    seed: int
    size_bytes: int

    def run(self) -> Counter[str]:
        """Upload, and look what has become of it."""
        upload, began = Upload(content=random.Random(self.seed).randbytes(self.size_bytes), name="kws01"), monotonic()
        with emulated_line(self.folder) as board:
            line = NoisyLine(board, rate=EMULATED_RATE, seed=self.seed)
            arrived = sent(line, upload, lambda offset: None)
            ended = ("arrived" if is_whole(board, upload) else "silently_corrupt") if arrived else "failed_cleanly"
        took_ms = round(1000 * (monotonic() - began))
        return Counter({ended: 1, "images": 1, "faults": line.faults, "bytes": self.size_bytes, "longest_ms": took_ms})


def counted_up(found: Sequence[Counter[str]]) -> dict[str, float]:
    """Count how trials ended; `longest_ms` is from the last reset, or the beginning, to the end."""
    keys = ("images", "arrived", "silently_corrupt", "failed_cleanly", "resets", "faults", "bytes")
    counted = {key: sum(one[key] for one in found) for key in keys}
    longest_ms = max(one["longest_ms"] for one in found)
    return {**counted, "longest_ms": longest_ms, "success_share": counted["arrived"] / counted["images"]}


def main() -> None:
    """Measure and write; `quick` as an argument takes a fiftieth of it and writes nothing."""
    divisor = 50 if "quick" in sys.argv else 1
    sizes = random.Random(0)
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(AT_A_TIME) as pool:
        program = firmware_build.build("host", folder=Path(folder)).path
        figures: dict[str, object] = {}
        for rate, count in IMAGES_AT_RATE.items():
            trials = [
                Trial(program=program, seed=seed, size_bytes=sizes.randrange(1, LARGEST_BYTES[rate]), rate=rate)
                for seed in range(count // divisor)
            ]
            figures[f"{rate:g} faults a byte"] = counted_up(list(pool.map(Trial.run, trials)))
        large = [
            Trial(program=program, seed=seed, size_bytes=sizes.randrange(2_000, LARGE_BYTES), rate=LARGE_RATE)
            for seed in range(max(1, LARGE_IMAGES // divisor))
        ]
        figures[f"{LARGE_RATE:g} faults a byte, large images"] = counted_up(list(pool.map(Trial.run, large)))
        cuts = [
            Trial(program=program, seed=seed, size_bytes=RESET_BYTES, resets=RESETS_EACH) for seed in range(RESET_IMAGES // divisor)
        ]
        figures["resets, and every other time power cuts"] = counted_up(list(pool.map(Trial.run, cuts)))
        emulated = [
            EmulatedTrial(folder=Path(folder), seed=seed, size_bytes=sizes.randrange(1, EMULATED_BYTES))
            for seed in range(max(1, EMULATED_IMAGES // divisor))
        ]  # one after another: an emulator takes a whole processor
        figures[f"{EMULATED_RATE:g} faults a byte, in QEMU {MACHINE}"] = counted_up([trial.run() for trial in emulated])
    print(figures)
    if divisor == 1:
        print(write("serial_faults", COMMAND, figures))


if __name__ == "__main__":
    main()
