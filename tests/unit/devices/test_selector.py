"""Boards are chosen by name, glob and label."""

from __future__ import annotations

import pytest

from edgepipe.devices.inventory import DeviceEntry, FakeLink, Inventory, LocalLink, QemuLink
from edgepipe.devices.selector import select, select_one
from edgepipe.errors import UsageError

FARM = Inventory(
    devices={
        name: DeviceEntry(name=name, board="fake", target="pi", transport=FakeLink(), labels=labels)
        for name, labels in (("pi4-a", {"lab": "a"}), ("pi4-b", {"lab": "b"}), ("pi5", {"lab": "a", "cooled": "yes"}))
    }
)


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("pi5", ["pi5"]),
        ("pi4-*", ["pi4-a", "pi4-b"]),
        ("lab=a", ["pi4-a", "pi5"]),
        ("cooled=*", ["pi5"]),
        ("target=pi", ["pi4-a", "pi4-b", "pi5"]),
        ("pi5, pi4-a", ["pi4-a", "pi5"]),
        ("pi5,lab=a,*", ["pi4-a", "pi4-b", "pi5"]),
        ("local,pi5", ["local", "pi5"]),
        ("pi4-*+lab=a", ["pi4-a"]),
        ("lab=a + target=pi", ["pi4-a", "pi5"]),
        ("lab=a+cooled=yes,pi4-b", ["pi4-b", "pi5"]),
        ("kind=fake+emulated=yes+lab=b", ["pi4-b"]),
    ],
)
def test_a_selector_means_boards_in_the_inventorys_order(selector: str, names: list[str]) -> None:
    assert [entry.name for entry in select(FARM, selector)] == names


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        ("pi4_a", 'Perhaps you meant "pi4-a"?'),
        ("lab=c", "has the values a, b"),
        ("lap=a", 'Perhaps you meant "lab"?'),
        ("pi5,nothing-like-it", "Known here: pi4-a, pi4-b, pi5"),
        ("lab=a+pi4-b", "no device has all of it"),
        ("lab=a+cooledd=yes", 'Perhaps you meant "cooled"?'),
        (" , ", "no device was named"),
    ],
)
def test_what_means_no_board_is_answered_with_what_there_is(selector: str, words: str) -> None:
    with pytest.raises(UsageError) as raised:
        select(FARM, selector)
    assert words in str(raised.value)


def test_a_kind_is_that_of_the_board_or_of_its_transport() -> None:
    boards = {"m4": ("mcu", QemuLink(machine="mps2-an386")), "pi": ("linux", LocalLink())}
    farm = Inventory(
        devices={name: DeviceEntry(name=name, board=board, target="pi", transport=link) for name, (board, link) in boards.items()}  # type: ignore[arg-type]
    )
    assert [entry.name for entry in select(farm, "kind=mcu")] == ["m4"]
    assert [entry.name for entry in select(farm, "kind=qemu")] == ["m4"]
    assert [entry.name for entry in select(farm, "kind=local")] == ["pi"]


def test_one_board_is_one_and_several_are_refused_by_name() -> None:
    assert select_one(FARM, "pi5").name == "pi5"
    with pytest.raises(UsageError, match='"lab=a" means 2 devices') as refused:
        select_one(FARM, "lab=a")
    assert refused.value.problems == ("pi4-a", "pi5")
