"""The power fails in every flash operation of a deployment to a microcontroller (host build): before it, in it, after it.

After each, the board is switched on again: it must boot with a model that is whole and answers as it should, the old or the new
one, and must take the same deployment again. python -m benchmarks.flash_resets [--every N]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shutil
import struct
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from time import monotonic

import numpy as np

from benchmarks.deployments import golden_of
from benchmarks.deployments import order as order_of
from benchmarks.result import write
from edgepipe.devices.boards.mcu_deployable import DeployableMcu
from edgepipe.devices.deployments import Order, State
from edgepipe.devices.protocols import RunOptions
from edgepipe.errors import DeviceUnreachable, EdgepipeError
from tests.firmware.dense import dense
from tests.firmware.host_board import HostBoard, HostTransport, firmware

COMMAND = "python -m benchmarks.flash_resets"
RIG = struct.Struct("<III")  # devices/firmware/port/host_flash/host_flash.c: operations done, the one to fail in, how much of it
FLASH_BYTES, SECTOR_BYTES = 2 * ((1 << 20) + 4096), 4096
BEHIND_BYTES = 5000
CHAINS, LONGEST_CHAIN = 100, 5


class Extent(IntEnum):
    """How much of an operation is done when the power fails."""

    NOTHING = 0
    FIRST_HALF = 1
    LAST_HALF = 2
    SCATTERED_BITS = 3
    ALL = 4


@dataclass(frozen=True)
class Scene:
    """A board before something is done to it; `allowed` are the models that it may run whenever that ends."""

    name: str
    flash: Path
    order: Order | None  # None: it is rolled back instead
    allowed: tuple[str | None, ...]


@dataclass(frozen=True)
class Cut:
    """The power fails in operation `at`, counted from 1."""

    at: int
    extent: Extent


@contextmanager
def switched_on(program: Path, flash: Path) -> Iterator[DeployableMcu]:
    """Run the board on a flash, with a host that talks to it."""
    device = HostBoard(program, flash=flash)
    board = DeployableMcu("board", HostTransport(device, f"flash {flash}"), lock_folder=flash.parent)
    try:
        board.open()
        yield board
    finally:
        board.close()
        device.close()


def operations(flash: Path) -> int:
    """Return how many operations a flash has done."""
    with flash.open("rb") as file:
        file.seek(FLASH_BYTES)
        return int(RIG.unpack(file.read(RIG.size))[0])


def arm(flash: Path, cut: Cut | None) -> None:
    """Have the power fail, or not."""
    with flash.open("r+b") as file:
        file.seek(FLASH_BYTES)
        file.write(RIG.pack(0, cut.at if cut else 0, cut.extent if cut else 0))


class Campaign:
    """Boards to be hurt, made once."""

    def __init__(self, folder: Path, program: Path) -> None:
        self.folder, self.program = folder, program
        # What is behind a model's end changes no answer: a copy that was cut short there is found by its hash alone.
        models = [dense(seed) + random.Random(seed).randbytes(BEHIND_BYTES) for seed in range(3)]
        self.orders = [order_of(folder / "models", content, golden_of(folder / "models", content)) for content in models]
        self.scenes = self._scenes()

    def _scenes(self) -> tuple[Scene, ...]:
        """Return boards with no model, with one, and with two, for each what is done to it."""
        flashes = [self.folder / f"{count}-models.flash" for count in range(3)]
        with switched_on(self.program, flashes[0]):
            pass
        for count in (1, 2):
            shutil.copyfile(flashes[count - 1], flashes[count])
            with switched_on(self.program, flashes[count]) as board:
                board.confirm(board.deploy(self.orders[count - 1]).id)
        one, two, three = (order.sha256 for order in self.orders)
        return (
            Scene("the first model", flashes[0], self.orders[0], (None, one)),
            Scene("the second model", flashes[1], self.orders[1], (one, two)),
            Scene("one in the place of the first", flashes[2], self.orders[2], (two, three)),
            Scene("going back", flashes[2], None, (two, one)),
        )

    def count(self, scene: Scene) -> int:
        """Return how many flash operations it takes undisturbed, which must end as it should."""
        flash = self._copy(scene, "undisturbed")
        arm(flash, None)
        with switched_on(self.program, flash) as board:
            _do(board, scene)
            assert board.standing().current == scene.allowed[1]
        return operations(flash)

    def hurt(self, scene: Scene, cuts: Sequence[Cut]) -> list[str]:
        """Cut the power in one attempt after another, and return what is wrong with the board then and afterwards."""
        flash, problems = self._copy(scene, "hurt"), list[str]()
        for cut in cuts:
            arm(flash, cut)
            try:
                with switched_on(self.program, flash) as board:
                    _do(board, scene)
                if operations(flash) >= cut.at:
                    problems.append("the power did not fail")
            except DeviceUnreachable:
                pass
            except EdgepipeError as exc:  # a trial that waits for a word, or nothing left to go back to
                if len(cuts) == 1:
                    problems.append(f"{type(exc).__name__}: {exc.what}")
            arm(flash, None)
            problems += self._wrong(scene, flash)
        return problems + self._used_again(scene, flash, confirmed=bool(cuts[0].at % 2))

    def _wrong(self, scene: Scene, flash: Path) -> list[str]:
        """Switch the board on and return what is wrong with the model that it runs."""
        with switched_on(self.program, flash) as board:
            current = board.standing().current
            if current not in scene.allowed:
                return [f"it runs {current}"]
            return [] if current is None else [*self._answers_wrong(board, current), *_torn(flash, current)]

    def _answers_wrong(self, board: DeployableMcu, sha256: str) -> list[str]:
        order = next(order for order in self.orders if order.sha256 == sha256)
        with np.load(order.golden) as golden:
            samples = [(row.tobytes(),) for row in golden["input_0"]]
            right = [row.tobytes() for row in golden["output_0"]]
        answers = [prediction.outputs[0] for prediction in board.predict_kept(iter(samples), RunOptions())]
        return [] if answers == right else [f"{sha256:.12} answers wrongly"]

    def _used_again(self, scene: Scene, flash: Path, *, confirmed: bool) -> list[str]:
        """Do the same again, after a word on a trial that waits for one; it must then be as if nothing had happened."""
        try:
            with switched_on(self.program, flash) as board:
                if board.standing().state is State.TRIAL:
                    board.confirm() if confirmed else board.rollback("the power failed")
                if board.standing().current != scene.allowed[1]:
                    _do(board, scene)
        except EdgepipeError as exc:
            return [f"it could not be used again: {exc}"]
        with switched_on(self.program, flash) as board:
            standing = board.standing()
        settled = standing.current == scene.allowed[1] and standing.state in (State.COMMITTED, State.ROLLED_BACK)
        return [*([] if settled else [f"in the end it is {standing.state} with {standing.current}"]), *self._wrong(scene, flash)]

    def _copy(self, scene: Scene, name: str) -> Path:
        flash = self.folder / f"{name}.flash"
        shutil.copyfile(scene.flash, flash)
        return flash


def _do(board: DeployableMcu, scene: Scene) -> None:
    """Do what the scene is about; a board that is there already is left alone."""
    if scene.order is None:
        board.rollback("asked for")
        return
    deployed = board.deploy(scene.order)
    if deployed.outcome is State.TRIAL:
        board.confirm(deployed.id)


def _torn(flash: Path, sha256: str) -> list[str]:
    """Look for the model in the file itself: it begins at a sector of one of the slots, and its length stands in the header."""
    content = flash.read_bytes()[:FLASH_BYTES]
    for header in (content[:128], content[FLASH_BYTES // 2 :][:128]):
        first = SECTOR_BYTES if header == content[:128] else FLASH_BYTES // 2 + SECTOR_BYTES
        (size_bytes,) = struct.unpack_from("<I", header, 12)
        if header[32:64].hex() == sha256 and hashlib.sha256(content[first : first + size_bytes]).hexdigest() == sha256:
            return []
    return [f"{sha256:.12} runs, and is nowhere whole"]


def single(campaign: Campaign, every: int = 1) -> dict[str, object]:
    """Cut the power once, at every `every`-th point."""
    points = [
        (scene, Cut(at, extent)) for scene in campaign.scenes for at in range(1, campaign.count(scene) + 1) for extent in Extent
    ][::every]
    problems = [f"{scene.name}, {cut}: {words}" for scene, cut in points for words in campaign.hurt(scene, [cut])]
    return {
        "flash_operations": {scene.name: campaign.count(scene) for scene in campaign.scenes},
        "ways_to_cut_each": len(Extent),
        "cuts": len(points),
        "torn_or_without_a_model": len(problems),
        "problems": problems[:20],
    }


def chains(campaign: Campaign, count: int) -> dict[str, object]:
    """Cut the power several times in a row: deploy, cut, deploy, cut, …, at random operations."""
    source, problems, cuts = random.Random(1), list[str](), 0
    counts = {scene.name: campaign.count(scene) for scene in campaign.scenes}
    for number in range(count):
        scene = campaign.scenes[number % 3]  # all but going back, of which there is one operation
        chain = [
            Cut(source.randint(1, counts[scene.name]), source.choice(list(Extent))) for _ in range(source.randint(2, LONGEST_CHAIN))
        ]
        cuts += len(chain)
        problems += [f"{scene.name}, {chain}: {words}" for words in campaign.hurt(scene, chain)]
    return {"chains": count, "cuts": cuts, "torn_or_without_a_model": len(problems), "problems": problems[:20]}


def main() -> None:
    """Run the campaign and write its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="only every N-th point; nothing is written then")
    every, began = parser.parse_args().every, monotonic()
    with tempfile.TemporaryDirectory(prefix="edgepipe-flash-resets-") as name:
        campaign = Campaign(Path(name), firmware(Path(name) / "firmware"))
        figures = {"once": single(campaign, every), "again_and_again": chains(campaign, CHAINS // every)}
    figures["seconds"] = {"all": round(monotonic() - began, 1)}
    print(json.dumps(figures, indent=1))
    if every == 1:
        write("flash_resets", COMMAND, figures)
    sys.exit(any(part.get("problems") for part in figures.values()))


if __name__ == "__main__":
    main()
