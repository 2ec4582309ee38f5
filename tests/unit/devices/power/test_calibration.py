"""What a known load teaches about a meter is applied until it expires, and its uncertainty is the load's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from edgepipe.devices.power.calibration import CalibratedMeter, find, keep, with_load, with_zero
from edgepipe.devices.power.meter import ErrorTerms, MeterFacts, Samples
from edgepipe.errors import DataError, UsageError

NOW = datetime(2026, 11, 22, tzinfo=UTC)
OWN = ErrorTerms(gain=0.01, shunt=0.005, volt=0.002, offset_a=1e-4, source="datasheet")
FACTS = MeterFacts(name="ina", serial="bus 1/0x40", period_s=0.001, jitter_s=0.0, errors=OWN)
OFFSET_A, GAIN = 2e-4, 0.98  # of the meter: it shows GAIN * true + OFFSET_A


class Fixed:
    """A meter that is off by OFFSET_A and GAIN, and looks at `true_a`."""

    def __init__(self, true_a: float) -> None:
        self.true_a, self.closed = true_a, 0

    def open(self) -> MeterFacts:
        return FACTS

    def read(self, *, deadline_s: float) -> Samples:
        return Samples(time_s=np.arange(4.0), volts=np.full(4, 3.3), amps=np.full(4, GAIN * self.true_a + OFFSET_A))

    def close(self) -> None:
        self.closed += 1


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def shown(true_a: float, noise_a: float = 1e-6) -> Sequence[float]:
    source = np.random.default_rng(3)
    return [float(value) for value in GAIN * true_a + OFFSET_A + source.normal(0, noise_a, 1000)]


def calibrated() -> None:
    zero = with_zero(FACTS, shown(0.0), None, now=NOW)
    keep(with_load(FACTS, shown(0.5), zero, true_a=0.5, within_a=0.001, now=NOW), FACTS)


def test_readings_are_corrected_and_the_loads_uncertainty_takes_the_place_of_the_meters() -> None:
    calibrated()
    meter = CalibratedMeter(Fixed(0.2), now=lambda: NOW + timedelta(days=1))
    errors = meter.open().errors
    assert meter.read(deadline_s=1).amps == pytest.approx(np.full(4, 0.2), rel=1e-5)
    assert errors.gain == pytest.approx(0.001 / math.sqrt(3) / 0.5, rel=0.01)
    assert (errors.shunt, errors.volt) == (0.0, OWN.volt)
    assert errors.offset_a == pytest.approx(1e-6 / math.sqrt(1000), rel=0.1)
    assert "calibrated 2026-11-22 with 0.5 A ± 0.001 A" in errors.source
    assert meter.calibrated_utc == "2026-11-22T00:00:00+00:00"


def test_readings_that_are_all_the_same_do_not_make_a_meter_exact() -> None:
    assert with_zero(FACTS, [2e-4] * 1000, None, now=NOW).offset_uncertainty_a == pytest.approx(OWN.offset_a)
    rounded = [round(value, 3) for value in shown(0.5, noise_a=2e-4)]  # to 1 mA, as hwmon does
    assert len(set(rounded)) > 1
    assert with_zero(FACTS, [0.0, 1e-3] * 500, None, now=NOW).offset_uncertainty_a == pytest.approx(1e-3 / 12**0.5, rel=0.01)
    made = with_load(FACTS, rounded, with_zero(FACTS, shown(0.0), None, now=NOW), true_a=0.5, within_a=1e-9, now=NOW)
    assert made.gain_uncertainty == pytest.approx(1e-3 / 12**0.5 / 0.49, rel=0.01)


def test_readings_that_are_no_numbers_calibrate_nothing() -> None:
    with pytest.raises(DataError, match="no numbers"):
        with_zero(FACTS, [0.0, float("nan"), 1e-6], None, now=NOW)


def test_it_counts_for_a_year_and_not_a_day_longer() -> None:
    calibrated()
    late = CalibratedMeter(Fixed(0.2), now=lambda: NOW + timedelta(days=366))
    assert late.open().errors == OWN
    assert late.calibrated_utc is None
    assert late.read(deadline_s=1).amps == pytest.approx(np.full(4, GAIN * 0.2 + OFFSET_A))


def test_half_a_calibration_is_not_applied() -> None:
    keep(with_zero(FACTS, shown(0.0), None, now=NOW), FACTS)
    meter = CalibratedMeter(Fixed(0.2), now=lambda: NOW)
    assert meter.open().errors == OWN
    assert meter.calibrated_utc is None


def test_a_load_that_cannot_be_the_one_is_refused() -> None:
    zero = with_zero(FACTS, shown(0.0), None, now=NOW)
    with pytest.raises(UsageError, match="not known yet"):
        with_load(FACTS, shown(0.5), None, true_a=0.5, within_a=0.001, now=NOW)
    with pytest.raises(UsageError, match=r"shows 0\.49 A for a load of 0\.1 A"):
        with_load(FACTS, shown(0.5), zero, true_a=0.1, within_a=0.001, now=NOW)
    with pytest.raises(UsageError, match="should be off by"):
        with_zero(FACTS, shown(0.5), None, now=NOW)
    with pytest.raises(DataError, match="fewer than two"):
        with_zero(FACTS, [0.0], None, now=NOW)


def test_meters_are_told_apart_by_name_and_number_and_a_damaged_file_is_told() -> None:
    calibrated()
    other = MeterFacts(name="ina", serial="bus 1/0x41", period_s=0.001, jitter_s=0.0, errors=OWN)
    assert find(other) is None
    place = keep(with_zero(FACTS, shown(0.0), None, now=NOW), FACTS)
    assert "/" not in place.name.removesuffix(".json")
    place.write_text('{"name": 3}')
    with pytest.raises(DataError):
        find(FACTS)


def test_it_is_of_no_other_shunt_and_of_no_meter_whose_file_has_the_same_name() -> None:
    calibrated()
    assert find(FACTS) is not None
    assert find(replace(FACTS, full_scale_a=0.8)) is None
    assert find(replace(FACTS, serial="bus 1?0x40")) is None


def test_it_is_closed_as_the_meter_is() -> None:
    inner = Fixed(0.1)
    meter = CalibratedMeter(inner)
    meter.close()
    meter.close()
    assert inner.closed == 2
