"""The engine's bytes on a Cortex-M4: all its objects and the helpers from the compiler's libraries, built as the firmware is."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from edgepipe.devices.firmware_build import FLAGS, PORTS
from tests.firmware.host_engine import SOURCES

PORT = PORTS["mps2-an386"]
READ_ONLY = (".text", ".rodata")


@dataclass(frozen=True, kw_only=True)
class EngineSize:
    """Bytes of sections; `helpers_bytes` of the code and constants come from libraries."""

    code_bytes: int
    helpers_bytes: int
    data_bytes: int
    bss_bytes: int


def engine_size(folder: Path) -> EngineSize:
    """Build the engine alone in `folder`, nothing of it left out. Raises CalledProcessError with the compiler's words."""
    command = [PORT.compiler, *FLAGS, *PORT.flags]
    subprocess.run([*command, "-c", *map(str, sorted(SOURCES.glob("*.c")))], cwd=folder, check=True, capture_output=True)
    objects = sorted(folder.glob("*.o"))
    linked = folder / "engine.elf"
    whole = ["-Wl,--no-gc-sections", "-Wl,--entry=engine_load", *map(str, objects), "-lm", "-o", str(linked)]
    subprocess.run([*command, *whole], check=True, capture_output=True)
    sections = _sections(linked)
    own = sum(_read_only(_sections(each)) for each in objects)
    code = _read_only(sections)
    return EngineSize(
        code_bytes=code, helpers_bytes=code - own, data_bytes=sections.get(".data", 0), bss_bytes=sections.get(".bss", 0)
    )


def _read_only(sections: dict[str, int]) -> int:
    return sum(size for name, size in sections.items() if name.startswith(READ_ONLY))


def _sections(program: Path) -> dict[str, int]:
    told = subprocess.run(["arm-none-eabi-size", "-A", str(program)], check=True, capture_output=True, text=True)
    rows = (line.split() for line in told.stdout.splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 3 and row[0].startswith(".")}
