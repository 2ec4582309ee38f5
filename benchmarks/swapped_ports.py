"""Two boards whose ports change places between commands: the one that the inventory means is used, or none."""

from __future__ import annotations

import hashlib
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

from benchmarks.result import write
from edgepipe.devices import firmware_build
from edgepipe.devices.boards.mcu import McuBoard
from edgepipe.devices.transports.serial import SerialTransport
from edgepipe.devices.transports.serial_line import Line
from edgepipe.errors import WrongBoard
from tests.firmware.host_board import behind_pty
from tests.firmware.random_models import random_model

COMMAND = "python -m benchmarks.swapped_ports"
TRIALS = 100
ENDS = ("right", "refused", "refused in vain", "wrong")
NAMES = {"m4": "one", "m7": "two"}  # a board of the inventory, and the serial number that its chip has


class Ports:
    """Two boards on two lines, and the names under which the lines are found: `lead` says where each name leads."""

    def __init__(self, folder: Path, builds: Path, held: ExitStack) -> None:
        self.folder, self._devices = folder, list[Path]()
        for serial in NAMES.values():
            flags = (f'-DHOST_NAMES=.board = "host", .cpu = "host", .serial = "{serial}"',)
            program = firmware_build.build("host", folder=builds, flags=flags).path
            self._devices.append(held.enter_context(behind_pty(program)))
        self.lead(0, 1)

    def lead(self, first: int, second: int) -> None:
        """Have the names lead to these lines from now on."""
        for name, number in zip(NAMES, (first, second), strict=True):
            beside = self.folder / f".{name}"
            beside.symlink_to(self._devices[number])
            beside.replace(self.folder / f"usb-{name}")


class Late(SerialTransport):
    """Opens its line only after something has happened: between the board's lock and its line."""

    def __init__(self, name: str, folder: Path, happens: Callable[[], object]) -> None:
        super().__init__(name, f"usb-{name}", 921_600, folder=folder)
        self._happens = happens

    def open(self, *, deadline_s: float) -> Line:
        """Let it happen, and open the line."""
        self._happens()
        return super().open(deadline_s=deadline_s)


def trial(ports: Ports, source: random.Random, *, pinned: bool) -> tuple[str, str]:
    """Use a board while ports change places; returns when they did, and whether that was the right board."""
    name, serial = source.choice(list(NAMES.items()))
    before, between = source.choice([(0, 1), (1, 0), (0, 0), (1, 1)]), source.choice([None, (0, 1), (1, 0)])
    ports.lead(*before)
    transport = Late(name, ports.folder, lambda: between and ports.lead(*between))
    content, _ = random_model("RELU", source.randrange(1000), rows=1)
    model = ports.folder / "model.tflite"
    model.write_bytes(content)
    kind = "between lock and line" if between else "before the command"
    with closing(McuBoard(name, transport, board_id=f"{serial}-host" if pinned else None, lock_folder=ports.folder)) as board:
        try:
            board.open()
        except WrongBoard:
            at = list(NAMES).index(name)
            return kind, "refused in vain" if (between or before)[at] == at else "refused"
        board.push(model, hashlib.sha256(content).hexdigest())
        return kind, "right" if board.identify().serial == f"{serial}-host" else "wrong"


def tried(folder: Path, builds: Path, trials: int, *, pinned: bool) -> dict[str, dict[str, int]]:
    """Run trials with firmware that is built in `builds`; counts by when the ports changed places."""
    source, found = random.Random(1), Counter[tuple[str, str]]()
    with ExitStack() as held:
        ports = Ports(folder, builds, held)
        found.update(trial(ports, source, pinned=pinned) for _ in range(trials))
    kinds = sorted({kind for kind, _ in found})
    return {kind: {end: found[kind, end] for end in ENDS} for kind in kinds}


def main() -> None:
    """Measure and write; `quick` as an argument takes a tenth of it and writes nothing."""
    trials = TRIALS // 10 if "quick" in sys.argv else TRIALS
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        figures = {
            "trials": trials,
            "with board_id": tried(place, place, trials, pinned=True),
            "without, to see that they do change places": tried(place, place, trials, pinned=False),
        }
    print(figures)
    if trials == TRIALS:
        print(write("swapped_ports", COMMAND, figures))


if __name__ == "__main__":
    main()
