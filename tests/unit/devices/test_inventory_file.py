"""Boards enter and leave an inventory; what a person wrote there stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgepipe.devices.inventory import read_inventory
from edgepipe.devices.inventory_file import add_device, remove_device
from edgepipe.errors import InventoryError

ROOT = Path(__file__).parents[3]
ENTRY = {
    "board": "linux",
    "target": "pi",
    "labels": {"lab": "a"},
    "transport": {"kind": "ssh", "host": "pi4.lab", "user": "edge", "host_key": "ssh-ed25519 AAAA"},
}
TABLE = """\
schema: 1   # the first
# our boards
devices:
  local:   {board: linux, target: host, transport: {kind: local}}   # this machine
  ghost:   {board: fake, target: pi,
            transport: {kind: fake}}

# what comes after them
defaults: {blocks: 7}
"""
BRACES = """\
schema: 1
devices: {local: {board: linux, target: host, transport: {kind: local}}}  # ours
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "farm_inventory.yaml"
    path.write_text(text)
    return path


def test_a_board_is_added_below_the_last_one_and_no_other_line_changes(tmp_path: Path) -> None:
    path = write(tmp_path, TABLE)
    add_device(path, "pi4", ENTRY)
    lines = path.read_text().splitlines(keepends=True)
    at = lines.index("  pi4:\n")
    assert "".join(lines[:at]) == TABLE[: TABLE.index("\n# what")]
    assert "".join(lines[-3:]) == TABLE[TABLE.index("\n# what") :]
    assert read_inventory(path).devices["pi4"].labels == {"lab": "a"}


@pytest.mark.parametrize(
    "text", [TABLE, TABLE.rstrip("\n"), (ROOT / "farm_inventory.yaml").read_text()], ids=["table", "cut", "sample"]
)
def test_what_is_added_and_removed_again_leaves_the_file_as_it_was(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    add_device(path, "pi4", ENTRY, comment="rented until May")
    assert "# rented until May" in path.read_text()
    remove_device(path, "pi4")
    assert path.read_text() == text


def test_comments_stay_where_boards_stand_between_braces(tmp_path: Path) -> None:
    path = write(tmp_path, BRACES)
    add_device(path, "pi4", ENTRY)
    assert list(read_inventory(path).devices) == ["local", "pi4"]
    assert "# ours" in path.read_text()
    remove_device(path, "local")
    assert list(read_inventory(path).devices) == ["pi4"]


def test_a_file_that_is_missing_is_made_with_this_machine_in_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "farm_inventory.yaml"
    add_device(path, "pi4", ENTRY)
    assert list(read_inventory(path).devices) == ["local", "pi4"]


def test_a_board_is_replaced_only_where_that_was_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path, TABLE)
    add_device(path, "pi4", ENTRY)
    with pytest.raises(InventoryError, match='has a device "pi4" already'):
        add_device(path, "pi4", ENTRY)
    add_device(path, "pi4", {**ENTRY, "target": "host"}, replace=True)
    assert read_inventory(path).devices["pi4"].target == "host"


def test_nothing_is_written_that_could_not_be_read_again(tmp_path: Path) -> None:
    path = write(tmp_path, TABLE)
    with pytest.raises(InventoryError, match="trget"):
        add_device(path, "pi4", {"board": "linux", "trget": "pi", "transport": {"kind": "local"}})
    assert path.read_text() == TABLE
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("value", ["a: b", "# no comment", "{x}", "'", '"', "yes", "null", "1", "é\n", "*alias", "&anchor", "- x"])
def test_a_label_comes_back_as_it_went_in(tmp_path: Path, value: str) -> None:
    path = write(tmp_path, TABLE)
    add_device(path, "pi4", {**ENTRY, "labels": {"note": value}})
    assert read_inventory(path).devices["pi4"].labels == {"note": value}


def test_what_is_not_there_and_what_is_the_only_one_cannot_be_removed(tmp_path: Path) -> None:
    path = write(tmp_path, BRACES)
    with pytest.raises(InventoryError, match='Perhaps you meant "local"'):
        remove_device(path, "locla")
    with pytest.raises(InventoryError, match="only device"):
        remove_device(path, "local")
    assert path.read_text() == BRACES
