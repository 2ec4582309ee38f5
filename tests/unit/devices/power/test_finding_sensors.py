"""The sensor that is meant, on the machine that is meant: what is not there, or may not be read there, is told."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import sensor_trees
from sensor_trees import Opening, Sensor, feed
from sshd import descendants

from edgepipe.devices.boards.linux import LinuxBoard
from edgepipe.devices.connect import connect_meter
from edgepipe.devices.inventory import DeviceEntry, FakeLink, LocalLink, SshLink
from edgepipe.devices.power.feed import Site
from edgepipe.devices.power.hwmon import HwMon
from edgepipe.devices.power.iio import Iio
from edgepipe.devices.power.sensor import SensorMeter
from edgepipe.devices.transports.local import LocalTransport
from edgepipe.errors import DeviceUnreachable, InventoryError, MeterMissing
from tests.power_meters.reading import some

SOON = 20.0


class TestFinding:
    def test_a_sensor_that_is_not_there_is_told_with_those_that_are(self, root: Path, opened: Opening) -> None:
        sensor_trees.ina219(root)
        with pytest.raises(MeterMissing, match=r"no sensor ina226 among its hwmon devices; there is ina219 \(1-0040\)") as caught:
            opened(HwMon(chip="ina226"))
        assert "docs/power.md" in caught.value.todo and "address pads" in caught.value.cause

    def test_where_there_is_none_at_all_it_says_so(self, opened: Opening) -> None:
        with pytest.raises(MeterMissing, match="there is none at all"):
            opened(Iio(chip="ina226"))

    @pytest.mark.parametrize(("release", "cause"), [("6.1.0-rpi7-rpi-v8", "6.13"), ("6.13.1", "not wired")])
    def test_a_kernel_older_than_the_driver_is_named(self, root: Path, release: str, cause: str) -> None:
        with closing(feed(root)) as far:
            far.open()
            far.release = release
            with pytest.raises(MeterMissing) as caught:
                HwMon(chip="ina260").plan(far)
        assert cause in caught.value.cause

    def test_of_two_of_a_kind_the_address_the_bus_or_the_label_tells(self, root: Path, opened: Opening) -> None:
        for index, (address, bus) in enumerate([(0x40, 1), (0x41, 1), (0x40, 3)]):
            flow = sensor_trees.ina226(root, index=index, address=address, bus=bus)
            flow.sensor.put(label=f"rail {index}")
        with pytest.raises(MeterMissing, match="3 sensors ina226: 1-0040, 1-0041, 3-0040"):
            opened(HwMon(chip="ina226"))
        with pytest.raises(MeterMissing, match=r"3 sensors|2 sensors"):
            opened(HwMon(chip="ina226", address=0x40))
        for settings in (
            HwMon(chip="ina226", address=0x40, bus=3),
            HwMon(chip="ina226", bus=3),
            HwMon(chip="ina226", label="rail 2"),
        ):
            _, facts = opened(settings)
            assert facts.serial == "3-0040 at meterhost"
        with pytest.raises(MeterMissing, match="no ina226 at the address"):
            opened(HwMon(chip="ina226", address=0x44))

    def test_another_chip_under_the_name_is_told_by_what_it_lacks(self, root: Path, opened: Opening) -> None:
        Sensor(root, "hwmon", 0, "ina226").put(temp1_input=40_000)
        with pytest.raises(MeterMissing, match=r"no file .*in1_input") as caught:
            opened(HwMon(chip="ina226", shunt_ohm=0.1))
        assert "another driver" in caught.value.cause

    def test_a_file_that_cannot_be_read_is_told_with_the_reason(self, root: Path, opened: Opening) -> None:
        flow = sensor_trees.ina226(root)
        (flow.sensor.folder / "in1_input").unlink()
        (flow.sensor.folder / "in1_input").symlink_to("/proc/self/mem")  # like a sensor that does not answer on its bus
        with pytest.raises(MeterMissing, match=r"cannot read the sensor: .*in1_input: Input/output error"):
            opened(HwMon(chip="ina226"))

    def test_a_user_who_may_not_read_it_is_told_so(self, root: Path, opened: Opening, tmp_path: Path) -> None:
        python = tmp_path / "python-without-rights"  # else root reads whatever its mode says
        rights = "-dac_override,-dac_read_search"
        without = f"exec setpriv --bounding-set={rights} --inh-caps={rights} " if os.geteuid() == 0 else "exec "
        python.write_text(f'#!/bin/sh\n{without}{sys.executable} "$@"\n')
        python.chmod(0o755)
        flow = sensor_trees.ina226(root)
        (flow.sensor.folder / "in1_input").chmod(0)
        with pytest.raises(MeterMissing, match=r"in1_input: Permission denied") as caught:
            opened(HwMon(chip="ina226"), python=str(python))
        assert "may not read it" in caught.value.cause

    def test_a_board_without_supply_has_no_power_to_measure(self, root: Path, opened: Opening) -> None:
        flow = sensor_trees.ina226(root)
        flow.show(0.0, 0.0)
        with pytest.raises(MeterMissing, match=r"sees 0\.00 V") as caught:
            opened(HwMon(chip="ina226"))
        assert "VBUS" in caught.value.cause

    def test_a_kernel_that_does_not_tell_the_shunt_leaves_it_to_the_inventory(self, root: Path, opened: Opening) -> None:
        sensor_trees.ina238(root)
        with pytest.raises(MeterMissing, match="does not tell with which shunt") as caught:
            opened(HwMon(chip="ina238"))
        assert "shunt_ohm" in caught.value.todo


class TestWhere:
    def test_a_sensor_in_the_machines_own_sys_is_found(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        sensor_trees.ina226(root)
        sensor_trees.show_to_children(root, monkeypatch)
        board = DeviceEntry(name="mcu", board="mcu", target="mcu", transport=FakeLink(), power=HwMon(chip="ina226"))
        with closing(connect_meter(board, {})) as meter:
            facts = meter.open()
            assert facts.serial == "1-0040 at this machine" and not facts.self_measured
            assert meter.read(deadline_s=SOON).volts == pytest.approx(5.0)

    def test_a_sensor_is_never_read_on_the_board_itself_unless_that_is_known(self, root: Path) -> None:
        here = Site(board="pc", is_here=True, reach=lambda name: LocalTransport())
        with pytest.raises(InventoryError, match="read on the board itself") as caught:
            HwMon(chip="ina226").connect(here)
        assert "self_measured" in caught.value.todo
        there = Site(board="pi4", is_here=False, reach=lambda name: LocalTransport())
        with pytest.raises(InventoryError, match="read on the board itself"):
            HwMon(chip="ina226", via="pi4").connect(there)
        HwMon(chip="ina226", via="meterhost").connect(there)
        HwMon(chip="ina226").connect(there)

    def test_this_machine_over_ssh_is_still_this_machine(self) -> None:
        link = SshLink(host="localhost", user="edge", host_key="ssh-ed25519 AAAA")
        board = DeviceEntry(name="pc", board="linux", target="host", transport=link, power=HwMon(chip="ina226"))
        with pytest.raises(InventoryError, match="read on the board itself"):
            connect_meter(board, {"pc": board})
        through_a_tunnel = replace(board, transport=replace(link, port=2222))
        connect_meter(through_a_tunnel, {"pc": through_a_tunnel})

    def test_a_board_that_measures_itself_says_so(self, root: Path) -> None:
        sensor_trees.ina226(root)
        settings = HwMon(chip="ina226", self_measured=True)
        with closing(SensorMeter(feed(root), settings.plan, self_measured=settings.self_measured)) as meter:
            assert meter.open().self_measured

    def test_a_machine_that_is_not_in_the_inventory_is_a_mistake_there(self) -> None:
        power = HwMon(chip="ina226", via="meterhots")
        board = DeviceEntry(name="pi4", board="linux", target="pi", transport=FakeLink(), power=power)
        other = DeviceEntry(name="meterhost", board="linux", target="pi", transport=LocalLink())
        with pytest.raises(InventoryError, match=r'no device "meterhots".* Perhaps you meant "meterhost"'):
            connect_meter(board, {"pi4": board, "meterhost": other})

    def test_sensors_are_read_beside_a_session_and_beside_each_other(self, root: Path, opened: Opening) -> None:
        for index, address in enumerate((0x40, 0x41)):
            sensor_trees.ina226(root, index=index, address=address)
        with closing(LinuxBoard("pc", LocalTransport())) as board:
            board.open()
            meters = [opened(HwMon(chip="ina226", address=address))[0] for address in (0x40, 0x41)]
            assert all(some(meter).time_s.size for meter in meters)
            assert board.identify().name == "pc"

    def test_nothing_is_left_running_when_it_is_closed_and_that_may_be_done_twice(self, root: Path, opened: Opening) -> None:
        sensor_trees.ina226(root)
        meter, _ = opened(HwMon(chip="ina226"))
        assert descendants(os.getpid())
        meter.close()
        meter.close()
        assert not descendants(os.getpid())
        with pytest.raises(DeviceUnreachable, match="not open"):
            meter.read(deadline_s=1.0)
