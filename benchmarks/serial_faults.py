"""Uploads over a line that flips, drops, duplicates and inserts bytes, and over resets: what arrives is whole, or it fails cleanly.

The firmware runs on this machine, its line is a pipe, and both directions are damaged. Whether a board that reports success has the
right file is asked again over the undamaged line.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from time import monotonic

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
RESET_IMAGES, RESETS_EACH, RESET_BYTES = 100, 5, 60_000
OPEN_S, UPLOAD_S, RECOVERY_S = 20.0, 60.0, 30.0


def sent(line: Line, upload: Upload) -> bool:
    """Whether an upload reported success; every other end is an error that says what happened."""
    link = FrameLink(line, "board")
    try:
        link.hello(deadline_s=OPEN_S)
        SerialUpload(link, upload, LIMITS).run(deadline_s=UPLOAD_S)
    except (DeviceUnreachable, InfrastructureError):
        return False
    return True


def is_whole(board: HostBoard, upload: Upload) -> bool:
    """Whether the board has exactly this file: announced again, it wants no byte more, and the hash is right."""
    link = FrameLink(board, "board")
    link.hello(deadline_s=OPEN_S)
    begun = link.ask(Ask.BEGIN, upload.order, deadline_s=OPEN_S)
    wants_no_more = int.from_bytes(begun.payload, "little") == len(upload.content)
    return wants_no_more and link.ask(Ask.COMMIT, deadline_s=OPEN_S).status is Status.OK


def noisy(program: Path, rate: float, count: int, largest_bytes: int) -> dict[str, float]:
    """Send `count` files over a line of this rate."""
    found: Counter[str] = Counter()
    for seed in range(count):
        source = random.Random(seed)
        upload = Upload(content=source.randbytes(source.randrange(1, largest_bytes)), name="kws01")
        board = HostBoard(program)
        line = NoisyLine(board, rate=rate, seed=seed)
        if sent(line, upload):
            found["arrived" if is_whole(board, upload) else "silently_corrupt"] += 1
        else:
            found["failed_cleanly"] += 1
        found["faults"] += line.faults
        found["bytes"] += len(upload.content)
        board.close()
    keys = ("arrived", "silently_corrupt", "failed_cleanly", "faults", "bytes")
    return {"images": count, **{key: found[key] for key in keys}, "success_share": found["arrived"] / count}


def resets(program: Path, images: int, each: int) -> dict[str, float]:
    """Press the reset button `each` times in every upload; half of the boards forget their memory, as by a power cut."""
    found: Counter[str] = Counter()
    longest_s = 0.0
    for seed in range(images):
        source = random.Random(seed)
        upload = Upload(content=source.randbytes(RESET_BYTES), name="kws01")
        at = sorted(source.sample(range(1, RESET_BYTES), each))
        board = HostBoard(program)
        link = FrameLink(board, "board")
        pressed = [monotonic()]

        press_it = board.press_power if seed % 2 else board.press_reset

        def press(offset: int, at: list[int] = at, pressed: list[float] = pressed, press_it: Callable[[], None] = press_it) -> None:
            while at and offset >= at[0]:
                at.pop(0)
                pressed.append(monotonic())
                press_it()

        try:
            link.hello(deadline_s=OPEN_S)
            SerialUpload(link, upload, LIMITS, press).run(deadline_s=UPLOAD_S)
            found["arrived" if is_whole(board, upload) else "silently_corrupt"] += 1
        except (DeviceUnreachable, InfrastructureError):
            found["failed_cleanly"] += 1
        found["resets"] += len(pressed) - 1
        longest_s = max(longest_s, monotonic() - pressed[-1])
        board.close()
    keys = ("resets", "arrived", "silently_corrupt", "failed_cleanly")
    return {"images": images, **{key: found[key] for key in keys}, "longest_s_from_the_last_reset_to_the_end": round(longest_s, 3)}


def main() -> None:
    """Measure and write; `quick` as an argument takes a fiftieth of it and writes nothing."""
    divisor = 50 if "quick" in sys.argv else 1
    with tempfile.TemporaryDirectory() as folder:
        program = firmware_build.build("host", folder=Path(folder)).path
        lines = {f"{rate:g}": noisy(program, rate, count // divisor, LARGEST_BYTES[rate]) for rate, count in IMAGES_AT_RATE.items()}
        figures = {"faults_a_byte": lines, "resets": resets(program, RESET_IMAGES // divisor, RESETS_EACH)}
    print(figures)
    if divisor == 1:
        print(write("serial_faults", COMMAND, figures))


if __name__ == "__main__":
    main()
