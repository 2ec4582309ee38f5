"""Current sensors behind the Linux kernel's hwmon files: Texas Instruments' INA219, 226, 228, 238, 260 and 3221.

Files and units are those of Documentation/ABI/testing/sysfs-class-hwmon and Documentation/hwmon/ina2xx.rst, ina238.rst and
ina3221.rst: mV, mA, uW and uOhm. A milliampere is coarse, so power is used where the chip reckons that more finely.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from edgepipe.devices.power.feed import Feed, Site
from edgepipe.devices.power.ina import CHIPS, Chip, errors, rounding
from edgepipe.devices.power.meter import PowerMeter
from edgepipe.devices.power.sensor import (
    Columns,
    Found,
    KernelSensor,
    Plan,
    Rows,
    SensorMeter,
    find,
    number,
    shunt,
    supplied,
    table,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NAMES = "sys/class/hwmon/hwmon*/name"
MILLI, MICRO = 1e-3, 1e-6


@dataclass(frozen=True, kw_only=True)
class HwMon(KernelSensor):
    """A sensor of hwmon; `channel` is the input of an INA3221."""

    meter: Literal["hwmon"] = "hwmon"
    channel: Annotated[int, Field(ge=1, le=3)] = 1

    def connect(self, site: Site) -> PowerMeter:
        """Return the meter of a board. Raises InventoryError."""
        return SensorMeter(self.feed(site), self.plan, self_measured=self.self_measured)

    def plan(self, feed: Feed) -> Plan:
        """Find the sensor and say how it is read. Raises MeterMissing."""
        return _plan(feed, self, find(feed, self, NAMES, "hwmon"))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Way:
    """How the current is read: the files, the first one telling of a new conversion, what they become, and the step in amperes."""

    files: tuple[str, ...]
    columns: Columns
    step_a: float
    volt_step_v: float = MILLI


def _plan(feed: Feed, settings: HwMon, found: Found) -> Plan:
    chip = CHIPS[settings.chip]
    files = feed.look(f"{found.folder}/*")

    def value(name: str) -> float:
        return number(feed, files, f"{found.folder}/{name}")

    def there(name: str) -> bool:
        return f"{found.folder}/{name}" in files

    triple = settings.chip == "ina3221"
    resistor = f"shunt{settings.channel}_resistor" if triple else "shunt_resistor"
    ohm, told_ohm = shunt(feed, settings, value(resistor) if there(resistor) else None)
    volts = supplied(feed, value(f"in{settings.channel if triple else 1}_input") * MILLI, settings.chip)
    share = told_ohm / ohm / rounding(chip, told_ohm)
    way = _by_shunt_voltage(settings.channel, ohm) if triple else _by_current(share)
    if chip.power_step is not None and there("power1_input"):
        finer = _by_power(chip, told_ohm, share, volts)
        way = finer if finer.step_a < way.step_a else way
    for name in way.files:
        value(name)
    return Plan(
        name=f"hwmon {settings.chip}",
        serial=f"{found.device}{f' channel {settings.channel}' if triple else ''} at {feed.where}",
        errors=errors(
            chip,
            shunt_ohm=ohm,
            tolerance=0.0 if chip.shunt_ohm else settings.shunt_tolerance,
            volts=volts,
            current_step_a=way.step_a,
            volt_step_v=way.volt_step_v,
        ),
        interval_s=value("update_interval") * MILLI if there("update_interval") else chip.interval_s,
        columns=way.columns,
        full_scale_a=chip.range_v / ohm,
        files=tuple(f"{found.folder}/{name}" for name in way.files),
        watch=tuple(f"{found.folder}/{name}" for name in (resistor, "update_interval") if there(name)),
    )


def _by_current(share: float) -> _Way:
    """Read milliamperes; `share` makes what the driver reckons with the shunt that it was told those of the real one."""

    def columns(rows: Rows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        values = table(rows, 2)
        return values[:, 1] * MILLI, values[:, 0] * MILLI * share

    return _Way(files=("curr1_input", "in1_input"), columns=columns, step_a=MILLI * share)


def _by_power(chip: Chip, told_ohm: float, share: float, volts: float) -> _Way:
    """Read microwatts. The chip reckons them without a sign, which is the current's.

    The power's step is counted as that of the current which it makes at `volts`; so is the step of the chip's own current.
    """
    assert chip.power_step is not None
    step_a = chip.current_step_v / told_ohm
    step_a = hypot(step_a, step_a * chip.power_step / volts) * share

    def columns(rows: Rows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        import numpy as np

        values = table(rows, 3)
        board_v = values[:, 1] * MILLI
        watts = values[:, 0] * MICRO * np.where(values[:, 2] < 0, -1.0, 1.0)
        return board_v, share * watts / np.where(board_v > 0, board_v, np.nan)

    # Volts times amperes is the chip's own product, whatever millivolt the file shows.
    return _Way(files=("power1_input", "in1_input", "curr1_input"), columns=columns, step_a=step_a, volt_step_v=0.0)


def _by_shunt_voltage(channel: int, ohm: float) -> _Way:
    """Read the microvolts across one shunt of an INA3221, in whole steps of the chip."""

    def columns(rows: Rows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        values = table(rows, 2)
        return values[:, 1] * MILLI, values[:, 0] * MICRO / ohm

    files = (f"in{channel + 3}_input", f"in{channel}_input")
    return _Way(files=files, columns=columns, step_a=MICRO / ohm)
