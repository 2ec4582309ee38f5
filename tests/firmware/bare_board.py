"""A model on an emulated board without the firmware, as exported C or as a file with the engine: its bytes and its ticks."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgepipe.devices.engine_plan import plan_of
from edgepipe.devices.firmware_build import FLAGS, PORTS
from edgepipe.devices.transports.qemu import COUNTED, PROGRAM
from tests.firmware.standalone_library import write

FIRMWARE = Path(__file__).resolve().parents[2] / "devices" / "firmware"
MAIN = Path(__file__).with_name("bare_main.c")
BOOT_S = 60.0


class Kind(StrEnum):
    """What runs the model."""

    NOTHING = "NOTHING"  # the program without a model
    INTERPRETER = "INTERPRETER"  # the engine with the .tflite in flash
    TRIMMED = "TRIMMED"  # the same with no other operators than the model's
    STANDALONE = "STANDALONE"  # exported C


@dataclass(frozen=True, kw_only=True)
class Answered:
    """Outputs and ticks of each row; bytes of the whole program."""

    outputs: list[bytes]
    ticks: list[int]
    flash_bytes: int
    ram_bytes: int


def run(kind: Kind, model: bytes, rows: Sequence[npt.NDArray[np.int8]], output_bytes: int, folder: Path, machine: str) -> Answered:
    """Build the program for the machine with the firmware's own flags, boot it and read its answers."""
    folder.mkdir(parents=True)
    flat = ",\n".join("{" + ", ".join(map(str, row.reshape(-1).tolist())) + "}" for row in rows)
    size = rows[0].size
    (folder / "rows.h").write_text(
        f"#include <stdint.h>\n#define ROWS {len(rows)}u\n#define ROW_BYTES {size}u\n#define OUTPUT_BYTES {output_bytes}u\n"
        f"static const int8_t ROWS_OF_INPUTS[{len(rows)}][{size}] = {{\n{flat}}};\n"
    )
    sources = _sources(kind, model, folder)
    port = PORTS[machine]
    places = [FIRMWARE / "port" / part for part in port.folders]
    elf = folder / "bare.elf"
    command = [
        port.compiler,
        *FLAGS,
        *port.flags,
        f"-D{kind}",
        f"-I{FIRMWARE}",
        f"-I{FIRMWARE / 'engine'}",
        f"-I{folder}",
        f"-I{folder / 'net'}",
    ]
    parts = [MAIN, *sources, *(path for place in places for path in sorted(place.glob("*.c")))]
    script = f"-T{FIRMWARE / 'port' / 'cortex_m' / 'memory.ld'}"
    built = subprocess.run([*command, script, *map(str, parts), "-o", str(elf)], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    counted = subprocess.run(["arm-none-eabi-size", str(elf)], capture_output=True, text=True, check=True)
    text, data, bss = map(int, counted.stdout.splitlines()[1].split()[:3])
    outputs, ticks = _boot(elf, machine)
    return Answered(outputs=outputs, ticks=ticks, flash_bytes=text + data, ram_bytes=data + bss)


def _sources(kind: Kind, model: bytes, folder: Path) -> list[Path]:
    if kind is Kind.STANDALONE:
        return write(model, folder / "net")
    if kind in (Kind.INTERPRETER, Kind.TRIMMED):
        plan = plan_of(model).plan
        assert plan is not None
        table = FIRMWARE / "engine" / "kernels.c"
        numbers = ", ".join(map(str, model))
        (folder / "model.h").write_text(
            f"#define ARENA_BYTES {plan.arena_bytes}u\nstatic const _Alignas(16) uint8_t MODEL[] = {{{numbers}}};\n"
        )
        others = [path for path in sorted((FIRMWARE / "engine").glob("*.c")) if path != table]
        return [*others, table if kind is Kind.INTERPRETER else _trimmed(table, {step.kernel for step in plan.steps}, folder)]
    return []


def _trimmed(table: Path, kernels: set[str], folder: Path) -> Path:
    """Write the table of operators with these only."""
    listed = "".join(f"    &{kernel},\n" for kernel in sorted(kernels))
    path = folder / table.name
    path.write_text(re.sub(r"(?<=kernels\[\] = \{\n).*?(?=\};)", listed, table.read_text(), flags=re.DOTALL))
    return path


def _boot(elf: Path, machine: str) -> tuple[list[bytes], list[int]]:
    """Return outputs and ticks; the emulator is ended as soon as the program says that it is done."""
    command = [PROGRAM, "-M", machine, "-kernel", str(elf), *COUNTED, "-display", "none", "-monitor", "none", "-serial", "stdio"]
    process = subprocess.Popen(["timeout", str(BOOT_S), *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        if line == "end\n":
            break
        lines.append(line.split())
    process.terminate()
    process.communicate()
    return [bytes.fromhex(output) for _, output in lines], [int(ticks, 16) for ticks, _ in lines]
