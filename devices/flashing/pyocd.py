"""pyOCD, for CMSIS-DAP, ST-Link and J-Link probes. Its commands: https://pyocd.io/docs/command_reference.html"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar, Literal

from edgepipe.devices.flashing.tool import Order, Probe, ToolSettings, Word


@dataclass(frozen=True, kw_only=True)
class PyOcd(ToolSettings):
    """`chip` is its --target; a probe that stands on its board may know it. `pyocd json --probes` shows ids."""

    install: ClassVar[str] = "pip install pyocd; a chip that it does not know: pyocd pack install CHIP"
    suffixes: ClassVar[tuple[str, ...]] = (".elf", ".hex", ".bin")
    tool: Literal["pyocd"] = "pyocd"
    chip: Word | None = None

    def listing(self, line: str) -> tuple[str, ...]:
        """Return its own list, for programs."""
        return ("pyocd", "json", "--probes")

    def listed(self, printed: str) -> tuple[Probe, ...]:
        """Return the probes that it sees."""
        document = json.loads(printed)
        try:
            if document["status"] != 0:
                raise ValueError(str(document.get("error", "it failed")))
            return tuple(Probe(id=str(board["unique_id"]), name=str(board.get("info", ""))) for board in document["boards"])
        except (KeyError, TypeError, AttributeError) as exc:
            raise ValueError("it is no list of probes") from exc

    def writing(self, order: Order) -> tuple[str, ...]:
        """Return its `load`; without --no-wait it would wait for a probe that is gone."""
        chip = ("--target", self.chip) if self.chip else ()
        return ("pyocd", "load", "--no-wait", "--uid", order.probe, *chip, str(order.file))
