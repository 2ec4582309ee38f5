"""What a boot loader, a wrong baud rate or the host before left on a line is never taken for an answer of the board."""

from __future__ import annotations

import hashlib
import random
import sys
import tempfile
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path

from benchmarks.result import write
from edgepipe.devices import firmware_build
from edgepipe.devices.boards.mcu import McuBoard
from edgepipe.devices.protocols import RunOptions
from edgepipe.devices.transports.serial_line import Line
from edgepipe.errors import DeviceUnreachable, InfrastructureError
from tests.firmware.host_board import HostBoard
from tests.firmware.random_models import random_model

COMMAND = "python -m benchmarks.boot_noise"
TRIALS = 200
PIECES = 8
BANNER = b"ets Jun  8 2016 00:22:57\r\nrst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n"
TEXT = b"m-timestamp-mode-performance\r\nm-lap-us-1\r\nm-init-done\r\nm-ready\r\nm-results-[1.0,0.0]\r\nm-ready\r\n"
ENDS = ("right", "failed_cleanly", "wrong")


class Heard:
    """Passes on a board's line, and remembers what the board said."""

    def __init__(self, line: Line) -> None:
        self._line, self.said = line, bytearray()

    def read(self, *, deadline_s: float) -> bytes:
        """Return what has come."""
        data = self._line.read(deadline_s=deadline_s)
        self.said += data
        return data

    def write(self, data: bytes, *, deadline_s: float) -> None:
        """Send bytes."""
        self._line.write(data, deadline_s=deadline_s)

    def close(self) -> None:
        """Leave the board as it is."""


class Booting(Heard):
    """A line on which `noise` stands before the board's first byte."""

    def __init__(self, line: Line, noise: bytes) -> None:
        super().__init__(line)
        self._noise = noise

    def read(self, *, deadline_s: float) -> bytes:
        """Return the noise, then what has come."""
        noise, self._noise = self._noise, b""
        return noise or super().read(deadline_s=deadline_s)


class OpenLine:
    """How a line that is open already is got at."""

    key, baud = "here", 921_600

    def __init__(self, line: Line) -> None:
        self._line = line

    def open(self, *, deadline_s: float) -> Line:
        """Return the line."""
        return self._line

    def close(self) -> None:
        """Leave it open."""


def noise(source: random.Random, before: bytes) -> bytes:
    """Return what a line may carry when it is opened; `before`: what the board said in an earlier conversation."""
    cut = source.randrange(len(before))
    pieces = [BANNER, TEXT, b"\0", b"\0\1", b"\x80\0", source.randbytes(40), before, before[cut:], before[:cut]]
    return b"".join(source.choices(pieces, k=PIECES))


def answers(line: Line, folder: Path, content: bytes, samples: list[tuple[bytes, ...]]) -> list[tuple[bytes, ...]]:
    """Open a board on the line, push a model, and return what it answers."""
    model, sha256 = folder / "model.tflite", hashlib.sha256(content).hexdigest()
    model.write_bytes(content)
    with closing(McuBoard("board", OpenLine(line), lock_folder=folder)) as board:
        board.open()
        board.push(model, sha256)
        return [answer.outputs for answer in board.predict(sha256, iter(samples), RunOptions(deadline_s=10.0))]


def tried(program: Path, folder: Path, trials: int) -> dict[str, int]:
    """Ask a board behind noise for the answers of a model, after it has answered with another; counts how that ends."""
    found = Counter(trials=trials)
    models = [random_model("CONV_2D", seed, rows=2) for seed in (3, 4)]
    (first, second), ways = [(model, [tuple(row.tobytes() for row in rows) for rows in cases]) for model, cases in models], []
    with closing(HostBoard(program)) as board:
        heard = Heard(board)
        answers(heard, folder, *second)
        truth = answers(Heard(board), folder, *first)
        for seed in range(trials):
            line = Booting(board, noise(random.Random(seed), bytes(heard.said)))
            with suppress(DeviceUnreachable, InfrastructureError):
                ways.append("right" if answers(line, folder, *first) == truth else "wrong")
            answers(Heard(board), folder, *second)  # so that its memory holds other answers
    found.update(ways)
    found["failed_cleanly"] = trials - len(ways)
    return {end: found[end] for end in ("trials", *ENDS)}


def main() -> None:
    """Measure and write; `quick` as an argument takes a tenth of it and writes nothing."""
    trials = TRIALS // 10 if "quick" in sys.argv else TRIALS
    with tempfile.TemporaryDirectory() as folder:
        program = firmware_build.build("host", folder=Path(folder)).path
        figures: dict[str, object] = dict(tried(program, Path(folder), trials))
    print(figures)
    if trials == TRIALS:
        print(write("boot_noise", COMMAND, figures))


if __name__ == "__main__":
    main()
