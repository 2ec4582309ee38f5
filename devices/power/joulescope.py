"""Jetperch's Joulescope JS220 and JS110, through the vendor's driver (the extra [joulescope]).

Written against the driver's documentation and its own programs (github.com/jetperch/joulescope_driver, record.py and
entry_points/record.py); not run on hardware: the tests have a stand-in with the same interface.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Condition, RLock
from time import monotonic
from typing import Annotated, Literal, Protocol, cast

from pydantic import Field

from edgepipe.devices.power.feed import Site
from edgepipe.devices.power.joulescope_streams import Streams
from edgepipe.devices.power.meter import MeterFacts, PowerMeter, Samples
from edgepipe.devices.power.pace import CLOCK_ERROR, Pace
from edgepipe.devices.power.stated import StatedErrors
from edgepipe.errors import DeviceUnreachable, MeterMissing, MissingExtra

JITTER_S = 2e-3  # it sends in blocks of some milliseconds, of which the least late count
SETTLE_S, FIRST_WITHIN_S, SILENCE_S = 0.5, 5.0, 3.0
LARGEST_UNREAD_S = 20.0
RANGES = {  # how each model is told to find its measurement range by itself
    "js110": (("s/i/range/select", "auto"), ("s/v/range/select", "15 V")),
    "js220": (("s/i/range/mode", "auto"), ("s/v/range/mode", "auto")),
}


class Driver(Protocol):
    """What we use of the vendor's driver. It raises RuntimeError and TimeoutError, and calls back from a thread of its own."""

    def device_paths(self) -> list[str]:
        """Return what is connected: u/<model>/<serial number>."""

    def open(self, device_prefix: str, mode: str) -> None:
        """Open a device."""

    def close(self, device_prefix: str) -> None:
        """Close it."""

    def publish(self, topic: str, value: int | str) -> None:
        """Set something."""

    def subscribe(self, topic: str, flags: str, fn: Callable[[str, object], None]) -> None:
        """Have `fn` called for each value of a topic."""

    def finalize(self) -> None:
        """End the driver."""


@dataclass(frozen=True, kw_only=True)
class Joulescope(StatedErrors):
    """Its serial number, where more than one is connected, and to how many samples a second it averages.

    Its errors are those of the model and the range, as its datasheet has them. General-purpose input `marker_input` is the one that
    the board raises.
    """

    meter: Literal["joulescope"] = "joulescope"
    serial: Annotated[str, Field(pattern=r"^[0-9A-Za-z]{1,32}$")] | None = None
    hz: Literal[1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000] = 10_000
    marker_input: Annotated[int, Field(ge=0, le=3)] | None = None

    def connect(self, site: Site) -> PowerMeter:
        """Return the meter of a board."""
        return JoulescopeMeter(site.board, self)


def vendors_driver() -> Driver:
    """Start the vendor's driver. Raises MissingExtra."""
    try:
        module = importlib.import_module("pyjoulescope_driver")
    except ImportError as exc:
        raise MissingExtra(
            "a Joulescope needs its vendor's driver", cause=str(exc), todo="pip install 'edgepipe[joulescope]', and its udev rules."
        ) from exc
    return cast(Driver, module.Driver())


class JoulescopeMeter:
    """One device of a driver of its own."""

    def __init__(self, device: str, settings: Joulescope, *, start: Callable[[], Driver] = vendors_driver) -> None:
        self._name, self._settings, self._start = f"the Joulescope of {device}", settings, start
        self._driver: Driver | None = None
        self._path = ""
        self._came = Condition()
        self._set_up_alone = RLock()  # the driver is not ended by another thread in the middle of that

    def open(self) -> MeterFacts:
        """Find it and have it measure. Raises MeterMissing, MissingExtra."""
        self.close()
        kinds = ("i", "v") if self._settings.marker_input is None else ("i", "v", f"gpi/{self._settings.marker_input}")
        self._streams = Streams(kinds, most=int(LARGEST_UNREAD_S * self._settings.hz))
        self._removed = False
        try:
            with self._set_up_alone:
                self._driver = self._start()
                self._path = self._found(self._driver)
                self._set_up(self._driver, kinds)
            self._begin()
        except (RuntimeError, OSError) as exc:
            self.close()
            raise MeterMissing(
                f"{self._name} cannot be used: {exc}",
                cause="another program has it, or its udev rules are not installed",
                todo="Close Joulescope's own program; its documentation has the rules for Linux.",
            ) from exc
        except MeterMissing:
            self.close()
            raise
        return self._facts()

    def read(self, *, deadline_s: float) -> Samples:
        """Return what came. Raises DeviceUnreachable when it is gone or silent."""
        if self._driver is None:
            raise DeviceUnreachable(f"{self._name} is not open")
        with self._came:
            self._came.wait_for(lambda: self._removed or self._streams.ready, deadline_s)
            taken = self._streams.take()
        if self._removed and not taken.numbers.size:
            raise DeviceUnreachable(f"{self._name} is gone", cause="it was unplugged")
        now = monotonic()
        if taken.numbers.size:
            self._last_s = now
        elif now - self._last_s > SILENCE_S:
            raise DeviceUnreachable(f"{self._name} has sent no sample for {SILENCE_S:g} s", todo="Plug it in anew.")
        times = self._pace.times(taken.numbers)
        if taken.numbers.size:
            self._pace.arrived(int(taken.numbers[-1]), taken.came_s)
        return Samples(time_s=times, volts=taken.of("v"), amps=taken.of("i"), marker=taken.marker, dropped=taken.dropped)

    def close(self) -> None:
        """Stop it and end the driver."""
        with self._set_up_alone:
            driver, self._driver = self._driver, None
            if driver is None:
                return
            try:
                if self._path and not self._removed:
                    driver.close(self._path)
            except (RuntimeError, OSError):
                pass  # it was unplugged: nothing is left to close
            finally:
                self._path = ""
                driver.finalize()

    def _found(self, driver: Driver) -> str:
        """Return the path of the one that is meant."""
        wanted = self._settings.serial
        connected = [path for path in driver.device_paths() if path.split("/")[1:2] and path.split("/")[1] in RANGES]
        paths = [path for path in connected if wanted is None or path.lower().endswith("/" + wanted.lower())]
        if len(paths) == 1:
            return paths[0]
        shown = ", ".join(connected) or "none"
        if paths:
            raise MeterMissing(f"{self._name}: several are connected: {shown}", todo="Write serial in the power entry.")
        which = f"none with the serial number {wanted}" if wanted else "none"
        raise MeterMissing(f"{self._name}: {which} is connected (found: {shown})", todo="Plug it in, and install its udev rules.")

    def _set_up(self, driver: Driver, kinds: tuple[str, ...]) -> None:
        path = self._path
        driver.subscribe("@/!remove", "pub", self._gone)
        driver.open(path, "defaults")
        driver.publish(f"{path}/h/fs", self._settings.hz)
        for topic, value in RANGES[path.split("/")[1]]:
            driver.publish(f"{path}/{topic}", value)
        for kind in kinds:
            driver.subscribe(f"{path}/s/{kind}/!data", "pub", self._block)
            driver.publish(f"{path}/s/{kind}/ctrl", 1)

    def _begin(self) -> None:
        """Learn from the first samples when samples arrive; they are not given out."""
        self._pace = Pace(1 / self._settings.hz)
        began, found = monotonic(), False
        while (now := monotonic()) < began + SETTLE_S or (not found and now < began + FIRST_WITHIN_S):
            if self._driver is None:
                raise MeterMissing(f"{self._name} was closed while it was being opened")
            with self._came:
                self._came.wait_for(lambda: self._removed or self._streams.ready, SETTLE_S)
                taken = self._streams.take()
            if taken.numbers.size:
                found, self._last_s = True, monotonic()
                self._pace.anchor(int(taken.numbers[-1]), taken.came_s)
        if not found:
            raise MeterMissing(f"{self._name} opens, but sends no samples", todo="Plug it in anew.")

    def _block(self, topic: str, value: object) -> None:
        """Take a block of one stream; the driver's thread calls."""
        kind = topic.removeprefix(f"{self._path}/s/").removesuffix("/!data")
        with self._came:
            self._streams.put(kind, cast(Mapping[str, object], value), monotonic())
            self._came.notify()

    def _gone(self, topic: str, value: object) -> None:
        if value == self._path:
            with self._came:
                self._removed = True
                self._came.notify()

    def _facts(self) -> MeterFacts:
        settings = self._settings
        _, model, serial = self._path.split("/")
        return MeterFacts(
            name=f"Joulescope {model.upper()}",
            serial=serial,
            period_s=1 / settings.hz,
            jitter_s=JITTER_S,
            errors=settings.errors(),
            has_marker=settings.marker_input is not None,
            drops_detectable=True,
            clock_error=CLOCK_ERROR,
        )
