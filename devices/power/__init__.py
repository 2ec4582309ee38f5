"""Power meters: a new sensor is one file and one line in this table."""

from __future__ import annotations

from typing import TypeAlias

from edgepipe.devices.power.hwmon import HwMon

PowerEntry: TypeAlias = HwMon
METERS: dict[str, type[PowerEntry]] = {
    "hwmon": HwMon,
}
