"""Boards that speak MLPerf Tiny's text protocol under a meter: when they ran, as far as this machine or the meter can tell."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgepipe.devices.boards.mcu_work import work_on
from edgepipe.devices.boards.mlperf_talk import MlperfTalk
from edgepipe.devices.boards.mlperf_tiny import MlperfTinyBoard
from edgepipe.devices.boards.mlperf_work import Infers
from edgepipe.devices.connect import connect_workable
from edgepipe.devices.firmware_build import ENERGY_MODE
from edgepipe.devices.inventory import DeviceEntry, SerialLink, read_inventory
from edgepipe.devices.metering import Metering
from edgepipe.devices.power.feed import Site
from edgepipe.devices.power.simulated import Simulated, SimulatedMeter
from edgepipe.devices.power.windows import Rules
from edgepipe.devices.protocols import BlockRequest, RunOptions
from edgepipe.devices.transports.fake_mcu import FakeMcu, FakeMcuTransport
from edgepipe.devices.work import StretchKind, Work, WorkRequest
from edgepipe.energy import SyncClass
from edgepipe.errors import InfrastructureError, UsageError
from edgepipe.records import RunOutcome
from tests.firmware.host_board import HostBoard, KeptLine, firmware
from tests.firmware.random_models import random_model

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHORT = WorkRequest(windows=5, window_s=0.01, least_inferences=200_000, idle_s=0.3)  # whatever else the machine does meanwhile
RULES = Rules(window_s=0.01, inferences=200_000, idle_s=0.25)
FALLS_BEFORE = 3  # the start, and twice "timestamp", before the first run


@dataclass
class Timed:
    """A line to a board that takes `run_s` for a run and sends so many bytes a second, on a clock of its own.

    What it says of an `infer` comes line by line, or, where the line is `holding`, all at once. `truth` is when it really ran.
    """

    run_s: float
    baud: int
    energy: bool
    holding: bool = False
    now_s: float = 0.0
    truth: list[tuple[float, float]] = field(default_factory=list)
    coming: list[tuple[float, bytes]] = field(default_factory=list)

    def clock(self) -> float:
        return self.now_s

    def nap(self, seconds: float) -> None:
        self.now_s += seconds

    def write(self, data: bytes, *, deadline_s: float) -> None:
        at = self.now_s + len(data) * 10 / self.baud
        command, *words = data.decode().removesuffix("%").split()

        def say(line: str) -> None:
            nonlocal at
            at += (len(line) + 2) * 10 / self.baud
            self.coming.append((at, f"{line}\r\n".encode()))

        def stamp() -> None:
            if not self.energy:
                say(f"m-lap-us-{round(at * 1e6) % 2**32}")

        if command == "infer":
            runs = int(words[0])
            for line in (f"m-warmup-start-{words[1]}", "m-warmup-done", f"m-infer-start-{runs}"):
                say(line)
            stamp()
            began, at = at, at + runs * self.run_s
            self.truth.append((began, at))
            stamp()
            say("m-infer-done")
        elif command == "timestamp":
            stamp()
        if command in ("infer", "results"):
            say("m-results-[0.125,0.875]")
        say("m-ready")
        if self.holding:
            self.coming = [(at, line) for _, line in self.coming]

    def read(self, *, deadline_s: float) -> bytes:
        at, line = self.coming.pop(0)
        assert at <= self.now_s + deadline_s
        self.now_s = max(self.now_s, at)
        return line

    def close(self) -> None:
        pass


def loops(line: Timed, request: WorkRequest = WorkRequest()) -> tuple[MlperfTalk, Work]:
    talk = MlperfTalk(line, "dut", line.clock)
    talk.find_mode()
    infers = Infers(infer=talk.infer, first=talk.infer(1, 0, deadline_s=300))
    return talk, work_on(infers, request, marked=False, check=lambda: None, clock=line.clock, nap=line.nap)


@pytest.mark.parametrize("run_s", [0.0003, 0.09, 1.7])
@pytest.mark.parametrize(("baud", "energy"), [(115_200, False), (9600, True), (9600, False)])
def test_windows_are_ten_seconds_and_ten_runs_and_lie_where_the_board_ran(baud: int, energy: bool, run_s: float) -> None:
    line = Timed(run_s, baud, energy)
    talk, done = loops(line)
    windows = [one for one in done.stretches if one.kind is StretchKind.WINDOW]
    assert talk.in_energy_mode is energy
    assert len(windows) == 5
    assert all(earlier.end_s < later.start_s for earlier, later in pairwise(done.stretches))
    for window, (began, ended) in zip(windows, line.truth[-5:], strict=True):
        assert window.inferences >= 10
        assert max(10.5, 10 * run_s) <= window.end_s - window.start_s <= 1.1 * max(10.5, 10 * run_s) + run_s
        half_s = window.uncertainty_s * 3**0.5  # of a rectangle
        assert half_s <= 0.1
        assert abs(window.start_s - began) <= half_s + 1e-9
        assert abs(window.end_s - ended) <= half_s + 1e-9


def test_a_line_that_brings_all_at_once_tells_windows_only_as_well_as_it_says() -> None:
    line = Timed(0.01, 115_200, energy=True, holding=True)
    _, done = loops(line)
    windows = [one for one in done.stretches if one.kind is StretchKind.WINDOW]
    for window, (began, ended) in zip(windows, line.truth[-5:], strict=True):
        half_s = window.uncertainty_s * 3**0.5
        assert abs(window.start_s - began) <= half_s and abs(window.end_s - ended) <= half_s
        assert half_s > 1


def test_an_answer_that_changes_within_the_windows_ends_them() -> None:
    line = Timed(0.01, 115_200, energy=True)
    talk = MlperfTalk(line, "dut", line.clock)
    talk.find_mode()
    other = talk.infer(1, 0, deadline_s=10)
    with pytest.raises(InfrastructureError, match="scored differently"):
        Infers(infer=talk.infer, first=replace(other, scores=(1.0, 0.0))).run(2, deadline_s=10)


@pytest.mark.parametrize("run_s", [0.3, 500.0, 1000.0])
def test_time_stamps_that_began_anew_once_too_often_are_refused(tmp_path: Path, run_s: float) -> None:
    line = Timed(run_s, 115_200, energy=False, now_s=4290)  # five seconds before they do
    board = MlperfTinyBoard("dut", FakeMcuTransport(FakeMcu()), lock_folder=tmp_path)
    laps = MlperfTalk(line, "dut", line.clock).infer(50, 0, deadline_s=1e6)
    if run_s < 1:
        assert board._checked(laps).duration_us == pytest.approx(15e6, rel=0.01)
    else:
        with pytest.raises(InfrastructureError, match="says that its runs took"):
            board._checked(laps)


class Pin:
    """What a board does between the falls of its pin, as a simulated meter sees it: the pin writes into a file."""

    has_marker = True

    def __init__(self, file: Path) -> None:
        self._file = file

    def marked(self, time_s: NDArray[np.float64]) -> NDArray[np.bool_]:
        moves = self._moves()
        last = np.searchsorted(moves[:, 0], time_s, side="right") - 1
        return (last >= 0) & (moves[last, 1] > 0)

    def active_s(self, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        falls = [moved_s for moved_s, level in self._moves() if not level][FALLS_BEFORE:]
        spans = zip_longest(falls[::2], falls[1::2], fillvalue=np.inf)
        return np.sum([np.clip(time_s, began, ended) - began for began, ended in spans], axis=0) + np.zeros_like(time_s)

    def _moves(self) -> NDArray[np.float64]:
        """When it moved, in seconds, and whether it was up then."""
        moves = [line.split() for line in self._file.read_text().splitlines()]
        return np.array([(int(at_ns) / 1e9, int(level)) for at_ns, level in moves])


@dataclass(frozen=True, kw_only=True)
class Wired(Simulated):
    """A meter that sees the board's pin."""

    pin: Path = Path()

    def connect(self, site: Site) -> SimulatedMeter:
        return SimulatedMeter(self, activity=Pin(self.pin))


class Waiting(MlperfTinyBoard):
    """On a machine that is busy with other tests, lines may come later than windows this short allow."""

    def work(self, sha256: str, request: WorkRequest) -> Work:
        done = super().work(sha256, request)
        return replace(done, stretches=tuple(replace(one, uncertainty_s=0.05) for one in done.stretches))


@pytest.fixture
def line(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeptLine]:
    """A board in energy mode with a model in it, the firmware's own, whose pin writes into a file."""
    program = firmware(tmp_path_factory.getbasetemp() / "firmware", flags=ENERGY_MODE)
    kept = KeptLine(HostBoard(program, marker=tmp_path / "pin"))
    content, _ = random_model("SOFTMAX", 1, rows=1)
    (tmp_path / "tiny.tflite").write_bytes(content)
    kept.flash(content, "tiny")
    yield kept
    kept.switch_off()


def test_a_board_in_energy_mode_is_measured_between_the_falls_of_its_pin(line: KeptLine, tmp_path: Path) -> None:
    model, link = tmp_path / "tiny.tflite", SerialLink(by_id="usb-1", baud=9600)
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
    power = Wired(pin=tmp_path / "pin", active_mw=120, idle_mw=30, period_us=200)
    entry = DeviceEntry(name="dut", board="mcu", target="mcu", transport=link, protocol="mlperf-tiny", power=power)
    with Metering(entry, {}, rules=RULES) as meter, closing(Waiting("dut", line, lock_folder=tmp_path)) as board:
        board.open()
        board.push(model, sha256)
        energy = meter.measure(board, sha256, SHORT, tmp_path / "run.trace")
        with pytest.raises(UsageError, match="marker_gpio"):
            board.work(sha256, WorkRequest(marker_gpio=4))
    assert energy.reason == ""
    assert (energy.sync_class, energy.simulated, len(energy.windows)) == (SyncClass.S0, True, 5)
    assert energy.idle_before_mw == pytest.approx(30, rel=0.02)
    for window in energy.windows:
        assert window.seconds >= RULES.window_s and window.inferences >= RULES.inferences
        assert window.energy_uj / window.seconds / 1e3 == pytest.approx(120, rel=0.02)


def test_in_energy_mode_a_time_is_as_fine_as_lines_are_quick(line: KeptLine, tmp_path: Path) -> None:
    model = tmp_path / "tiny.tflite"
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
    with closing(MlperfTinyBoard("dut", line, lock_folder=tmp_path)) as board:
        board.open()
        board.push(model, sha256)
        block = board.measure(sha256, BlockRequest(index=0, warmup_min=1, min_invocations=10, min_s=0.01))
        version = board.runtime(RunOptions()).version
    assert version.endswith("in energy mode")  # so that it is never compared with times that the board told
    assert (block.outcome, block.first_ns) == (RunOutcome.OK, None)
    assert block.median_ns and block.resolution_ns


def test_the_inventory_says_that_a_board_of_this_protocol_can_be_measured() -> None:
    entry = DeviceEntry(name="dut", board="mcu", target="mcu", transport=SerialLink(by_id="usb-1"), protocol="mlperf-tiny")
    assert isinstance(connect_workable(entry), MlperfTinyBoard)


def test_the_manuals_boards_of_this_protocol_are_right(tmp_path: Path) -> None:
    manual = (Path(__file__).resolve().parents[2] / "docs" / "microcontrollers.md").read_text()
    entries = [line for line in manual.splitlines() if "protocol: mlperf-tiny" in line and line.startswith("  ")]
    (tmp_path / "farm.yaml").write_text("schema: 1\ndevices:\n" + "\n".join(entries) + "\n")
    devices = read_inventory(tmp_path / "farm.yaml").devices
    assert {name: entry.energy_mode for name, entry in devices.items()} == {"vendor": False, "energy-m4": True}
