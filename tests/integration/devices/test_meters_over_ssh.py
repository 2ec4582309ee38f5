"""A sensor on another machine over a real sshd: found, read, and told when the machine or its sensor goes away."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path
from time import monotonic

import pytest
import sensor_trees
from sshd import Sshd, descendants

from edgepipe.devices.boards.linux import LinuxBoard
from edgepipe.devices.connect import connect_meter
from edgepipe.devices.inventory import DeviceEntry, FakeLink
from edgepipe.devices.power.feed import Feed
from edgepipe.devices.power.hwmon import HwMon
from edgepipe.devices.power.sensor import SensorMeter
from edgepipe.devices.transports.ssh import SshTransport
from edgepipe.errors import DeviceUnreachable, MeterMissing
from tests.power_meters.reading import some

SOON = 20.0
SETTINGS = HwMon(chip="ina226", via="meterhost")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


def meter_of(link: object, root: Path) -> SensorMeter:
    return SensorMeter(Feed("meterhost", SshTransport("meterhost", link), root=str(root)), SETTINGS.plan)  # type: ignore[arg-type]


def test_it_is_read_as_on_this_machine_and_leaves_nothing_behind(sshd: Sshd, root: Path) -> None:
    flow = sensor_trees.ina226(root)
    flow.show(5.0, 0.5)
    with closing(meter_of(sshd.link(), root)) as meter:
        facts, samples = meter.open(), some(meter)
        assert facts.serial == "1-0040 at meterhost"
        assert samples.amps * samples.volts == pytest.approx(2.5, rel=1e-3)
        assert abs(samples.time_s[-1] - monotonic()) < SOON
    assert sshd.process is not None
    end = monotonic() + SOON
    while any("python" in command(pid) for pid in descendants(sshd.process.pid)):
        assert monotonic() < end


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def test_a_machine_that_measures_a_model_itself_still_has_its_sensors_read(sshd: Sshd, root: Path) -> None:
    sensor_trees.ina226(root)
    with closing(LinuxBoard("meterhost", SshTransport("meterhost", sshd.link()))) as board:
        board.open()
        with closing(meter_of(sshd.link(), root)) as meter:
            meter.open()
            assert meter.read(deadline_s=SOON).resets == 0


def test_a_connection_that_breaks_is_told(sshd: Sshd, root: Path) -> None:
    sensor_trees.ina226(root)
    with closing(meter_of(sshd.link(), root)) as meter:
        meter.open()
        meter.read(deadline_s=SOON)
        sshd.stop()
        end = monotonic() + SOON
        with pytest.raises(DeviceUnreachable):
            while monotonic() < end:
                meter.read(deadline_s=1.0)


def test_a_sensor_that_is_unplugged_over_there_is_told(sshd: Sshd, root: Path) -> None:
    sensor_trees.ina226(root)
    with closing(meter_of(sshd.link(), root)) as meter:
        meter.open()
        shutil.rmtree(root)
        end = monotonic() + SOON
        with pytest.raises(DeviceUnreachable, match="meterhost cannot read its power sensor any more"):
            while monotonic() < end:
                meter.read(deadline_s=SOON)


def test_the_inventory_leads_to_it(sshd: Sshd, root: Path) -> None:
    board = DeviceEntry(name="pi4", board="linux", target="pi", transport=FakeLink(), power=HwMon(chip="ina3221", via="meterhost"))
    if any("ina3221" in path.read_text() for path in Path("/sys/class/hwmon").glob("*/name")):
        pytest.skip("this machine has such a sensor itself; run it on one without")
    meter = connect_meter(board, {"pi4": board, "meterhost": sshd.entry("meterhost")})
    with closing(meter), pytest.raises(MeterMissing, match="meterhost has no sensor ina3221"):
        meter.open()
