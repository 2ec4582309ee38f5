"""Firmware goes into a board, and into no other: real lines, locks and programs; stand-ins for the tools that write flash."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from edgepipe.devices import firmware_build
from edgepipe.devices.flashing.openocd import OpenOcd
from edgepipe.devices.flashing.picotool import PicoTool
from edgepipe.devices.flashing.plan import FlashPlan, plan
from edgepipe.devices.flashing.tool import FlashTool
from edgepipe.devices.flashing.write import Flashed, write
from edgepipe.devices.inventory import DeviceEntry, read_inventory
from edgepipe.devices.transports.board_lock import BoardLock
from edgepipe.devices.transports.serial import SerialTransport
from edgepipe.errors import DeviceBusy, DeviceUnreachable, InfrastructureError, InventoryError, UsageError, WrongBoard
from tests.firmware.flashable import FlashableBoard, install

A, B = "066BFF01", "066BFF02"
OWN = '{tool: command, command: [own-tool, write, "{file}", "{serial}"], list: [own-tool, list], %s}'


@dataclass(frozen=True, kw_only=True)
class Images:
    """Firmware files of this machine: what a board had, what it gets, and the same of other boards."""

    old: Path
    new: Path
    other_serial: Path
    other_board: Path


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Images:
    if shutil.which("gcc") is None:
        pytest.skip("the firmware's tests need a C compiler: apt-get install gcc")
    folder = tmp_path_factory.mktemp("images")

    def built(*flags: str) -> Path:
        path = firmware_build.build("host", folder=folder, flags=("-O0", *flags)).path
        return path.rename(path.with_name(f"{len(list(folder.iterdir()))}.elf"))

    return Images(
        old=built("-DOLD"),
        new=built(),
        other_serial=built('-DHOST_NAMES=.board = "host", .cpu = "host", .serial = "two"'),
        other_board=built('-DHOST_NAMES=.board = "pico", .cpu = "host", .serial = "host"'),
    )


class Bench:
    """Boards on a table, a PATH with stand-ins for the tools, and an inventory."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.boards, self.bin = folder / "bench", folder / "by-id", folder / "bin"
        for each in (self.folder, self.boards):
            each.mkdir()
        self._live: list[FlashableBoard] = []

    def put(self, probe: str, line: str, program: Path | None) -> None:
        """Put a board down: its probe, the name of its line, what is in its flash."""
        self._live.append(FlashableBoard(self.folder, probe, self.boards / line, program))

    def entry(self, flash: str, line: str = "usb-a", more: str = "") -> DeviceEntry:
        """An inventory's entry for the board `m4`."""
        path = self.folder.parent / "farm.yaml"
        serial = f"transport: {{kind: serial, by_id: '{line}', baud: 921600}}"
        path.write_text(f"schema: 1\ndevices:\n  m4: {{board: mcu, target: mcu, {serial}, flash: {flash}, {more}}}\n")
        return read_inventory(path).devices["m4"]

    def flash(self, planned: FlashPlan, line: str = "usb-a", answer_s: float = 10.0) -> Flashed:
        """Write it, over the lines of this table."""
        transport = SerialTransport("m4", line, 921_600, folder=self.boards)
        return write(
            planned, transport=transport, usb_devices=self.folder.parent / "usb", lock_folder=self.boards, answer_s=answer_s
        )

    def holds(self, probe: str, image: Path) -> bool:
        """Whether this stands in a board's flash."""
        return (self.folder / probe / "flash").read_bytes() == image.read_bytes()

    def wrote(self) -> list[list[str]]:
        """The commands of the tools that would have written."""
        log = self.folder / "ran"
        lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return [line for line in lines if line[1] != "json" and line[-1] not in ("list", "read_mac")]

    def close(self) -> None:
        """Clear the table."""
        for board in self._live:
            board.close()


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    for name in ("pyocd", "esptool", "own-tool"):
        install(bench.bin, bench.folder, name)
    monkeypatch.setenv("PATH", str(bench.bin), prepend=":")
    yield bench
    bench.close()


def test_a_board_gets_the_firmware_and_answers_with_it(bench: Bench, images: Images) -> None:
    bench.put(A, "usb-a", images.old)
    done = bench.flash(plan(bench.entry(f'{{tool: pyocd, probe: "{A}", chip: stm32l4r5zi}}'), images.new))
    assert done.before and done.before.build != done.after.build
    assert (done.after.board, done.after.serial) == ("host", "host")
    assert bench.holds(A, images.new)
    assert bench.wrote() == [["pyocd", "load", "--no-wait", "--uid", A, "--target", "stm32l4r5zi", str(images.new)]]


def test_a_new_board_that_says_nothing_yet_is_told_by_its_probe(bench: Bench, images: Images) -> None:
    bench.put(A, "usb-a", None)
    bench.put(B, "usb-b", images.old)
    done = bench.flash(plan(bench.entry(f"{{tool: pyocd, probe: '{A.lower()}'}}"), images.new))
    assert done.before is None
    assert done.probe.id == A
    assert bench.holds(A, images.new) and bench.holds(B, images.old)


@pytest.mark.parametrize("tool", ["{tool: pyocd}", OWN % "timeout_s: 5"])
def test_without_a_name_for_the_probe_two_connected_are_a_refusal(bench: Bench, images: Images, tool: str) -> None:
    bench.put(A, "usb-a", images.old)
    bench.put(B, "usb-b", images.old)
    with pytest.raises(InventoryError, match="nothing says which probe is its own") as told:
        bench.flash(plan(bench.entry(tool), images.new))
    assert [A in problem or B in problem for problem in told.value.problems] == [True, True]
    assert bench.wrote() == []


def test_without_a_name_the_only_probe_counts_where_the_lines_name_tells_it_too(bench: Bench, images: Images) -> None:
    bench.put(A, f"usb-STLink_{A}-if02", images.old)
    named = plan(bench.entry("{tool: pyocd}", line=f"usb-STLink_{A}-if02"), images.new)
    assert bench.flash(named, line=f"usb-STLink_{A}-if02").probe.id == A
    bench.put(B, "usb-b", images.old)
    (bench.folder / A).rename(bench.folder.parent / "unplugged")
    with pytest.raises(InventoryError, match=f'probe: "{B}"'):
        bench.flash(named, line="usb-b")
    assert bench.holds(B, images.old)


def test_a_probe_that_is_not_there_or_is_part_of_another_is_a_refusal(bench: Bench, images: Images) -> None:
    bench.put(B, "usb-a", images.old)
    with pytest.raises(DeviceUnreachable, match=f'does not see the probe "{A}"') as told:
        bench.flash(plan(bench.entry(f'{{tool: pyocd, probe: "{A}"}}'), images.new))
    assert B in told.value.problems[0]
    with pytest.raises(DeviceUnreachable):
        bench.flash(plan(bench.entry(f'{{tool: pyocd, probe: "{B[:-1]}"}}'), images.new))
    bench.put(B + "77", "usb-b", images.old)  # pyOCD would take whichever it finds first
    with pytest.raises(WrongBoard, match="means 2 probes"):
        bench.flash(plan(bench.entry(f'{{tool: pyocd, probe: "{B}"}}'), images.new))
    assert bench.wrote() == []


@pytest.mark.parametrize(("which", "more"), [("other_serial", "board_id: host-host"), ("other_board", "hardware: host")])
def test_another_board_on_the_line_is_a_refusal_before_anything_is_written(
    bench: Bench, images: Images, which: str, more: str
) -> None:
    bench.put(A, "usb-a", getattr(images, which))
    with pytest.raises(WrongBoard, match="was not written to: another board is on its line") as told:
        bench.flash(plan(bench.entry(f'{{tool: pyocd, probe: "{A}"}}', more=more), images.new))
    assert told.value.exit_code == 4
    assert told.value.problems
    assert bench.wrote() == []


def test_a_probe_that_belongs_to_another_board_than_the_line_is_found_out(bench: Bench, images: Images) -> None:
    """The inventory is wrong: board B is written, which cannot be known before; board A answers, and not with what was written."""
    bench.put(A, "usb-a", images.old)
    bench.put(B, "usb-b", images.other_serial)
    with pytest.raises(WrongBoard, match="was written, but what answers on its line is something else") as told:
        bench.flash(plan(bench.entry(f'{{tool: pyocd, probe: "{B}"}}'), images.new))
    assert "its build is" in told.value.problems[-1]


def test_a_firmware_of_another_board_is_found_out(bench: Bench, images: Images) -> None:
    bench.put(A, "usb-a", images.old)
    with pytest.raises(WrongBoard, match="was written, but") as told:
        bench.flash(plan(bench.entry(f'{{tool: pyocd, probe: "{A}"}}'), images.other_board))
    assert told.value.problems[0] == 'its board should be "host", and is "pico"'


def test_a_board_that_stays_silent_afterwards_is_no_success(bench: Bench, images: Images, tmp_path: Path) -> None:
    broken = tmp_path / "broken.elf"
    broken.write_text("#!/bin/sh\nexec sleep 30\n")
    broken.chmod(0o755)
    bench.put(A, "usb-a", images.old)
    with pytest.raises(InfrastructureError, match="was written, and does not answer"):
        bench.flash(plan(bench.entry(f'{{tool: pyocd, probe: "{A}"}}'), broken), answer_s=0.2)


def test_a_tool_that_fails_says_its_last_words(bench: Bench, images: Images) -> None:
    bench.put(A, "usb-a", images.old)
    (bench.folder / "verify-fails").touch()
    with pytest.raises(InfrastructureError, match="pyocd failed \\(exit code 1\\)") as told:
        bench.flash(plan(bench.entry(f'{{tool: pyocd, probe: "{A}"}}'), images.new))
    assert told.value.problems == ("verify failed at 0x08000200",)
    assert "m4 may have half a firmware" in told.value.todo


def test_a_tool_that_hangs_is_ended(bench: Bench, images: Images) -> None:
    bench.put(A, "usb-a", images.old)
    (bench.folder / "hangs").touch()
    with pytest.raises(InfrastructureError, match=r"pyocd had not ended after 4 s") as told:
        bench.flash(plan(bench.entry(f'{{tool: pyocd, probe: "{A}", timeout_s: 4}}'), images.new))
    assert told.value.problems == ("connecting ...",)
    assert bench.holds(A, images.old)


def test_a_tool_that_is_not_installed_is_named_with_how_to_install_it(
    bench: Bench, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.put(A, "usb-a", images.old)
    monkeypatch.setenv("PATH", str(bench.folder))
    with pytest.raises(InfrastructureError, match="pyocd is not installed") as told:
        bench.flash(plan(bench.entry(f'{{tool: pyocd, probe: "{A}"}}'), images.new))
    assert "pip install pyocd" in told.value.todo


def test_a_board_that_somebody_holds_is_left_alone(bench: Bench, images: Images) -> None:
    bench.put(A, "usb-a", images.old)
    held = BoardLock("m4", "serial usb-a", folder=bench.boards)
    with pytest.raises(DeviceBusy):
        bench.flash(plan(bench.entry(f'{{tool: pyocd, probe: "{A}"}}'), images.new))
    held.free()
    assert bench.wrote() == []


def test_without_its_line_a_board_is_not_written(bench: Bench, images: Images) -> None:
    bench.put(A, "usb-a", images.old)
    with pytest.raises(DeviceUnreachable):
        bench.flash(plan(bench.entry(f'{{tool: pyocd, probe: "{A}"}}'), images.new), line="usb-gone")
    assert bench.wrote() == []


def test_a_tool_of_ones_own_is_told_file_and_serial_number(bench: Bench, images: Images) -> None:
    bench.put(A, "usb-a", images.old)
    bench.put(B, "usb-b", images.old)
    bench.flash(plan(bench.entry(OWN % f'probe: "{B}"', line="usb-b"), images.new), line="usb-b")
    assert bench.wrote() == [["own-tool", "write", str(images.new), B]]
    assert bench.holds(A, images.old) and bench.holds(B, images.new)


def test_an_esp_is_told_by_its_mac_address_on_its_own_line(bench: Bench, images: Images, tmp_path: Path) -> None:
    image = tmp_path / "merged.bin"
    shutil.copy(images.new, image)
    bench.put("54", "54", images.old)
    with pytest.raises(DeviceUnreachable, match="does not see the probe") as told:
        bench.flash(plan(bench.entry('{tool: esptool, probe: "7c:df:a1:e0:00:55"}', line="54"), image), line="54")
    assert told.value.problems == ("it sees 7c:df:a1:e0:00:54",)
    bench.flash(plan(bench.entry('{tool: esptool, probe: "7C:DF:A1:E0:00:54", offset: 65536}', line="54"), image), line="54")
    assert bench.wrote()[0][-3:] == ["write_flash", "0x10000", str(image)]
    assert bench.holds("54", images.new)


def test_what_the_kernel_lists_counts_for_tools_without_a_list(bench: Bench, images: Images, tmp_path: Path) -> None:
    bench.put(A, "usb-a", images.old)
    for number, (serial, product) in enumerate(((A, "0001"), (B, "0003"))):
        device = tmp_path / "usb" / str(number)
        device.mkdir(parents=True)
        for name, value in (("serial", serial), ("idVendor", "2e8a"), ("idProduct", product), ("product", "a board")):
            (device / name).write_text(value + "\n")
    tools: tuple[FlashTool, ...] = (OpenOcd(probe="gone", config=("a.cfg",)), PicoTool(probe=A))
    planned = plan(bench.entry('{tool: picotool, probe: "x"}'), images.new)
    with pytest.raises(DeviceUnreachable, match="openocd does not see"):
        bench.flash(replace(planned, tool=tools[0]))
    with pytest.raises(WrongBoard, match="waits in BOOTSEL mode"):
        bench.flash(replace(planned, tool=tools[1]))


def test_what_cannot_be_flashed_is_said_before_anything_is_touched(bench: Bench, images: Images) -> None:
    with pytest.raises(UsageError, match="does not take"):
        plan(bench.entry("{tool: esptool}"), images.new)
    with pytest.raises(UsageError, match="its entry does not say its hardware"):
        plan(bench.entry("{tool: pyocd}"))
    with pytest.raises(UsageError, match='no firmware for the hardware "toaster"'):
        plan(bench.entry("{tool: pyocd}", more="hardware: toaster"))
    with pytest.raises(InventoryError, match="does not say what writes"):
        plan(replace(bench.entry("{tool: pyocd}"), flash=None), images.new)
    with pytest.raises(UsageError, match="nothing that it is told to"):
        plan(bench.entry("{tool: west, build: b}"), images.new)
    with pytest.raises(UsageError, match="cannot be told the file"):
        plan(bench.entry("{tool: openocd, config: [a.cfg]}"), Path("a}; shutdown; {.elf")).command(A)
