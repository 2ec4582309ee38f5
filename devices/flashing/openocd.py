"""OpenOCD, for most debug probes and chips. Its commands: https://openocd.org/doc/html/Flash-Programming.html"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from edgepipe.devices.flashing.tool import Order, ToolSettings, Word
from edgepipe.errors import UsageError

# Two boards are written side by side: neither may take the ports that a debugger would use.
NO_PORTS = "gdb_port disabled; tcl_port disabled; telnet_port disabled"


@dataclass(frozen=True, kw_only=True)
class OpenOcd(ToolSettings):
    """`config` are its -f files: [interface/stlink.cfg, target/stm32l4x.cfg]. It lists no probes, so the kernel's list counts."""

    install: ClassVar[str] = "apt-get install openocd (0.12 or later, for `adapter serial`)"
    suffixes: ClassVar[tuple[str, ...]] = (".elf", ".hex")  # of what else it would have to be told the address
    tool: Literal["openocd"] = "openocd"
    config: Annotated[tuple[Word, ...], Field(min_length=1)]

    def writing(self, order: Order) -> tuple[str, ...]:
        """Return its `program`. Raises UsageError for a file that its language would take for something else."""
        path = str(order.file)
        if not path.isprintable() or set(path) & set("{}\\"):
            raise UsageError(f"openocd cannot be told the file {path!r}", todo="Copy it to a path without braces and backslashes.")
        files = [part for name in self.config for part in ("-f", name)]
        program = f"program {{{path}}} verify reset exit"
        return ("openocd", *files, "-c", NO_PORTS, "-c", f"adapter serial {order.probe}", "-c", program)
