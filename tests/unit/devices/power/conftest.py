"""A machine whose sensors are those of a test's own tree, and what opens the meters there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sensor_trees import Opening, feed

from edgepipe.devices.power.hwmon import HwMon
from edgepipe.devices.power.iio import Iio
from edgepipe.devices.power.meter import MeterFacts
from edgepipe.devices.power.sensor import SensorMeter


@pytest.fixture
def root(agent_home: Path, tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def opened(root: Path) -> Iterator[Opening]:
    """What opens the meter of some settings on a machine with the sensors of this test's tree."""
    with ExitStack() as held:

        def open_meter(settings: HwMon | Iio, *, python: str = sys.executable) -> tuple[SensorMeter, MeterFacts]:
            meter = SensorMeter(feed(root, python), settings.plan)
            held.callback(meter.close)
            return meter, meter.open()

        yield open_meter
