"""What C sources take of a chip's flash and RAM: compiled, cut down to what is called, and counted by the compiler's own tool."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgepipe.errors import InfrastructureError

FLAGS = (
    "-std=c99",
    "-O2",
    "-fno-pie",
    "-ffunction-sections",
    "-fdata-sections",
    "-fno-asynchronous-unwind-tables",
    "-ffp-contract=off",
)
COMPILE_S = 300.0


@dataclass(frozen=True, kw_only=True)
class Compiler:
    """A compiler with the flags that choose the machine; `name` is its command."""

    name: str
    machine: tuple[str, ...] = ()

    @property
    def size_tool(self) -> str:
        """The tool beside it that counts bytes."""
        return f"{self.name.removesuffix('gcc')}size" if self.name.endswith("gcc") else "size"

    @property
    def there(self) -> bool:
        """Whether it can be run here."""
        return shutil.which(self.name) is not None and shutil.which(self.size_tool) is not None

    def __str__(self) -> str:
        return " ".join((self.name, *(flag for flag in self.machine if flag.startswith("-mcpu")), "-O2"))


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """Bytes of code and constants, and of memory beside the stack; without what the C library brings (memcpy, memset)."""

    compiler: str
    flash_bytes: int
    ram_bytes: int


def footprint(sources: Sequence[Path], compiler: Compiler, entries: Sequence[str]) -> Footprint:
    """Return what the sources take when only `entries` are called from outside.

    Raises InfrastructureError where the compiler fails.
    """
    with tempfile.TemporaryDirectory(prefix="edgepipe-footprint-") as folder:
        whole = Path(folder) / "whole.o"
        roots = [f"-Wl,-u,{entry}" for entry in entries]
        command = [compiler.name, *compiler.machine, *FLAGS, "-r", "-nostdlib", "-Wl,--gc-sections", *roots]
        _run([*command, *map(str, sources), "-o", str(whole)])
        text, data, bss = _run([compiler.size_tool, "--format=berkeley", str(whole)]).splitlines()[1].split()[:3]
    return Footprint(compiler=str(compiler), flash_bytes=int(text) + int(data), ram_bytes=int(data) + int(bss))


def _run(command: Sequence[str]) -> str:
    ran = subprocess.run(command, capture_output=True, text=True, timeout=COMPILE_S, check=False)
    if ran.returncode:
        raise InfrastructureError(f"{command[0]} could not compile what was exported", problems=ran.stderr.splitlines()[:10])
    return ran.stdout
