"""esptool, for Espressif's chips, by their serial line. Its commands: https://docs.espressif.com/projects/esptool"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from edgepipe.devices.flashing.tool import Order, Probe, ToolSettings, Word

MAC = re.compile(r"MAC:\s*((?:[0-9a-f]{2}:){5}[0-9a-f]{2})(?![0-9a-f:])", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class EspTool(ToolSettings):
    """`probe` is the chip's MAC address, `offset` where in the flash the .bin goes. What the line's USB adapter is called is no
    identity: many adapters of one make share one serial number.
    """

    install: ClassVar[str] = "pip install 'esptool>=5', or apt-get install esptool"
    suffixes: ClassVar[tuple[str, ...]] = (".bin",)
    tool: Literal["esptool"] = "esptool"
    chip: Word = "auto"
    offset: Annotated[int, Field(ge=0, lt=1 << 32)] = 0

    def listing(self, line: str) -> tuple[str, ...]:
        """Return what asks the chip on the board's line who it is; the chip restarts."""
        return ("esptool", "--chip", self.chip, "--port", line, "read_mac")

    def listed(self, printed: str) -> tuple[Probe, ...]:
        """Return the chip; it is told more than once."""
        return tuple(Probe(id=mac) for mac in dict.fromkeys(found.lower() for found in MAC.findall(printed)))

    def writing(self, order: Order) -> tuple[str, ...]:
        """Return its `write_flash`, which compares a hash of what it wrote; version 5 also spells it with a dash."""
        return ("esptool", "--chip", self.chip, "--port", order.line, "write_flash", hex(self.offset), str(order.file))
