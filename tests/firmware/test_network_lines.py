"""Boards of another machine: reached by a URL, held by it, and what goes wrong on the way is said."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest

from edgepipe.devices.boards.mcu import McuBoard
from edgepipe.devices.connect import connect
from edgepipe.devices.inventory import DeviceEntry, SerialLink
from edgepipe.devices.transports.frame_link import FrameLink
from edgepipe.devices.transports.network_line import network_line
from edgepipe.devices.transports.serial import NetworkTransport
from edgepipe.errors import DeviceBusy, DeviceUnreachable
from tests.firmware.host_board import HostBoard
from tests.firmware.line_server import LineServer, served

SOON = 10.0


@pytest.fixture(params=["socket", "rfc2217"])
def server(request: pytest.FixtureRequest, program: Path) -> Iterator[LineServer]:
    """The host's firmware on another machine, as it were."""
    board = HostBoard(program)
    with served(board, request.param) as made:
        yield made
    board.close()


@contextmanager
def listening(words: bytes, *, hangs_up: bool) -> Iterator[str]:
    """A server that says `words` to whoever comes, and then nothing or goodbye; yields host:port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            client, _ = listener.accept()
            with client:
                client.sendall(words)
                while not hangs_up and client.recv(4096):
                    pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        thread.join(SOON)


def entry(url: str) -> DeviceEntry:
    return DeviceEntry(name="far", board="mcu", target="mcu", transport=SerialLink(url=url, baud=230_400))


def test_a_board_of_another_machine_says_who_it_is(server: LineServer) -> None:
    board = connect(entry(server.url))
    board.open()
    assert (board.identify().cpu, board.identify().serial) == ("host", "host-host")
    board.close()
    assert server.baud == (230_400 if server.url.startswith("rfc2217") else 9600)  # bare TCP leaves the line as it is


def test_the_url_names_the_boards_lock(server: LineServer, tmp_path: Path) -> None:
    boards = [McuBoard("far", NetworkTransport(url, 115_200), lock_folder=tmp_path) for url in (server.url, server.url.upper())]
    boards[0].open()
    with pytest.raises(DeviceBusy, match=f"held by process {os.getpid()}"):
        boards[1].open()
    boards[0].close()


def test_who_refuses_is_told_from_who_does_not_speak_rfc_2217() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        place = f"127.0.0.1:{listener.getsockname()[1]}"
    for scheme in ("socket", "rfc2217"):
        with pytest.raises(DeviceUnreachable, match=f"{scheme}://{place} cannot be reached: .*refused") as raised:
            network_line(f"{scheme}://{place}", 115_200, deadline_s=SOON)
        assert "SSH tunnel" in raised.value.todo
    with (
        listening(b"login: ", hangs_up=False) as place,
        pytest.raises(DeviceUnreachable, match="not in RFC 2217") as raised,
    ):
        network_line(f"rfc2217://{place}", 115_200, deadline_s=SOON)
    assert "socket://" in raised.value.todo


def test_a_server_that_says_nothing_is_waited_for_no_longer_than_the_deadline() -> None:
    with listening(b"", hangs_up=False) as place:
        line, began = network_line(f"socket://{place}", 115_200, deadline_s=SOON), monotonic()
        with pytest.raises(DeviceUnreachable) as raised:
            FrameLink(line, "far").hello(deadline_s=0.2)
        line.close()
    assert "nothing at all came from it" in raised.value.cause
    assert monotonic() < began + SOON


def test_a_server_that_goes_in_the_middle_of_a_frame_is_gone() -> None:
    with listening(b"m-ready\r\n\0\1\x81\5\7", hangs_up=True) as place:
        line = network_line(f"socket://{place}", 115_200, deadline_s=SOON)
        with pytest.raises(DeviceUnreachable, match=f"socket://{place} is gone"):
            FrameLink(line, "far").hello(deadline_s=SOON)
        line.close()
