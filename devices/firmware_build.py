"""The firmware, built from the sources that come with edgepipe: once for each port and each change of a source."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from importlib import resources
from pathlib import Path

from edgepipe.errors import InfrastructureError, UsageError
from edgepipe.places import cache_dir, storage_errors

FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-ffp-contract=off")
COMMON_FOLDERS = ("frame", "core", "text", "engine")
# Time stamps of the text protocol are edges of the marker, at the rate that MLPerf Tiny has for it.
ENERGY_MODE, ENERGY_BAUD = ("-DEDGEPIPE_ENERGY_MODE",), 9600
CORTEX_M = ("-mthumb", "-ffunction-sections", "-fdata-sections", "-nostartfiles", "--specs=nosys.specs", "-Wl,--gc-sections")
COMPILE_S = 300.0
FULL_DISK = os.strerror(errno.ENOSPC)  # as compilers and linkers say it


class PortStatus(StrEnum):
    """How far a port was tried; only what runs counts for figures."""

    RUN = "run"  # tests run it
    COMPILED = "compiled"  # tests build it
    UNTESTED = "untested"  # an example


@dataclass(frozen=True, kw_only=True)
class Region:
    """A range of a board's addresses."""

    origin: int
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Where an emulated board has its line, its LEDs, and the memory that stands for flash."""

    uart: int
    fpgaio: int
    flash: int


@dataclass(frozen=True, kw_only=True)
class FirmwarePort:
    """What the firmware is built with for one board: `folders` below devices/firmware/port, `package` are Debian's of `compiler`.

    `hardware` is what the firmware calls its board, where that is not the port's name. With `sdk`, the board's own SDK builds it,
    as the CMake project in the port's folder says.
    """

    name: str
    hardware: str = ""
    status: PortStatus
    folders: tuple[str, ...]
    compiler: str = "arm-none-eabi-gcc"
    package: str = "gcc-arm-none-eabi libnewlib-arm-none-eabi"
    flags: tuple[str, ...] = ()
    sdk: str = ""

    @property
    def board(self) -> str:
        """What the firmware calls its board."""
        return self.hardware or self.name


def _mps(name: str, cpu: str, cpu_flags: tuple[str, ...], clock_hz: int, at: Addresses, code: Region, ram: Region) -> FirmwarePort:
    """Return the port of one of the boards that QEMU emulates."""
    defines = (
        *(f'-DBOARD_NAME="{name}"', f'-DCPU_NAME="{cpu}"', f"-DCLOCK_HZ={clock_hz}u"),
        *(f"-DUART0_ADDRESS={at.uart:#x}u", f"-DFPGAIO_ADDRESS={at.fpgaio:#x}u", f"-DFLASH_ADDRESS={at.flash:#x}u"),
    )
    flags = (*_cortex_m(cpu, cpu_flags, code, ram), *defines)
    return FirmwarePort(name=name, status=PortStatus.RUN, folders=("mps2", "cortex_m"), flags=flags)


def _cortex_m(cpu: str, cpu_flags: tuple[str, ...], code: Region, ram: Region) -> tuple[str, ...]:
    """Return the flags of a chip, with where port/cortex_m/memory.ld puts what."""
    places = {"CODE": code, "RAM": ram}
    linked = [
        f"-Wl,--defsym={key}_ORIGIN={place.origin:#x},--defsym={key}_LENGTH={place.size_bytes:#x}" for key, place in places.items()
    ]
    return (*CORTEX_M, f"-mcpu={cpu}", *cpu_flags, *linked)


MIB = 1 << 20
MPS2_CODE, MPS2_RAM = Region(origin=0, size_bytes=4 * MIB), Region(origin=0x2000_0000, size_bytes=4 * MIB)
STM32L4R5_RAM = Region(origin=0x2000_0000, size_bytes=640 << 10)
MPS2 = Addresses(uart=0x4000_4000, fpgaio=0x4002_8000, flash=0x2100_0000)
HARD_FLOAT = ("-mfloat-abi=hard", "-mfpu=fpv4-sp-d16")
HARD_FLOAT_V5 = ("-mfloat-abi=hard", "-mfpu=fpv5-sp-d16")
# The addresses and clocks of the machines are those of QEMU 7.2, hw/arm/mps2.c and mps2-tz.c.
PORTS = {
    port.name: port
    for port in (
        FirmwarePort(
            name="host",
            status=PortStatus.RUN,
            folders=("host", "host_flash", "host_marker"),
            compiler="gcc",
            package="gcc",
        ),
        _mps("mps2-an385", "cortex-m3", (), 25_000_000, MPS2, MPS2_CODE, MPS2_RAM),
        _mps("mps2-an386", "cortex-m4", HARD_FLOAT, 25_000_000, MPS2, MPS2_CODE, MPS2_RAM),
        _mps("mps2-an500", "cortex-m7", HARD_FLOAT_V5, 25_000_000, replace(MPS2, flash=0x6000_0000), MPS2_CODE, MPS2_RAM),
        _mps(
            "mps2-an505",
            "cortex-m33",
            HARD_FLOAT_V5,
            20_000_000,
            Addresses(uart=0x5020_0000, fpgaio=0x5030_2000, flash=0x8000_0000),
            Region(origin=0x1000_0000, size_bytes=4 * MIB),
            Region(origin=0x3800_0000, size_bytes=2 * MIB),
        ),
        _mps(
            "mps3-an547",
            "cortex-m55",
            ("-mfloat-abi=hard",),
            32_000_000,
            Addresses(uart=0x5930_3000, fpgaio=0x5930_2000, flash=0x6000_0000),
            Region(origin=0, size_bytes=MIB // 2),
            Region(origin=0x0100_0000, size_bytes=2 * MIB),
        ),
        FirmwarePort(
            name="stm32l4",
            hardware="nucleo-l4r5zi",
            status=PortStatus.COMPILED,
            folders=("stm32l4", "stm32l4_flash", "cortex_m"),
            # RM0432, memory map: bank 1 of the flash, the three SRAMs side by side.
            flags=_cortex_m("cortex-m4", HARD_FLOAT, Region(origin=0x0800_0000, size_bytes=MIB), STM32L4R5_RAM),
        ),
        FirmwarePort(
            name="pico",
            hardware="raspberry-pi-pico",
            status=PortStatus.UNTESTED,
            folders=("pico",),
            package="gcc-arm-none-eabi libnewlib-arm-none-eabi libstdc++-arm-none-eabi-newlib",
            flags=("-mthumb", "-mcpu=cortex-m0plus"),
            sdk="the Pico SDK",
        ),
    )
}


EMULATED = tuple(name for name in PORTS if name.startswith("mps"))  # QEMU's names of its machines


@dataclass(frozen=True, kw_only=True)
class Firmware:
    """A program for a board; `build` names the sources and flags that it is made of, and the board says it too."""

    path: Path
    build: str


def build(
    port_name: str,
    *,
    folder: Path | None = None,
    engine: Path | None = None,
    flags: tuple[str, ...] = (),
    linked: tuple[Path, ...] = (),
) -> Firmware:
    """Return the firmware for a port, from `folder` (None: the cache) where it was built before.

    `engine` is a folder of C sources in place of the built-in engine, `flags` are added, `linked` are objects and archives of C++.
    Raises UsageError for an unknown port, InfrastructureError where the compiler is missing or fails, StorageError.
    """
    port = built_here(port_name)
    with resources.as_file(resources.files("edgepipe.devices") / "firmware") as root:
        sources = [path for part in _folders(port, root, engine) for path in sorted(part.glob("*.c"))]
        command = [port.compiler, *FLAGS, *port.flags, *flags, f"-I{root}"]
        name = fingerprint(root, [*sources, *linked], command)
        path = (folder or cache_folder()) / f"{port.name}-{name}.elf"
        if not path.is_file():
            script = [f"-T{root / 'port' / 'cortex_m' / 'memory.ld'}"] if "cortex_m" in port.folders else []
            parts = [*map(str, [*sources, *linked]), *(["-lstdc++"] if linked else [])]
            compile_to(path, port, [*command, f'-DEDGEPIPE_BUILD="{name}"', *script, *parts])
    return Firmware(path=path, build=name)


def cache_folder() -> Path:
    """Return where firmware is kept that was built."""
    return cache_dir() / "firmware"


def built_here(port_name: str) -> FirmwarePort:
    """Return the port of this name. Raises UsageError for an unknown one, and for one that its SDK builds."""
    if port_name not in PORTS:
        raise UsageError(f'there is no firmware for "{port_name}"', todo=f"Known: {', '.join(PORTS)}.")
    port = PORTS[port_name]
    if port.sdk:
        with resources.as_file(resources.files("edgepipe.devices") / "firmware" / "port" / port.folders[0]) as folder:
            raise UsageError(
                f"the firmware for {port.board} is built with {port.sdk}, not by edgepipe",
                todo=f"cmake -S {folder} -B build && cmake --build build; then name what it made with --file.",
            )
    return port


def build_planner(*, folder: Path | None = None) -> Path:
    """Return the program of this machine that tells how the built-in engine would run a model. Raises as `build` does."""
    port = PORTS["host"]
    with resources.as_file(resources.files("edgepipe.devices") / "firmware") as root:
        sources = [path for part in ("engine", "planner") for path in sorted((root / part).glob("*.c"))]
        command = [port.compiler, *FLAGS, f"-I{root}"]
        path = (folder or cache_folder()) / f"planner-{fingerprint(root, sources, command)}"
        if not path.is_file():
            compile_to(path, port, [*command, *map(str, sources)], what="the built-in engine for this machine")
    return path


def _folders(port: FirmwarePort, root: Path, engine: Path | None) -> Iterator[Path]:
    yield from (root / folder for folder in COMMON_FOLDERS if engine is None or folder != "engine")
    yield from (root / "port" / folder for folder in port.folders)
    if engine is not None:
        yield engine


def fingerprint(root: Path, sources: list[Path], command: list[str]) -> str:
    """Return what changes with any source, header or flag, and with the compiler's version, since that changes the ticks."""
    digest = hashlib.sha256(repr([_version(command[0]), *(part for part in command if not part.startswith("-I"))]).encode())
    files = {*sources, *root.rglob("*.h"), *root.rglob("*.ld")}
    for path in sorted(files, key=lambda path: (path.name, str(path))):
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:12]


def _version(compiler: str) -> str:
    """Return what a compiler says of itself, "" where it is not installed."""
    if shutil.which(compiler) is None:
        return ""
    return subprocess.run([compiler, "--version"], capture_output=True, text=True, timeout=COMPILE_S, check=False).stdout


def compile_to(path: Path, port: FirmwarePort, command: list[str], *, what: str = "") -> None:
    """Write what a command of the port's compiler makes, whole or not at all. Raises InfrastructureError, StorageError.

    `what` is what messages call it, "": the port's firmware.
    """
    called = what or f"the firmware for {port.name}"
    if shutil.which(port.compiler) is None:
        raise InfrastructureError(
            f"{called} cannot be built: {port.compiler} is not installed",
            todo=f"On Debian and Ubuntu: apt-get install {port.package}",
        )
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".build-") as scratch:
            made = Path(scratch) / path.name
            try:
                ran = subprocess.run(  # Ctrl-C ends edgepipe: a compiler that it ended as well would have failed, to all appearance
                    [*command, "-lm", "-o", str(made)],
                    capture_output=True,
                    text=True,
                    timeout=COMPILE_S,
                    check=False,
                    start_new_session=True,
                )
            except subprocess.TimeoutExpired as exc:
                raise InfrastructureError(
                    f"{port.compiler} was not done with {called} after {COMPILE_S:g} s",
                    cause="the machine is very busy",
                ) from exc
            if ran.returncode and FULL_DISK in ran.stderr:
                raise OSError(errno.ENOSPC, FULL_DISK)
            if ran.returncode:
                raise InfrastructureError(
                    f"{called} could not be built",
                    problems=ran.stderr.splitlines()[:10],
                    cause=f"{port.compiler} is of another kind than edgepipe was tried with, or a part of it is not installed",
                    todo=f"On Debian and Ubuntu: apt-get install {port.package}",
                )
            with made.open("rb") as written:
                os.fsync(written.fileno())
            made.replace(path)
