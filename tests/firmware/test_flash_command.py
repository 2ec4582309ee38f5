"""`edgepipe flash` as a person types it: a board on another machine's line, a tool of the user's own, a real build."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest

from edgepipe.devices import firmware_build
from edgepipe.devices.firmware_build import PORTS
from edgepipe.devices.transports.serial_line import TtyLine
from tests.commandline import EDGEPIPE, Command
from tests.firmware.flashable import FlashableBoard, install
from tests.firmware.line_server import served

SOON = 20.0


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Path]:
    """A folder with an inventory, where edgepipe is run; the board `m4` has an older firmware."""
    if shutil.which("gcc") is None:
        pytest.skip("the firmware's tests need a C compiler: apt-get install gcc")
    bench = tmp_path / "bench"
    bench.mkdir()
    install(tmp_path / "bin", bench, "own-tool")
    board = FlashableBoard(bench, "A1B2", tmp_path / "tty", firmware_build.build("host", flags=("-O0", "-DOLD")).path)
    tool = f'{{tool: command, probe: A1B2, command: [{tmp_path}/bin/own-tool, write, "{{file}}", "{{serial}}"], list: %s}}'
    tool %= f"[{tmp_path}/bin/own-tool, list]"
    pyocd = "flash: {tool: pyocd, probe: 066B}"
    with served(TtyLine(tmp_path / "tty"), "socket") as server:
        link = f"{{kind: serial, url: '{server.url}', baud: 921600}}"
        (tmp_path / "farm_inventory.yaml").write_text(
            "schema: 1\ndevices:\n"
            f"  m4: {{board: mcu, target: mcu, hardware: host, board_id: host-host, transport: {link}, flash: {tool}}}\n"
            "  nucleo: {board: mcu, target: mcu, hardware: nucleo-l4r5zi, protocol: mlperf-tiny, energy_mode: true, "
            f"transport: {link.replace('921600', '9600')}, {pyocd}}}\n"
            "  m4-qemu: {board: mcu, target: mcu, transport: {kind: qemu, machine: mps2-an386}, emulated: true}\n"
        )
        yield tmp_path
    board.close()


def commands(table: Path) -> list[list[str]]:
    log = table / "bench" / "ran"
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def test_a_board_is_built_for_written_and_asked(table: Path, edgepipe: Command) -> None:
    done = edgepipe("flash", "m4", "--json")
    assert done.code == 0, done.err
    assert done.json["before"]["build"] != done.json["after"]["build"]
    assert Path(done.json["file"]).name == f"host-{done.json['after']['build']}.elf"
    assert commands(table)[-1] == ["own-tool", "write", done.json["file"], "A1B2"]
    again = edgepipe("flash", "m4")
    assert again.out.strip() == f"m4 runs build {done.json['after']['build']} on host-host"
    assert "had this very build before" in again.err and "had this very build before" not in done.err


def test_a_dry_run_shows_the_command_and_touches_nothing(table: Path, edgepipe: Command) -> None:
    shown = edgepipe("flash", "nucleo", "--dry-run", "--quiet")
    if shutil.which("arm-none-eabi-gcc"):
        assert shown.out.startswith("pyocd load --no-wait --uid 066B ")
        assert "/stm32l4-" in shown.out
        built = next(Path(word) for word in shown.out.split() if "/stm32l4-" in word).read_bytes()
        assert b"m-timestamp-mode-energy" in built and b"m-timestamp-mode-performance" not in built
    shown = edgepipe("flash", "nucleo", "--dry-run", "--file", "my.elf", "--json")
    assert shown.json["command"][-1] == str(table / "my.elf")
    assert shown.json["dry_run"] is True
    assert commands(table) == []


def test_what_cannot_be_flashed_is_a_mistake_of_the_command(table: Path, edgepipe: Command) -> None:
    for arguments, words in (
        (["m4-qemu"], "m4-qemu is emulated"),
        (["m4*"], '"m4*" means 2 devices'),
        (["m4", "--file", "gone.elf"], "cannot read"),
        (["nowhere"], "has no such device"),
    ):
        refused = edgepipe("flash", *arguments)
        assert (refused.code, words in refused.err) == (2, True), refused.err
    assert commands(table) == []


def test_ctrl_c_ends_the_tool_too(table: Path) -> None:
    (table / "bench" / "hangs").touch()
    running = subprocess.Popen([*EDGEPIPE, "flash", "m4", "--quiet"], cwd=table, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    end = monotonic() + SOON
    while not any("write" in command for command in commands(table)):
        assert monotonic() < end
        sleep(0.05)
    tool = int((table / "bench" / "tool-pid").read_text())
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=SOON)
    assert running.returncode == 130
    assert b"stopped while m4 was written" in err and b"may have half a firmware" in err
    with pytest.raises(ProcessLookupError):
        os.kill(tool, 0)


def test_every_port_is_listed_with_how_far_it_was_tried(edgepipe: Command) -> None:
    listed = edgepipe("farm", "ports", "--json").json["ports"]
    assert [(port["hardware"], port["status"]) for port in listed] == [(port.board, str(port.status)) for port in PORTS.values()]
    assert "untested: an example; never tried" in edgepipe("farm", "ports").out
