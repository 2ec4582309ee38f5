"""Every port says how far it was tried, and that is what these tests do to it."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from benchmarks import result
from edgepipe.cli.flash import flash
from edgepipe.devices import firmware_build
from edgepipe.devices.firmware_build import PORTS, FirmwarePort, PortStatus
from edgepipe.errors import InfrastructureError, UsageError

PROJECT = Path(__file__).resolve().parents[2]
ROOT = PROJECT / "devices" / "firmware" / "port"
STAND_INS = Path(__file__).parent / "stand_ins"
ARM = "arm-none-eabi-"


def of(status: PortStatus) -> list[FirmwarePort]:
    return [port for port in PORTS.values() if port.status is status]


def needs(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}: apt-get install cmake gcc-arm-none-eabi libnewlib-arm-none-eabi")


@pytest.mark.parametrize("port", PORTS.values(), ids=PORTS)
def test_a_port_stays_below_150_lines(port: FirmwarePort) -> None:
    for folder in set(port.folders) - {"cortex_m"}:  # which is no board's own
        lines = sum(len(path.read_text().splitlines()) for path in (ROOT / folder).glob("*.[ch]"))
        assert 0 < lines < 150


def test_the_manual_tells_every_port_with_its_status() -> None:
    manual = (PROJECT / "docs" / "microcontrollers.md").read_text()
    told = dict(re.findall(r"^\| `([^`]+)` \| [^|]+ \| (\w+) \|", manual, re.MULTILINE))
    assert told == {port.name: str(port.status) for port in PORTS.values()}


def test_the_help_tells_every_hardware_with_its_status() -> None:
    told = dict(re.findall(r"([\w-]+) \((\w+)\)", (flash.__doc__ or "").partition("how far")[2]))
    assert told == {port.board: str(port.status) for port in PORTS.values()}


def test_no_two_ports_are_of_the_same_board() -> None:
    assert len({port.board for port in PORTS.values()}) == len(PORTS)


@pytest.mark.parametrize("port", of(PortStatus.COMPILED), ids=lambda port: port.name)
def test_a_compiled_port_is_built_and_begins_with_its_stack_and_its_first_instruction(port: FirmwarePort, tmp_path: Path) -> None:
    needs(port.compiler, f"{ARM}objcopy")
    firmware = firmware_build.build(port.name, folder=tmp_path)
    subprocess.run([f"{ARM}objcopy", "-O", "binary", firmware.path, tmp_path / "flash.bin"], check=True)
    image = (tmp_path / "flash.bin").read_bytes()
    stack, start = struct.unpack_from("<II", image)
    places = dict(re.findall(r"(\w+)=(0x[0-9a-f]+)", " ".join(port.flags)))
    origin, ram = int(places["CODE_ORIGIN"], 16), int(places["RAM_ORIGIN"], 16)
    assert stack == ram + int(places["RAM_LENGTH"], 16)
    assert origin < start < origin + len(image)
    assert start & 1  # a Cortex-M has Thumb instructions only
    for text in (port.board, firmware.build):
        assert text.encode() in image


def test_a_line_that_the_chip_cannot_have_is_refused_as_the_firmware_is_built(tmp_path: Path) -> None:
    needs("arm-none-eabi-gcc")
    with pytest.raises(InfrastructureError) as told:
        firmware_build.build("stm32l4", folder=tmp_path, flags=("-DBAUD=300u",))
    assert any("an LPUART cannot run at this baud rate" in line for line in told.value.problems)


def test_a_port_of_an_sdk_is_not_built_here_but_told_how(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is built with the Pico SDK") as told:
        firmware_build.build("pico", folder=tmp_path)
    assert re.search(r"cmake -S \S+/pico -B build", told.value.todo)


def test_the_picos_project_fits_the_sdk_as_it_is_documented(tmp_path: Path) -> None:
    """With a stand-in for the SDK: every source compiles for a Cortex-M0+ without a warning. It proves nothing of the real SDK."""
    needs("cmake", "arm-none-eabi-gcc")
    sdk = f"-DPICO_SDK_PATH={STAND_INS / 'pico-sdk'}"
    for command in (["cmake", "-S", ROOT / "pico", "-B", tmp_path, sdk], ["cmake", "--build", tmp_path]):
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    image = (tmp_path / "edgepipe").read_bytes()
    assert b"raspberry-pi-pico" in image


def test_the_picos_project_says_what_it_needs(tmp_path: Path) -> None:
    needs("cmake")
    ran = subprocess.run(
        ["cmake", "-S", ROOT / "pico", "-B", tmp_path], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"}
    )
    assert ran.returncode
    assert "PICO_SDK_PATH must lead to the Pico SDK" in ran.stderr


@pytest.mark.parametrize("port", [*of(PortStatus.COMPILED), *of(PortStatus.UNTESTED)], ids=lambda port: port.name)
def test_a_port_that_was_never_run_gets_no_figures(port: FirmwarePort) -> None:
    for figures in ({port.name: 1.0}, {"runs": [{"device": port.board}]}):
        with pytest.raises(ValueError, match=port.name):
            result.write("never", "none", figures)
    assert not (result.FOLDER / "never.json").exists()
