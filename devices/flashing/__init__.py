"""Writing a microcontroller's flash: a new tool is one file and one line in this table."""

from __future__ import annotations

from typing import TypeAlias

from edgepipe.devices.flashing.command import Command
from edgepipe.devices.flashing.esptool import EspTool
from edgepipe.devices.flashing.openocd import OpenOcd
from edgepipe.devices.flashing.picotool import PicoTool
from edgepipe.devices.flashing.pyocd import PyOcd
from edgepipe.devices.flashing.west import West

FlashEntry: TypeAlias = PyOcd | OpenOcd | EspTool | PicoTool | West | Command
TOOLS: dict[str, type[FlashEntry]] = {
    "pyocd": PyOcd,
    "openocd": OpenOcd,
    "esptool": EspTool,
    "picotool": PicoTool,
    "west": West,
    "command": Command,
}
