"""What every serial line promises, asked of each of them with the firmware at the other end."""

from __future__ import annotations

import os
import re
import subprocess
import tty
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import pytest

from edgepipe.devices.transports.fake_mcu import FakeMcu, FakeMcuTransport
from edgepipe.devices.transports.frame_link import FrameLink
from edgepipe.devices.transports.network_line import network_line
from edgepipe.devices.transports.serial_line import Line, TtyLine
from edgepipe.devices.transports.serial_upload import LineLimits, SerialUpload, Upload
from edgepipe.errors import DeviceUnreachable
from tests.firmware.emulated_board import in_qemu
from tests.firmware.host_board import HostBoard, firmware
from tests.firmware.line_server import served

SOON = 20.0
LIMITS = LineLimits(window_bytes=4096, payload_bytes=1024, baud=115_200)


@dataclass
class Wire:
    """A line, and what cuts it at the other end."""

    line: Line
    cut: Callable[[], None]


def over_pipe(folder: Path, held: ExitStack) -> Wire:
    board = HostBoard(firmware(folder))
    held.callback(board.close)
    return Wire(board, board.close)


def over_tty(folder: Path, held: ExitStack) -> Wire:
    program = firmware(folder)
    master, slave = os.openpty()
    tty.setraw(slave)
    process = subprocess.Popen([program], stdin=master, stdout=master)
    line = TtyLine(Path(os.ttyname(slave)))
    os.close(master)
    os.close(slave)

    def cut() -> None:
        process.kill()
        process.wait()

    held.callback(cut)
    return Wire(line, cut)


def over_network(scheme: str) -> Callable[[Path, ExitStack], Wire]:
    def made(folder: Path, held: ExitStack) -> Wire:
        board = HostBoard(firmware(folder))
        held.callback(board.close)
        server = held.enter_context(served(board, scheme))
        return Wire(network_line(server.url, 115_200, deadline_s=SOON), server.hang_up)

    return made


def over_qemu(folder: Path, held: ExitStack) -> Wire:
    transport = in_qemu("m4", folder)
    held.callback(transport.close)
    line = transport.open(deadline_s=SOON)
    emulator = transport._process
    assert emulator is not None
    return Wire(line, emulator.kill)


def in_memory(folder: Path, held: ExitStack) -> Wire:
    line = FakeMcuTransport(FakeMcu()).open(deadline_s=SOON)
    return Wire(line, line.close)


KINDS = {
    "fake": in_memory,
    "pipe": over_pipe,
    "tty": over_tty,
    "socket": over_network("socket"),
    "rfc2217": over_network("rfc2217"),
    "qemu": over_qemu,
}


@pytest.fixture(params=list(KINDS))
def wire(request: pytest.FixtureRequest, builds: Path) -> Iterator[Wire]:
    with ExitStack() as held:
        made = KINDS[request.param](builds, held)
        held.callback(made.line.close)
        yield made


def lines(line: Line, last: bytes = b"m-ready\r\n") -> bytes:
    said, end = b"", monotonic() + SOON
    while not said.endswith(last):
        assert monotonic() < end, said
        said += line.read(deadline_s=end - monotonic())
    return said


def asked(line: Line, command: bytes) -> bytes:
    line.write(command, deadline_s=SOON)
    return lines(line)


class TestLine:
    """The contract of `edgepipe.devices.transports.serial_line.Line`."""

    def test_what_is_written_is_answered_and_nothing_else_is_said(self, wire: Wire) -> None:
        FrameLink(wire.line, "board").hello(deadline_s=SOON)  # past whatever was said at boot
        assert re.fullmatch(rb"m-name-dut-\[(edgepipe|fake)\]\r\nm-ready\r\n", asked(wire.line, b"name%"))
        assert wire.line.read(deadline_s=0.05) == b""

    def test_every_byte_passes_unchanged_both_ways(self, wire: Wire) -> None:
        link = FrameLink(wire.line, "board")
        link.hello(deadline_s=SOON)
        upload = Upload(content=bytes(range(256)) * 20, name="bytes")
        assert SerialUpload(link, upload, LIMITS).run(deadline_s=SOON).began_at == 0
        assert asked(wire.line, b"profile%").endswith(b"m-model-[bytes]\r\nm-ready\r\n")

    def test_a_closed_line_is_unreachable_and_closes_twice(self, wire: Wire) -> None:
        wire.line.close()
        wire.line.close()
        with pytest.raises(DeviceUnreachable):
            wire.line.read(deadline_s=0.05)
        with pytest.raises(DeviceUnreachable):
            wire.line.write(b"name%", deadline_s=0.05)

    def test_a_line_that_is_cut_is_unreachable_long_before_any_deadline(self, wire: Wire) -> None:
        FrameLink(wire.line, "board").hello(deadline_s=SOON)
        wire.cut()
        began = monotonic()
        with pytest.raises(DeviceUnreachable):
            while monotonic() < began + SOON:
                wire.line.read(deadline_s=SOON)
        assert monotonic() < began + SOON / 2
