"""picotool, for RP2040 and RP2350 on their own USB. Its commands: https://github.com/raspberrypi/picotool"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from edgepipe.devices.flashing.tool import Order, Probe, ToolSettings

# Vendor and product of what waits in BOOTSEL mode: RP2040 and RP2350 (README of picotool and pico-sdk's usb_boot_device).
BOOTSEL = ("2e8a:0003", "2e8a:000f")


@dataclass(frozen=True, kw_only=True)
class PicoTool(ToolSettings):
    """`probe` is the serial number of the running board on its USB, which the pico-sdk takes from its flash chip."""

    install: ClassVar[str] = "apt-get install picotool (2.0 or later, for --ser), or build it from raspberrypi/picotool"
    suffixes: ClassVar[tuple[str, ...]] = (".uf2", ".elf", ".bin")
    tool: Literal["picotool"] = "picotool"

    def objection(self, probe: Probe, connected: tuple[Probe, ...]) -> str:
        """Return that another board waits in BOOTSEL mode: after -f it looks for a board in that mode, of whatever name."""
        waiting = [each for each in connected if each.name.startswith(BOOTSEL)]
        return f"{waiting[0]} waits in BOOTSEL mode, and picotool might take it for this one" if waiting else ""

    def writing(self, order: Order) -> tuple[str, ...]:
        """Return its `load`: restart into BOOTSEL mode, write, read back, start."""
        return ("picotool", "load", "-v", "-x", str(order.file), "--ser", order.probe, "-f")
