"""Two boards whose ports change places: the one that the inventory means is used, or none."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.swapped_ports import Ports, tried
from edgepipe.devices.boards.mcu import McuBoard
from edgepipe.devices.inventory import DeviceEntry, FakeLink, SerialLink
from edgepipe.devices.session import Session, unidentified, unpinned
from edgepipe.devices.transports.serial import SerialTransport
from edgepipe.errors import DeviceBusy, WrongBoard


def test_a_board_that_is_pinned_is_the_right_one_or_refused(tmp_path: Path, program: Path) -> None:
    pinned, loose = (
        sum(map(Counter, tried(tmp_path, program.parent, 16, pinned=pinned).values()), Counter()) for pinned in (True, False)
    )
    assert pinned["right"] and pinned["refused"]
    assert not pinned["wrong"] and not pinned["refused in vain"]
    assert loose["wrong"]  # the ports do change places


def test_two_names_that_lead_to_one_board_are_held_by_one_of_them(tmp_path: Path, program: Path) -> None:
    with ExitStack() as held:
        ports = Ports(tmp_path, program.parent, held)
        ports.lead(0, 0)
        first, second = (
            held.enter_context(
                closing(McuBoard(name, SerialTransport(name, f"usb-{name}", 921_600, folder=tmp_path), lock_folder=tmp_path))
            )
            for name in ("m4", "m7")
        )
        first.open()
        with pytest.raises(DeviceBusy, match="usb-m7 is open in another program"):
            second.open()
        first.close()
        second.open()


def test_the_inventory_pins_a_board_by_what_it_says_of_itself() -> None:
    entry = DeviceEntry(name="ghost", board="mcu", target="mcu", transport=FakeLink(), board_id="another-fake")
    with (
        pytest.raises(WrongBoard, match='ghost should be the board "another-fake", but "fake-ghost-fake" is on its line') as raised,
        Session(entry),
    ):
        pass
    assert raised.value.exit_code == 4
    assert "Nothing was sent" in raised.value.todo
    with Session(replace(entry, board_id="fake-ghost-fake")) as session:
        assert session.identity.serial == "fake-ghost-fake"


def test_a_board_of_which_only_the_port_is_known_is_measured_with_a_warning() -> None:
    loose = DeviceEntry(name="m4", board="mcu", target="mcu", transport=SerialLink(by_id="usb-1"))
    found = replace(unidentified(loose), serial="0042-nucleo")
    assert "board_id: 0042-nucleo in the inventory" in unpinned(loose, found)
    assert unpinned(replace(loose, board_id="0042-nucleo"), found) == ""
    assert unpinned(loose, unidentified(loose)) == ""
    assert unpinned(replace(loose, transport=FakeLink()), found) == ""
