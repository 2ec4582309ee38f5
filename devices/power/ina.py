"""Texas Instruments' current sensors as Linux shows them: what they may be wrong by, and how finely they count.

Limits are the datasheets' at 25 °C, so what a hotter place adds is not in them; a calibration with a known load is better than all
of this. What a step of a register is worth is the kernel drivers' (drivers/hwmon/ina2xx.c since Linux 4.20, ina238.c, ina3221.c):
they leave the chip such a calibration that the current register counts like the shunt voltage's.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, hypot
from typing import Literal

from edgepipe.devices.power.meter import ErrorTerms

ChipName = Literal["ina219", "ina226", "ina228", "ina238", "ina260", "ina3221"]


@dataclass(frozen=True, kw_only=True)
class Chip:
    """One kind of sensor. `gain` and `bus_gain` are limits as shares, the offsets limits in volts, steps one bit in volts.

    `current_step_v` is what a step of the current register is worth across the shunt, `power_step` how many watts an ampere of that
    makes a step of the power register, None: the chip has none. Across the shunt it shows `range_v` at most. `interval_s` is how
    often it converts as its driver sets it up, where no file tells; `shunt_ohm` is its own shunt. `since` is the first Linux with
    its hwmon driver, which takes a step for `whole_ua`, a whole number of microamperes.
    """

    gain: float
    offset_v: float
    bus_gain: float
    bus_offset_v: float
    current_step_v: float
    bus_step_v: float
    range_v: float
    interval_s: float
    since: str
    source: str
    power_step: float | None = None
    shunt_ohm: float | None = None
    whole_ua: bool = False


CHIPS: dict[str, Chip] = {
    # The limits of grade A at the driver's PGA /8; conversions of 12 bits, 532 us for each of the two voltages.
    "ina219": Chip(
        gain=0.005,
        offset_v=200e-6,
        bus_gain=0.005,
        bus_offset_v=0.0,
        current_step_v=10e-6,
        bus_step_v=4e-3,
        range_v=0.32,
        power_step=20,
        interval_s=1.064e-3,
        since="3.5",
        source="INA219 datasheet SBOS448G, table 7.5",
        whole_ua=True,
    ),
    # 16 averages of 1.1 ms for each of the two voltages.
    "ina226": Chip(
        gain=0.001,
        offset_v=10e-6,
        bus_gain=0.001,
        bus_offset_v=7.5e-3,
        current_step_v=2.5e-6,
        bus_step_v=1.25e-3,
        range_v=81.92e-3,
        power_step=25,
        interval_s=35.2e-3,
        since="3.5",
        source="INA226 datasheet SBOS547B, table 5.5",
        whole_ua=True,
    ),
    # Its bus voltage is taken for no better than the INA238's. 16 averages of 1.052 ms for two voltages and a temperature.
    "ina228": Chip(
        gain=0.0005,
        offset_v=1e-6,
        bus_gain=0.001,
        bus_offset_v=5e-3,
        current_step_v=1.25e-6,
        bus_step_v=195.3125e-6,
        range_v=163.84e-3,
        power_step=3.2,
        interval_s=50.5e-3,
        since="6.17",
        source="INA228-Q1 datasheet SLYS022A, features; bus voltage as INA238's",
    ),
    # The driver's current register drops two bits.
    "ina238": Chip(
        gain=0.001,
        offset_v=5e-6,
        bus_gain=0.001,
        bus_offset_v=5e-3,
        current_step_v=20e-6,
        bus_step_v=3.125e-3,
        range_v=163.84e-3,
        power_step=0.2,
        interval_s=50.5e-3,
        since="5.17",
        source="INA238-Q1 datasheet SLYS026A, table 6.5",
    ),
    # 5 mA of offset and steps of 1.25 mA at its own shunt, whose tolerance is in the gain; the bus offset is the INA226's.
    "ina260": Chip(
        gain=0.0015,
        offset_v=10e-6,
        bus_gain=0.001,
        bus_offset_v=7.5e-3,
        current_step_v=2.5e-6,
        bus_step_v=1.25e-3,
        range_v=30e-3,
        power_step=8,
        interval_s=35.2e-3,
        shunt_ohm=2e-3,
        since="6.13",
        source="INA260 datasheet SBOS656C, table 7.5; bus offset as INA226's",
        whole_ua=True,
    ),
    "ina3221": Chip(
        gain=0.0025,
        offset_v=80e-6,
        bus_gain=0.0025,
        bus_offset_v=16e-3,
        current_step_v=40e-6,
        bus_step_v=8e-3,
        range_v=163.8e-3,
        interval_s=6.6e-3,
        since="4.8",
        source="INA3221 datasheet SBOS576A, electrical characteristics",
    ),
}


def rounding(chip: Chip, told_ohm: float) -> float:
    """Return what a driver's whole microamperes make of a current, as a factor: at 0.15 ohms an INA226's 16.67 are taken for 17."""
    exact_ua = chip.current_step_v / told_ohm * 1e6
    return floor(exact_ua + 0.5) / exact_ua if chip.whole_ua else 1.0


def errors(
    chip: Chip, *, shunt_ohm: float, tolerance: float, volts: float, current_step_a: float, volt_step_v: float
) -> ErrorTerms:
    """Return the error terms at about `volts`.

    `current_step_a` and `volt_step_v` are the steps in which the kernel tells what the chip measured. Some drivers round and some
    cut, so either is a limit of ± one step; at a steady current it is an offset like any other.
    """
    own_step_a = chip.current_step_v / shunt_ohm / 2
    volt = hypot(chip.bus_gain, chip.bus_offset_v / volts, chip.bus_step_v / volts / 2, volt_step_v / volts)
    return ErrorTerms.within(
        gain=chip.gain,
        shunt=tolerance,
        volt=volt,
        offset_a=hypot(chip.offset_v / shunt_ohm, own_step_a, current_step_a),
        source=f"{chip.source}; shunt ±{tolerance:.2%}; steps of {current_step_a * 1e3:.3g} mA",
    )
