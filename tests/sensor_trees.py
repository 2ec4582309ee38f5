"""Current sensors as Linux shows them: trees of sysfs, whose files hold what chip and driver would make of a current.

Folders and links are those of a Raspberry Pi (ls -l /sys/class/hwmon, /sys/bus/iio/devices), files and units those of the kernel's
Documentation/hwmon and Documentation/ABI. Registers are reckoned as the datasheets say, and shown as the drivers do.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

import pytest

from edgepipe.devices.power.feed import Feed
from edgepipe.devices.power.meter import MeterFacts
from edgepipe.devices.power.sensor import SensorMeter
from edgepipe.devices.transports.local import LocalTransport

Opening = Callable[..., tuple[SensorMeter, MeterFacts]]
BUS = "sys/devices/platform/soc/fe804000.i2c"


class Sensor:
    """One sensor in a tree. `ohm` is the shunt that is soldered in, `told_uohm` the one that the kernel was told."""

    def __init__(self, root: Path, kind: str, index: int, chip: str, *, address: int = 0x40, bus: int = 1) -> None:
        device = root / BUS / f"i2c-{bus}/{bus}-{address:04x}"
        if kind == "hwmon":
            self.folder, link = device / f"hwmon/hwmon{index}", root / f"sys/class/hwmon/hwmon{index}"
        else:
            self.folder, link = device / f"iio:device{index}", root / f"sys/bus/iio/devices/iio:device{index}"
        self.folder.mkdir(parents=True)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(self.folder, link.parent))
        if kind == "hwmon":
            (self.folder / "device").symlink_to(f"../../../{device.name}")
        self.put(name=chip)

    def put(self, **files: object) -> None:
        """Write files whole, as a reader of sysfs sees them."""
        for name, content in files.items():
            part = self.folder / f".{name}.part"
            part.write_text(f"{content}\n")
            part.replace(self.folder / name)


def ina226(root: Path, *, ohm: float = 0.1, told_uohm: int = 100_000, index: int = 2, address: int = 0x40, bus: int = 1) -> Flow:
    """INA226 of hwmon: drivers/hwmon/ina2xx.c since Linux 4.20; datasheet SBOS547B, 6.5 and 7.1."""
    sensor = Sensor(root, "hwmon", index, "ina226", address=address, bus=bus)
    sensor.put(shunt_resistor=told_uohm, update_interval=35)
    lsb_ua = (2_500_000 + told_uohm // 2) // told_uohm  # the driver rounds to whole microamperes

    def show(volts: float, amps: float) -> None:
        current, voltage = round(amps * ohm / 2.5e-6), round(volts / 1.25e-3)
        sensor.put(
            power1_input=abs(current) * voltage // 20000 * 25 * lsb_ua,
            in1_input=round(voltage * 1.25),
            curr1_input=round(current * lsb_ua / 1000),
            in0_input=round(current / 400),
        )

    return Flow(sensor, show)


def ina219(root: Path, *, ohm: float = 0.1, told_uohm: int = 100_000) -> Flow:
    """INA219 of hwmon: no update interval; datasheet SBOS448G, 8.5 and 8.6."""
    sensor = Sensor(root, "hwmon", 2, "ina219")
    sensor.put(shunt_resistor=told_uohm)
    lsb_ua = (10_000_000 + told_uohm // 2) // told_uohm

    def show(volts: float, amps: float) -> None:
        current, voltage = round(amps * ohm / 10e-6), round(volts / 4e-3)
        watts = abs(current) * voltage // 5000
        sensor.put(power1_input=watts * 20 * lsb_ua, in1_input=voltage * 4, curr1_input=round(current * lsb_ua / 1000))

    return Flow(sensor, show)


def ina238(root: Path, *, ohm: float = 0.1) -> Flow:
    """INA238: drivers/hwmon/ina238.c at ADCRANGE 0, which tells neither shunt nor interval; datasheet SLYS025B."""
    sensor = Sensor(root, "hwmon", 2, "ina238")

    def show(volts: float, amps: float) -> None:
        current, voltage = int(amps * ohm / 5e-6) // 4, round(volts / 3.125e-3)
        watts = round(abs(current) * voltage * 3.125e-3 / 0.2)
        milliamps = int(current * 20000 / (ohm * 1e6))
        sensor.put(power1_input=round(watts * 4 / ohm), in1_input=int(voltage * 3.125), curr1_input=milliamps)

    return Flow(sensor, show)


def ina260(root: Path) -> Flow:
    """INA260: its own shunt, of which no file tells; datasheet SBOS656C, 8.6."""
    sensor = Sensor(root, "hwmon", 2, "ina260")
    sensor.put(update_interval=35)

    def show(volts: float, amps: float) -> None:
        current, voltage = round(amps / 1.25e-3), round(volts / 1.25e-3)
        watts = int(abs(current) * voltage * 1.25e-3 * 1.25e-3 / 10e-3)
        sensor.put(power1_input=watts * 10_000, in1_input=round(voltage * 1.25), curr1_input=round(current * 1.25))

    return Flow(sensor, show)


def ina3221(root: Path, *, ohm: float = 0.1, channel: int = 1) -> Flow:
    """INA3221: three channels; datasheet SBOS576A."""
    sensor = Sensor(root, "hwmon", 2, "ina3221")
    sensor.put(update_interval=7)
    for other in (1, 2, 3):
        sensor.put(**{f"in{other}_input": 0, f"in{other + 3}_input": 0, f"curr{other}_input": 0})
        sensor.put(**{f"shunt{other}_resistor": round(ohm * 1e6)})

    def show(volts: float, amps: float) -> None:
        shunt = round(amps * ohm / 40e-6)
        sensor.put(**{f"in{channel + 3}_input": shunt * 40, f"in{channel}_input": round(volts / 8e-3) * 8})
        sensor.put(**{f"curr{channel}_input": round(shunt * 40e-6 / ohm * 1000)})

    return Flow(sensor, show)


def iio_ina226(root: Path, *, ohm: float = 0.1, told_uohm: int = 100_000, averages: int = 16) -> Flow:
    """INA226 of IIO: drivers/iio/adc/ina2xx-adc.c."""
    sensor = Sensor(root, "iio", 0, "ina226")
    sensor.put(
        in_shunt_resistor=told_uohm,
        in_oversampling_ratio=averages,
        in_allow_async_readout=0,
        in_sampling_frequency=round(1e6 / (2200 * averages)),
        in_voltage0_integration_time="0.001100",
        in_voltage1_integration_time="0.001100",
        in_voltage0_scale="0.002500000",
        in_voltage1_scale="1.250000000",
        in_power2_scale="25.000000000",
        in_current3_scale="1",
    )

    def show(volts: float, amps: float) -> None:
        sensor.put(in_voltage0_raw=round(amps * ohm / 2.5e-6), in_voltage1_raw=round(volts / 1.25e-3))

    return Flow(sensor, show)


def feed(root: Path, python: str = sys.executable) -> Feed:
    """The machine `meterhost`, whose sensors are those of the tree."""
    return Feed("meterhost", LocalTransport(python), root=str(root))


def show_to_children(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every process that is started from now on take the tree's /sys for the machine's own."""
    if not any(Path("/usr/lib").glob("*/libumockdev-preload.so.0")):
        pytest.skip("umockdev is not installed; on Debian: apt-get install umockdev")
    monkeypatch.setenv("LD_PRELOAD", "libumockdev-preload.so.0")
    monkeypatch.setenv("UMOCKDEV_DIR", str(root))


class Flow:
    """What flows through a sensor: steady at first, or as `vary` says, converted anew at an even pace."""

    def __init__(self, sensor: Sensor, show: Callable[[float, float], None], volts: float = 5.0, amps: float = 0.6) -> None:
        self.sensor, self.show = sensor, show
        self.conversions: list[tuple[float, float]] = []
        self._over, self._thread = threading.Event(), threading.Thread()
        show(volts, amps)

    def vary(self, amps: Callable[[int], float], *, every_s: float, volts: float = 5.0) -> None:
        """Convert every `every_s`: conversion number k sees `amps(k)`. When each ended is noted."""
        self.conversions.clear()
        self._over.clear()

        def convert() -> None:
            began = monotonic()
            while not self._over.is_set():
                number = len(self.conversions)
                self.show(volts, amps(number))
                self.conversions.append((monotonic(), amps(number)))
                sleep(max(0.0, began + (number + 1) * every_s - monotonic()))

        self._thread = threading.Thread(target=convert, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Convert no more."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
