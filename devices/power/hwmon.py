"""Current sensors behind the Linux kernel's hwmon files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from edgepipe.devices.power.meter import MeterSettings, Positive

Text = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True, kw_only=True)
class HwMon(MeterSettings):
    """The sensor called `chip` on the device `via`, None: on this machine, with a shunt of `shunt_ohm`."""

    meter: Literal["hwmon"] = "hwmon"
    via: Text | None = None
    chip: Text
    shunt_ohm: Positive | None = None
