"""A sensor behind the files of a Linux kernel: how it is told from others, and what its readings become."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import hypot
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import Field

from edgepipe.devices.agent.lines import Message
from edgepipe.devices.power.feed import Feed, ReadByAgent, ReadingSource
from edgepipe.devices.power.ina import CHIPS, ChipName
from edgepipe.devices.power.meter import ErrorTerms, MeterFacts, Positive, Samples, Share, Text
from edgepipe.errors import InfrastructureError, MeterMissing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Rows: TypeAlias = list[list[Any]]
Columns: TypeAlias = Callable[[Rows], tuple["NDArray[np.float64]", "NDArray[np.float64]"]]
LEAST_PACE_S = 0.005  # three registers take about 2 ms on an I2C bus of 100 kHz
LOOKS = 4  # in the time of a conversion, so that none is missed and its end is known to a quarter
FASTEST_S = LOOKS * LEAST_PACE_S  # sensors that convert faster are sampled: nobody can read all that they measure
SURE = 0.9  # conversions may take this share of their time, or as much longer: the datasheets' ±10 %
FULL = 0.999  # of the range


@dataclass(frozen=True, kw_only=True)
class KernelSensor(ReadByAgent):
    """The sensor called `chip`, with a shunt of `shunt_ohm` ± `shunt_tolerance` (a share); None: what the kernel was told.

    Where the kernel was told another shunt, its readings are corrected. Of two of a kind, one is told by its I2C `address`, `bus`
    or `label`.
    """

    chip: ChipName
    shunt_ohm: Positive | None = None
    shunt_tolerance: Share = 0.01
    address: Annotated[int, Field(ge=0x03, le=0x77)] | None = None
    bus: Annotated[int, Field(ge=0)] | None = None
    label: Text | None = None


@dataclass(frozen=True, kw_only=True)
class Found:
    """A sensor's folder below the root, and the last name of its device, like 1-0040."""

    folder: str
    device: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """What a sensor turned out to be, and how it is read.

    The first of its `files` tells of a new conversion, those to `watch` of lost settings. `columns` makes volts and amperes
    of rows. It converts every `interval_s`; it is read often enough to miss none where that can be done, or at `pace_s`.
    """

    name: str
    serial: str
    errors: ErrorTerms
    interval_s: float
    columns: Columns
    pace_s: float | None = None
    full_scale_a: float | None = None
    source: ReadingSource = "files"
    files: tuple[str, ...] = ()
    watch: tuple[str, ...] = ()


class SensorMeter:
    """A PowerMeter out of a feed of readings; `plan` finds the sensor when it is opened."""

    def __init__(self, feed: Feed, plan: Callable[[Feed], Plan], *, self_measured: bool = False) -> None:
        self._feed, self._prepare, self._self_measured = feed, plan, self_measured
        self._plan: Plan | None = None
        self._last_s = 0.0

    def open(self) -> MeterFacts:
        """Find the sensor and begin to read. Raises MeterMissing, DeviceUnreachable."""
        try:
            return self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> MeterFacts:
        self._feed.open()
        self._plan = plan = self._prepare(self._feed)
        keeps_up = plan.pace_s is None and plan.interval_s >= FASTEST_S
        pace_s = plan.pace_s or max(plan.interval_s / LOOKS, LEAST_PACE_S)
        limit_s = SURE * plan.interval_s if keeps_up else 0.0
        longest_s = (2 - SURE) * plan.interval_s + pace_s if keeps_up else plan.interval_s
        started = self._feed.start(
            longest_s=longest_s, pace_s=pace_s, limit_s=limit_s, source=plan.source, files=plan.files, watch=plan.watch
        )
        pace_s, takes_s = started["pace_ns"] / 1e9, started["takes_ns"] / 1e9
        # It ended at any time since the look before; one that is only sampled, at any time during itself and the look.
        unsure_s = pace_s if keeps_up else hypot(min(plan.interval_s, pace_s) if plan.pace_s is None else 0.0, takes_s)
        return MeterFacts(
            name=plan.name,
            serial=plan.serial,
            period_s=max(plan.interval_s, pace_s),
            jitter_s=hypot(unsure_s / 3**0.5, self._feed.clock_uncertainty_s),  # JCGM 100:2008, 4.3.7
            errors=plan.errors,
            full_scale_a=plan.full_scale_a,
            drops_detectable=bool(started["limit_ns"]),
            self_measured=self._self_measured,
        )

    def read(self, *, deadline_s: float) -> Samples:
        """Return what was read since the last call. Raises DeviceUnreachable."""
        import numpy as np

        plan = self._plan
        batch = self._feed.read(deadline_s=deadline_s)
        assert plan is not None
        try:
            volts, amps = plan.columns(batch.values)
        except (TypeError, ValueError, IndexError) as exc:
            raise InfrastructureError(f"{self._feed.where} said something of its sensor that is no reading") from exc
        # A new mapping of the clock may move a sample back a little; microseconds then keep them in order.
        time_s = np.maximum(np.asarray(batch.time_s, dtype=np.float64), self._last_s + 1e-6 * np.arange(1, len(volts) + 1))
        self._last_s = float(time_s[-1]) if len(volts) else self._last_s
        most_a = np.inf if plan.full_scale_a is None else FULL * plan.full_scale_a
        saturated = int(np.count_nonzero(np.abs(amps) >= most_a))
        return Samples(time_s=time_s, volts=volts, amps=amps, dropped=batch.lost, saturated=saturated, resets=batch.resets)

    def close(self) -> None:
        """End the reading; the sensor's settings were never touched."""
        self._feed.close()


def find(feed: Feed, settings: KernelSensor, names: str, kind: str) -> Found:
    """Return the one sensor that is meant, by the files `names` that name each. Raises MeterMissing."""
    sensors = feed.look(names)
    mine = [path for path, facts in sensors.items() if facts.get("text") == settings.chip]
    labels = feed.look(*(f"{folder(path)}/label" for path in mine)) if settings.label else {}
    chosen = [path for path in mine if _is_meant(settings, sensors[path], labels.get(f"{folder(path)}/label", {}))]
    if len(chosen) == 1:
        return Found(folder=folder(chosen[0]), device=str(sensors[chosen[0]]["device"]))
    if len(chosen) > 1:
        raise MeterMissing(
            f"{feed.where} has {len(chosen)} sensors {settings.chip}: {_devices(sensors, chosen)}",
            todo="Say which one is meant: address: 0x40 in the power entry, and bus: 1 or a label where that is not enough.",
        )
    raise _none(feed, settings, sensors, mine, kind)


def _is_meant(settings: KernelSensor, facts: Message, label: Message) -> bool:
    """Tell by the name that the kernel gives an I2C device, bus and address as in 1-0040."""
    bus, _, address = str(facts["device"]).partition("-")
    return (
        (settings.bus is None or bus == str(settings.bus))
        and (settings.address is None or address == f"{settings.address:04x}")
        and (settings.label is None or label.get("text") == settings.label)
    )


def _none(feed: Feed, settings: KernelSensor, sensors: dict[str, Message], mine: list[str], kind: str) -> MeterMissing:
    chip = settings.chip
    if mine:
        return MeterMissing(
            f"{feed.where} has no {chip} at the address, bus or label of the power entry; there is {_devices(sensors, mine)}"
        )
    hidden = [f"{path}: {facts['words']}" for path, facts in sensors.items() if "words" in facts]
    there = ", ".join(f"{facts['text']} ({facts['device']})" for facts in sensors.values() if "text" in facts)
    since = CHIPS[chip].since
    old = kind == "hwmon" and feed.release and _version(feed.release) < _version(since)
    if old:
        cause = f"its Linux {feed.release} has no driver for it yet, which came with {since}"
    else:
        cause = "it is not wired, its address pads say another address, or nobody told the kernel of it"
    return MeterMissing(
        f"{feed.where} has no sensor {chip} among its {kind} devices; there is {there or 'none at all'}",
        problems=hidden,
        cause=cause,
        todo="docs/power.md says how it is wired and how the kernel is told.",
    )


def _devices(sensors: dict[str, Message], paths: Iterable[str]) -> str:
    return ", ".join(str(sensors[path]["device"]) for path in paths)


def _version(release: str) -> tuple[int, ...]:
    """Return the first two numbers of a kernel's release, as in 6.1.0-rpi7."""
    parts = release.split(".")[:2]
    return tuple(int("".join(char for char in part if char.isdigit()) or 0) for part in parts)


def table(rows: Rows, width: int) -> NDArray[np.float64]:
    """Return rows of `width` numbers as an array of that shape. Raises ValueError, TypeError."""
    import numpy as np

    return np.asarray(rows, dtype=np.float64).reshape(len(rows), width)


def folder(path: str) -> str:
    """Return where a file lies."""
    return path.rpartition("/")[0]


def number(feed: Feed, files: dict[str, Message], path: str) -> float:
    """Return the number in a file that was looked at. Raises MeterMissing where it is not there, or may not be read."""
    facts = files.get(path)
    if facts is None:
        raise MeterMissing(
            f"{feed.where}: the sensor has no file {path}",
            cause="another driver than the one of this chip goes by its name, or a much older one",
        )
    if "words" in facts:
        raise MeterMissing(
            f"{feed.where} cannot read the sensor: {facts['words']}",
            cause="this user may not read it, or nothing answers at its address",
            todo=f"`cat /{path}` there must show a number.",
        )
    try:
        return float(facts["text"])
    except ValueError as exc:
        raise MeterMissing(f"{feed.where}: {path} holds {str(facts['text'])[:40]!r}, which is no number") from exc


def shunt(feed: Feed, settings: KernelSensor, told_uohm: float | None) -> tuple[float, float]:
    """Return the shunt's resistance and the one that the kernel reckons with, in ohms. Raises MeterMissing for neither known."""
    own = CHIPS[settings.chip].shunt_ohm
    told = own or (told_uohm / 1e6 if told_uohm else settings.shunt_ohm)
    if told is None:
        raise MeterMissing(
            f"{feed.where} does not tell with which shunt it reckons for its {settings.chip}",
            todo="Write shunt_ohm in the power entry, as it stands on the shunt; R100 is 0.1.",
        )
    return own or settings.shunt_ohm or told, told


def supplied(feed: Feed, volts: float, chip: str) -> float:
    """Return the bus voltage. Raises MeterMissing where there is none: power would be nothing whatever flows."""
    if volts <= 0.1:
        raise MeterMissing(
            f"the {chip} at {feed.where} sees {volts:.2f} V at its board",
            cause="its VBUS pin is not wired to the board's supply, or the board is switched off",
            todo="Wire VBUS to the side of the shunt that the board is on.",
        )
    return volts
