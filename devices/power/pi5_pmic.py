"""A Raspberry Pi 5's own power management chip: what it says of the board's rails, through `vcgencmd pmic_read_adc`.

It is read on the board itself. It sees neither what goes past it (USB, HATs, NVMe: of the 5 V input it tells a voltage and no
current) nor what its converters lose, and no datasheet says how right it is. An owner compared the sum of its twelve rails with a
USB-C meter: real = 1.1451 * sum + 0.5879 W (github.com/jfikar/RPi5-power), by which the sum is a fifth short of 8 W and a quarter
short of 4 W. That is one board's, so it corrects nothing here; it is the error term, and one board's own changes are what this is
good for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from edgepipe.devices.power.feed import Feed, Site
from edgepipe.devices.power.meter import ErrorTerms, MeterSettings, PowerMeter
from edgepipe.devices.power.sensor import Plan, Rows, SensorMeter
from edgepipe.errors import MeterMissing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LINE = re.compile(r"\s*([0-9A-Z_]+)_([AV])\s+(?:current|volt)\([0-9]+\)=([0-9]+(?:\.[0-9]+)?)([AV])\s*")
INPUT = "EXT5V"
SHORT_BY = 0.25


@dataclass(frozen=True, kw_only=True)
class Pi5Pmic(MeterSettings):
    """The board's own readings, one every `every_s`: quicker ones take more power themselves. `self_measured` is always so."""

    meter: Literal["pi5_pmic"] = "pi5_pmic"
    every_s: Annotated[float, Field(ge=0.02, le=1.0)] = 0.04
    self_measured: Literal[True] = True

    def connect(self, site: Site) -> PowerMeter:
        """Return the meter of a board."""
        feed = Feed(site.board, site.reach(None if site.is_here else site.board))
        return SensorMeter(feed, self.plan, self_measured=True)

    def plan(self, feed: Feed) -> Plan:
        """Read the rails once and say how they are read. Raises MeterMissing."""
        found = rails(feed.pmic())
        return Plan(
            name="pi5_pmic",
            serial=feed.where,
            errors=ErrorTerms.within(
                gain=SHORT_BY,
                volt=0.0,
                offset_a=0.0,
                source="no datasheet; a fifth to a quarter short of a USB-C meter by one owner (github.com/jfikar/RPi5-power);"
                f" without USB, HATs and what else takes 5 V; in no sum: {', '.join(found.uncovered)}",
            ),
            interval_s=self.every_s,
            pace_s=self.every_s,
            columns=_columns,
            source="pmic",
        )


@dataclass(frozen=True, kw_only=True)
class Rails:
    """What was read at once: `watts` of all rails that tell both voltage and current, and the voltage of the 5 V input.

    `uncovered` are those that lack one of the two, so that their power is in no sum.
    """

    watts: float
    volts: float
    uncovered: tuple[str, ...]


def rails(text: str) -> Rails:
    """Return the sum over the rails in an answer of vcgencmd. Raises MeterMissing for what is none."""
    told: dict[str, dict[str, float]] = {"A": {}, "V": {}}
    for line in text.splitlines():
        match = LINE.fullmatch(line)
        if match and match[2] == match[4]:
            told[match[2]][match[1]] = float(match[3])
    both = told["A"].keys() & told["V"].keys()
    if not both or not told["V"].get(INPUT):
        raise MeterMissing(
            f"vcgencmd pmic_read_adc says nothing of a Raspberry Pi 5's rails: {text.strip()[:80]!r}",
            cause="it is another board, or its firmware is too old",
            todo="Wire a sensor of your own (docs/power.md), or update the firmware.",
        )
    uncovered = sorted((told["A"].keys() | told["V"].keys()) - both)
    watts = sum(told["A"][rail] * told["V"][rail] for rail in sorted(both))
    return Rails(watts=watts, volts=told["V"][INPUT], uncovered=tuple(uncovered))


def _columns(rows: Rows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    import numpy as np

    found = [rails(str(row[0])) for row in rows]
    volts = np.asarray([one.volts for one in found], np.float64)
    return volts, np.asarray([one.watts for one in found], np.float64) / volts
