"""What a meter shows as it goes: means of what are numbers, and nothing where there are none."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgepipe.devices.power.meter import MeterFacts, Samples
from edgepipe.devices.power.simulated import Simulated, SimulatedMeter
from edgepipe.devices.power.trace import HeldTrace
from edgepipe.workflows.power import mean_power_mw, readings


class BoardWithoutVolts:
    """A simulated meter, of whose samples the first `lost` have no amperes: a chip reckons them from watts and 0 V."""

    def __init__(self, lost: float) -> None:
        self._inner, self._lost = SimulatedMeter(Simulated(active_mw=120)), lost

    def open(self) -> MeterFacts:
        return self._inner.open()

    def read(self, *, deadline_s: float) -> Samples:
        samples = self._inner.read(deadline_s=deadline_s)
        samples.amps[: math.ceil(self._lost * samples.amps.size)] = np.nan
        return samples

    def close(self) -> None:
        self._inner.close()


def test_samples_that_are_no_numbers_spoil_no_reading() -> None:
    meter = BoardWithoutVolts(lost=0.5)
    meter.open()
    found = list(readings(meter, every_s=0.1, seconds=0.5))
    assert found and all(115 < reading.power_mw < 125 for reading in found)


def test_where_no_sample_is_a_number_there_is_no_reading() -> None:
    meter = BoardWithoutVolts(lost=1.0)
    meter.open()
    assert list(readings(meter, every_s=0.1, seconds=0.3)) == []


def test_in_the_mean_of_a_recording_every_sample_counts_alike_whatever_the_pieces() -> None:
    def piece(start_s: float, amps: list[float]) -> Samples:
        return Samples(time_s=start_s + np.arange(len(amps)), volts=np.full(len(amps), 2.0), amps=np.array(amps))

    pieces = [piece(0, [0.1] * 97 + [math.nan]), piece(98, [0.2] * 3)]
    assert mean_power_mw(HeldTrace(pieces)) == pytest.approx(206.0)
    assert mean_power_mw(HeldTrace([piece(0, [math.nan])])) is None
