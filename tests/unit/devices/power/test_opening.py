"""Nobody waits for a meter that is being opened, once its figures are not wanted any more."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from time import monotonic, sleep

import pytest

from edgepipe.devices.power.csv_lines import Csv, CsvMeter
from edgepipe.devices.power.joulescope import Joulescope, JoulescopeMeter
from edgepipe.devices.power.meter import MeterFacts, PowerMeter, Samples
from edgepipe.devices.power.opening import LET_GO_S, Opening
from edgepipe.devices.power.ppk2 import Ppk2, Ppk2Meter
from edgepipe.devices.power.simulated import Simulated, SimulatedMeter
from edgepipe.devices.stopping import Stop
from edgepipe.devices.transports.serial_line import TtyLine
from edgepipe.errors import Interrupted, MeterMissing
from tests.power_meters import ppk2_emulator
from tests.power_meters.joulescope_stand_in import JoulescopeFaults, StandIn
from tests.power_meters.ppk2_emulator import EmulatedPpk2, Ppk2Faults

LONG_S = 30.0
ERRORS = {"gain_error": 0.01, "volts_error": 0.01, "offset_a": 1e-6}


def csv(folder: Path, held: ExitStack) -> tuple[PowerMeter, Callable[[], bool]]:
    meter = CsvMeter("board", Csv(command=(sys.executable, "-c", f"import time; time.sleep({LONG_S})"), silence_s=LONG_S, **ERRORS))

    def free() -> bool:
        return meter._source is None

    return meter, free


def ppk2(folder: Path, held: ExitStack) -> tuple[PowerMeter, Callable[[], bool]]:
    held.enter_context(EmulatedPpk2(folder, Ppk2Faults(answer="")))

    def free() -> bool:
        TtyLine(folder / ppk2_emulator.NAME).close()  # which is refused while another has it
        return True

    return Ppk2Meter("board", Ppk2(by_id=ppk2_emulator.NAME, mode="source", volts=3.3), folder=folder), free


def joulescope(folder: Path, held: ExitStack) -> tuple[PowerMeter, Callable[[], bool]]:
    driver = StandIn(JoulescopeFaults(silent=True))
    return JoulescopeMeter("board", Joulescope(**ERRORS), start=lambda: driver), lambda: driver.closed == driver.paths


class Stubborn:
    """A meter that neither opens nor closes."""

    def open(self) -> MeterFacts:
        sleep(LONG_S)
        raise MeterMissing("never")

    def read(self, *, deadline_s: float) -> Samples:
        raise MeterMissing("never")

    def close(self) -> None:
        sleep(LONG_S)


def stopped(meter: PowerMeter) -> tuple[str, float]:
    """Ask to stop in the middle of its opening; returns what is said, and after how many seconds."""
    stop, began = Stop(), list[float]()

    def ask() -> None:
        began.append(monotonic())
        stop.ask()

    threading.Timer(0.5, ask).start()
    opening = Opening(meter)
    with pytest.raises(Interrupted) as raised, stop.watching(opening):
        opening.facts()
    return str(raised.value), monotonic() - began[0]


@pytest.mark.parametrize("kind", [csv, ppk2, joulescope])
def test_a_meter_that_is_being_opened_is_let_go_of_when_nobody_wants_it_any_more(
    kind: Callable[[Path, ExitStack], tuple[PowerMeter, Callable[[], bool]]], tmp_path: Path
) -> None:
    with ExitStack() as held:
        meter, free = kind(tmp_path, held)
        said, seconds = stopped(meter)
        assert "which was let go of" in said
        assert seconds < LONG_S / 6
        assert free()


def test_one_that_does_not_even_close_is_not_waited_for() -> None:
    said, seconds = stopped(Stubborn())
    assert f"did not let go of it within {LET_GO_S:g} s" in said
    assert LET_GO_S <= seconds < LONG_S / 6


def test_one_that_opens_says_what_it_is_and_one_that_does_not_says_why() -> None:
    meter = SimulatedMeter(Simulated())
    assert Opening(meter).facts().name == "simulated"
    assert meter.read(deadline_s=1.0).time_s.size
    meter.close()
    with pytest.raises(MeterMissing, match="cannot be started"):
        Opening(CsvMeter("board", Csv(command=("edgepipe-no-such-tool",), **ERRORS))).facts()
