"""Boards made of this machine join the inventory when they start and leave it when they end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgepipe.devices import virtual_board
from edgepipe.devices.inventory import load_inventory
from edgepipe.devices.inventory_file import add_device, inventory_file, remove_device
from edgepipe.devices.virtual_board import Running
from edgepipe.events import Emit, Note


def up(name: str, *, inventory: Path | None = None, emit: Emit) -> Running:
    """Start a virtual board and write it into the inventory. Raises UsageError with everything that this machine lacks."""
    virtual_board.known(name)
    path = inventory_file(inventory)
    board = virtual_board.start(name, emit)
    add_device(path, name, _entry(board), comment="until edgepipe farm down", replace=True)
    emit(Note(text=f"{name} stands in {path}"))
    return board


def down(name: str, *, inventory: Path | None = None) -> bool:
    """End a virtual board and take it out of the inventory; returns whether it ran."""
    ran = virtual_board.stop(name)
    path = inventory_file(inventory)
    if path.exists() and name in load_inventory(path).devices:
        remove_device(path, name)
    return ran


def _entry(board: Running) -> dict[str, Any]:
    link = {
        "kind": "ssh",
        "host": "127.0.0.1",
        "user": board.user,
        "port": board.port,
        "key": board.key,
        "host_key": board.host_key,
    }
    target = "pi" if board.emulated else "host"
    emulated = {"emulated": True} if board.emulated else {}
    return {"board": "linux", "target": target, "labels": {"virtual": "yes"}, **emulated, "transport": link}
