"""A Joulescope through its vendor's interface: streams are joined by their numbers, and what any of them lacks is counted."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from edgepipe.devices.power.joulescope import Joulescope, JoulescopeMeter, vendors_driver
from edgepipe.devices.power.joulescope_streams import Streams
from edgepipe.errors import DeviceUnreachable, MeterMissing, MissingExtra
from tests.power_meters.joulescope_stand_in import JoulescopeFaults, StandIn
from tests.power_meters.reading import shown

ERRORS = {"gain_error": 0.003, "volts_error": 0.002, "offset_a": 1e-7}


@contextmanager
def scope(device: StandIn, **settings: object) -> Iterator[JoulescopeMeter]:
    meter = JoulescopeMeter("board", Joulescope(**{**ERRORS, **settings}), start=lambda: device)  # type: ignore[arg-type]
    try:
        yield meter
    finally:
        meter.close()


@pytest.mark.parametrize(("model", "topic", "value"), [("js220", "s/i/range/mode", "auto"), ("js110", "s/i/range/select", "auto")])
def test_each_model_is_set_to_find_its_range_and_to_the_rate_that_was_asked_for(model: str, topic: str, value: str) -> None:
    device = StandIn(paths=(f"u/{model}/001234",))
    with scope(device, hz=2000) as meter:
        facts = meter.open()
        assert (facts.name, facts.serial, facts.period_s) == (f"Joulescope {model.upper()}", "001234", 1 / 2000)
        assert device.set[f"u/{model}/001234/{topic}"] == value
        assert device.set[f"u/{model}/001234/h/fs"] == 2000
        assert not any("gpi" in name for name in device.set)
    assert device.closed == [f"u/{model}/001234"]


def test_the_marker_is_in_step_with_the_current() -> None:
    with scope(StandIn(), marker_input=0) as meter:
        assert meter.open().has_marker
        marker = np.concatenate([piece.marker for piece in shown(meter, 3000)])
        assert set(np.diff(np.flatnonzero(np.diff(marker.astype(int))))) == {100}


@pytest.mark.parametrize("faults", [JoulescopeFaults(lost=range(12_000, 12_345)), JoulescopeFaults(unread=range(12_000, 12_345))])
def test_samples_lost_on_the_way_or_in_the_device_are_counted(faults: JoulescopeFaults) -> None:
    with scope(StandIn(faults)) as meter:
        meter.open()
        pieces = shown(meter, 12_000)
        assert sum(piece.dropped for piece in pieces) == 345
        assert not np.isnan(np.concatenate([piece.amps for piece in pieces])).any()


def test_what_is_not_read_in_time_is_counted_and_takes_no_memory() -> None:
    streams = Streams(("i", "v"), most=1000)
    for number in range(500):
        for kind in ("i", "v"):
            data = np.full(10, 0.5, np.float32)
            streams.put(kind, {"sample_id": number * 10, "decimate_factor": 1, "data": data}, 0.0)
    taken = streams.take()
    assert taken.numbers.size == 1000
    for kind in ("i", "v"):
        streams.put(kind, {"sample_id": 5000, "decimate_factor": 1, "data": np.ones(10, np.float32)}, 0.0)
    assert streams.take().dropped == 4000


def test_streams_that_do_not_come_in_step_are_joined_by_their_numbers() -> None:
    streams = Streams(("i", "v"), most=1000)
    streams.put("i", {"sample_id": 200, "decimate_factor": 10, "data": np.arange(20, 30, dtype=np.float32)}, 1.0)
    assert not streams.ready
    streams.put("v", {"sample_id": 230, "decimate_factor": 10, "data": np.arange(23, 27, dtype=np.float32)}, 2.0)
    taken = streams.take()
    assert taken.numbers.tolist() == [23, 24, 25, 26]
    assert np.array_equal(taken.of("i"), taken.of("v"))
    assert taken.dropped == 0
    streams.put("v", {"sample_id": 270, "decimate_factor": 10, "data": np.arange(27, 30, dtype=np.float32)}, 3.0)
    assert streams.take().of("i").tolist() == [27, 28, 29]


@pytest.mark.parametrize(
    ("device", "settings", "told"),
    [
        (StandIn(paths=()), {}, "none is connected"),
        (StandIn(paths=("u/js220/1", "u/js220/2")), {}, "several are connected"),
        (StandIn(paths=("u/js220/1",)), {"serial": "2"}, "none with the serial number 2"),
        (StandIn(JoulescopeFaults(refused="jsdrv_open failed 18")), {}, "jsdrv_open failed 18"),
    ],
)
def test_one_that_cannot_be_used_is_missing(device: StandIn, settings: dict[str, object], told: str) -> None:
    with scope(device, **settings) as meter, pytest.raises(MeterMissing, match=told) as raised:
        meter.open()
    assert raised.value.todo


def test_the_serial_number_tells_two_apart() -> None:
    with scope(StandIn(paths=("u/js220/000002",)), serial="000002") as meter:
        assert meter.open().serial == "000002"


def test_one_that_falls_silent_is_unreachable() -> None:
    with scope(StandIn(JoulescopeFaults(mute_from=8000))) as meter:
        meter.open()
        with pytest.raises(DeviceUnreachable, match="no sample for 3 s"):
            shown(meter, 100_000)


@pytest.mark.skipif(importlib.util.find_spec("pyjoulescope_driver") is not None, reason="the vendor's driver is installed")
def test_without_the_vendors_driver_it_is_said_how_to_get_it() -> None:
    with pytest.raises(MissingExtra, match="vendor's driver") as raised:
        vendors_driver()
    assert "edgepipe[joulescope]" in raised.value.todo
