"""Power meters: a new sensor is one file and one line in this table."""

from __future__ import annotations

from typing import TypeAlias

from edgepipe.devices.power.csv_lines import Csv
from edgepipe.devices.power.hwmon import HwMon
from edgepipe.devices.power.iio import Iio
from edgepipe.devices.power.joulescope import Joulescope
from edgepipe.devices.power.lpm01a import Lpm01a
from edgepipe.devices.power.pi5_pmic import Pi5Pmic
from edgepipe.devices.power.ppk2 import Ppk2
from edgepipe.devices.power.replay import Replay
from edgepipe.devices.power.simulated import Simulated

PowerEntry: TypeAlias = Csv | HwMon | Iio | Joulescope | Lpm01a | Pi5Pmic | Ppk2 | Replay | Simulated
METERS: dict[str, type[PowerEntry]] = {
    "csv": Csv,
    "hwmon": HwMon,
    "iio": Iio,
    "joulescope": Joulescope,
    "lpm01a": Lpm01a,
    "pi5_pmic": Pi5Pmic,
    "ppk2": Ppk2,
    "replay": Replay,
    "simulated": Simulated,
}
