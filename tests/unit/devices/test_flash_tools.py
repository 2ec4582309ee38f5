"""The command lines of the tools that write flash, and what the inventory may say of each."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from edgepipe.devices.flashing import TOOLS, FlashEntry
from edgepipe.devices.flashing.image import image_bytes
from edgepipe.devices.flashing.pyocd import PyOcd
from edgepipe.devices.flashing.tool import Order, Probe
from edgepipe.devices.flashing.usb import connected
from edgepipe.devices.inventory import read_inventory
from edgepipe.devices.inventory_schema import inventory_schema
from edgepipe.documents import read_yaml
from edgepipe.errors import InventoryError, UsageError

ENTRIES = {
    "pyocd": "{tool: pyocd, probe: 066BFF01, chip: stm32l4r5zi}",
    "openocd": "{tool: openocd, probe: 066BFF01, config: [interface/stlink.cfg, target/stm32l4x.cfg]}",
    "esptool": '{tool: esptool, probe: "7c:df:a1:e0:00:54", chip: esp32s3, offset: 0x10000}',
    "picotool": "{tool: picotool, probe: E66058388355592C}",
    "west": "{tool: west, probe: 066BFF01, build: /zephyr/build, runner: pyocd}",
    "command": '{tool: command, probe: 066BFF01, command: [my-flasher, "--at={serial}", "--on={line}", "{file}"]}',
}
COMMANDS = {
    "pyocd": ["pyocd", "load", "--no-wait", "--uid", "ID", "--target", "stm32l4r5zi", "/f.elf"],
    "openocd": [
        *("openocd", "-f", "interface/stlink.cfg", "-f", "target/stm32l4x.cfg"),
        *("-c", "gdb_port disabled; tcl_port disabled; telnet_port disabled"),
        *("-c", "adapter serial ID", "-c", "program {/f.elf} verify reset exit"),
    ],
    "esptool": ["esptool", "--chip", "esp32s3", "--port", "/dev/x", "write_flash", "0x10000", "/f.elf"],
    "picotool": ["picotool", "load", "-v", "-x", "/f.elf", "--ser", "ID", "-f"],
    "west": ["west", "flash", "--skip-rebuild", "--build-dir", "/zephyr/build", "--runner", "pyocd", "--dev-id", "ID"],
    "command": ["my-flasher", "--at=ID", "--on=/dev/x", "/f.elf"],
}


def read(folder: Path, flash: str) -> FlashEntry:
    path = folder / "farm.yaml"
    link = "transport: {kind: serial, by_id: usb-a}"
    path.write_text(f"schema: 1\ndevices:\n  m4: {{board: mcu, target: mcu, {link}, flash: {flash}}}\n")
    found = read_inventory(path).devices["m4"].flash
    assert found is not None
    return found


def schema_takes(folder: Path) -> bool:
    """Whether the JSON Schema takes the inventory that `read` was given last."""
    return Draft202012Validator(inventory_schema()).is_valid(read_yaml(folder / "farm.yaml"))


def test_every_tool_of_the_table_is_tried_here() -> None:
    assert set(ENTRIES) == set(COMMANDS) == set(TOOLS)


@pytest.mark.parametrize("name", list(TOOLS))
def test_a_tool_addresses_the_probe_and_the_file_that_it_is_told(tmp_path: Path, name: str) -> None:
    tool = read(tmp_path, ENTRIES[name])
    assert tool.probe
    assert schema_takes(tmp_path)
    assert list(tool.writing(Order(file=Path("/f.elf"), probe="ID", line="/dev/x"))) == COMMANDS[name]


def test_the_manual_has_an_entry_of_every_tool_that_is_read(tmp_path: Path) -> None:
    manual = (Path(__file__).parents[3] / "docs" / "microcontrollers.md").read_text()
    shown = re.findall(r"^\| `(\{tool: .*?\})` \|", manual, re.MULTILINE)
    assert [read(tmp_path, entry).tool for entry in shown] == list(TOOLS)


@pytest.mark.parametrize(
    ("flash", "problem"),
    [
        ("{}", "flash needs a tool."),
        ("pyocd", "flash needs a tool."),
        ("{tool: pyodc}", 'unknown tool "pyodc". Perhaps you meant "pyocd"?'),
        ("{tool: pyocd, prob: a}", 'unknown key "prob". Perhaps you meant "probe"?'),
        ("{tool: pyocd, probe: --all}", '"probe": string should match pattern'),
        ('{tool: openocd, probe: "a; shutdown", config: [a.cfg]}', '"probe": string should match pattern'),
        ("{tool: openocd}", '"config" is missing'),
        ("{tool: openocd, config: []}", '"config": '),
        ("{tool: openocd, config: [--version]}", '"config.0": '),
        ("{tool: openocd, config: a.cfg}", "\"config\": input should be a list (given: 'a.cfg')"),
        ("{tool: west}", '"build" is missing'),
        ("{tool: esptool, offset: -1}", '"offset": '),
        ("{tool: pyocd, timeout_s: 0}", '"timeout_s": '),
        ('{tool: command, command: [a, "{serial}"]}', '"command": one of its parts must hold {file}'),
        ('{tool: command, command: [a, "{file}"]}', '"command": one of its parts must hold {serial}'),
    ],
)
def test_what_is_wrong_with_an_entry_is_said(tmp_path: Path, flash: str, problem: str) -> None:
    with pytest.raises(InventoryError) as told:
        read(tmp_path, flash)
    assert told.value.problems[0].startswith(f"devices.m4.flash: {problem}")
    assert not schema_takes(tmp_path) or "must hold" in problem  # which a schema cannot say


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(InventoryError) as told:
        read(tmp_path, "{tool: esptool, offset: -1, chip: '', timeout_s: soon}")
    assert len(told.value.problems) == 3


def test_pyocds_list_is_read_and_what_is_none_is_refused() -> None:
    boards = [{"unique_id": "A1", "info": "ST-Link"}, {"unique_id": "B2"}]
    assert PyOcd().listed(json.dumps({"status": 0, "boards": boards})) == (Probe(id="A1", name="ST-Link"), Probe(id="B2"))
    for wrong in ("", "[]", '{"status": 0}', '{"status": 0, "boards": [1]}', '{"status": 1, "error": "no USB", "boards": []}'):
        with pytest.raises(ValueError):
            PyOcd().listed(wrong)


def test_a_chip_of_two_addresses_is_told_by_the_shorter(tmp_path: Path) -> None:
    """As esptool prints an ESP32-C6."""
    printed = "MAC:                60:55:f9:ff:fe:f6:2b:14\nBASE MAC:           60:55:f9:f6:2b:14\nMAC_EXT:            ff:fe\n"
    assert [probe.id for probe in read(tmp_path, ENTRIES["esptool"]).listed(printed)] == ["60:55:f9:f6:2b:14"]


def test_the_kernels_list_has_what_has_a_serial_number(tmp_path: Path) -> None:
    for name, values in {
        "1-1": {"serial": "A1\n", "idVendor": "0483\n", "idProduct": "374b\n"},
        "usb1": {"idVendor": "1d6b\n"},
    }.items():
        (tmp_path / name).mkdir()
        for key, value in values.items():
            (tmp_path / name / key).write_text(value)
    assert connected(tmp_path) == (Probe(id="A1", name="0483:374b"),)
    assert connected(tmp_path / "nowhere") == ()


def test_a_build_is_found_across_the_blocks_of_a_file(tmp_path: Path) -> None:
    text = bytes(range(250)) + b"0123456789ab" + bytes(300)
    blocks = [text[start : start + 256] for start in range(0, len(text), 256)]
    uf2 = tmp_path / "f.uf2"
    heads = [
        struct.pack("<8I", 0x0A324655, 0x9E5D5157, 0, 0, len(block), number, len(blocks), 0) for number, block in enumerate(blocks)
    ]
    uf2.write_bytes(b"".join((head + block).ljust(512, b"\0") for head, block in zip(heads, blocks, strict=True)))
    assert image_bytes(uf2) == text
    records = [bytes((255, 0, 0, 0)) + text[:255], bytes((2, 0, 255, 0)) + b"ab", bytes((0, 0, 0, 1))]
    path = tmp_path / "f.hex"
    path.write_text("".join(f":{(record + bytes((-sum(record) & 0xFF,))).hex().upper()}\n" for record in records))
    assert image_bytes(path) == text[:255] + b"ab"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("f.uf2", b"x" * 512),
        ("f.uf2", b"UF2\n"),
        ("f.hex", b":00000002\n"),
        ("f.hex", b"\xff"),
        ("f.elf", b""),
        ("f.bin", b"\x1c\0\0\0TFL3"),
        ("f.hex", b"00000001FF"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError) as found:
        image_bytes(tmp_path / name)
    assert "`edgepipe deploy`" in found.value.todo or "Build it again" in found.value.todo
    with pytest.raises(UsageError, match="cannot read"):
        image_bytes(tmp_path / "gone.elf")
