"""Current sensors behind the Linux kernel's Industrial I/O files: Texas Instruments' INA219 and INA226.

The driver is drivers/iio/adc/ina2xx-adc.c: channel 0 is the voltage across the shunt, channel 1 the board's; raw times scale is
millivolts (Documentation/ABI/testing/sysfs-bus-iio). So the current keeps every bit of the chip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from edgepipe.devices.power.feed import Feed, Site
from edgepipe.devices.power.ina import CHIPS, errors
from edgepipe.devices.power.meter import PowerMeter
from edgepipe.devices.power.sensor import Found, KernelSensor, Plan, Rows, SensorMeter, find, number, shunt, supplied, table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NAMES = "sys/bus/iio/devices/iio:device*/name"
SHUNT, BUS = "in_voltage0", "in_voltage1"
SETTINGS = ("in_oversampling_ratio", f"{SHUNT}_integration_time", f"{BUS}_integration_time")
MILLI = 1e-3


@dataclass(frozen=True, kw_only=True)
class Iio(KernelSensor):
    """A sensor of IIO."""

    meter: Literal["iio"] = "iio"
    chip: Literal["ina219", "ina226"]

    def connect(self, site: Site) -> PowerMeter:
        """Return the meter of a board. Raises InventoryError."""
        return SensorMeter(self.feed(site), self.plan, self_measured=self.self_measured)

    def plan(self, feed: Feed) -> Plan:
        """Find the sensor and say how it is read. Raises MeterMissing."""
        return _plan(feed, self, find(feed, self, NAMES, "iio"))


def _plan(feed: Feed, settings: Iio, found: Found) -> Plan:
    chip = CHIPS[settings.chip]
    files = feed.look(f"{found.folder}/in_*")

    def value(name: str) -> float:
        return number(feed, files, f"{found.folder}/{name}")

    resistor = "in_shunt_resistor"
    told_uohm = value(resistor) if f"{found.folder}/{resistor}" in files else None
    ohm, _ = shunt(feed, settings, told_uohm)
    shunt_scale, bus_scale = value(f"{SHUNT}_scale") * MILLI, value(f"{BUS}_scale") * MILLI
    volts = supplied(feed, value(f"{BUS}_raw") * bus_scale, settings.chip)
    value(f"{SHUNT}_raw")

    def columns(rows: Rows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        values = table(rows, 2)
        return values[:, 1] * bus_scale, values[:, 0] * shunt_scale / ohm

    averages = value("in_oversampling_ratio") if f"{found.folder}/in_oversampling_ratio" in files else 1.0
    return Plan(
        name=f"iio {settings.chip}",
        serial=f"{found.device} at {feed.where}",
        errors=errors(
            chip, shunt_ohm=ohm, tolerance=settings.shunt_tolerance, volts=volts, current_step_a=shunt_scale / ohm, volt_step_v=0.0
        ),
        interval_s=averages * (value(f"{SHUNT}_integration_time") + value(f"{BUS}_integration_time")),
        columns=columns,
        full_scale_a=chip.range_v / ohm,
        files=(f"{found.folder}/{SHUNT}_raw", f"{found.folder}/{BUS}_raw"),
        watch=tuple(f"{found.folder}/{name}" for name in (*SETTINGS, resistor) if f"{found.folder}/{name}" in files),
    )
