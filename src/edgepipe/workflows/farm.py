"""The boards of an inventory: which there are and which answer, and how one joins or leaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgepipe.devices.connect import connect
from edgepipe.devices.enrol import HostKey, read_address, shown_host_key, ssh_entry
from edgepipe.devices.inventory import NAME, DeviceEntry, load_inventory
from edgepipe.devices.inventory_file import add_device, inventory_file, remove_device
from edgepipe.devices.selector import select
from edgepipe.errors import DeviceBusy, EdgepipeError, Interrupted, InventoryError, Stopped, UsageError
from edgepipe.events import Emit, Note, step

ANSWER_S = 20.0
AT_ONCE = 16


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A board of the inventory. `reachable`: yes, busy (so it answers), no, or unknown where nobody asked; `reason`: why not."""

    name: str
    board: str
    target: str
    transport: str
    emulated: bool
    labels: dict[str, str] = field(default_factory=dict)
    reachable: str = "unknown"
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Enrolled:
    """A board that was written into an inventory."""

    name: str
    inventory: Path
    fingerprint: str
    target: str


Agree = Callable[[str, HostKey], bool]
"""Asked with the address and the key that was shown there: is it the board's own?"""


def listing(*, device: str = "*", inventory: Path | None = None, ask: bool = True, emit: Emit) -> tuple[Listed, ...]:
    """Return the boards that the selector means; with `ask` each is opened, side by side, to see whether it answers."""
    entries = select(load_inventory(inventory), device)
    if not ask:
        return tuple(_listed(entry) for entry in entries)
    asking = f"ask {len(entries)} boards" if len(entries) > 1 else f"ask {entries[0].name}"
    with step(emit, asking), ThreadPoolExecutor(max_workers=AT_ONCE) as threads:
        return tuple(threads.map(_asked, entries))


def add(
    name: str,
    address: str,
    *,
    key: Path | None = None,
    labels: Mapping[str, str] = {},
    target: str = "pi",
    inventory: Path | None = None,
    agree: Agree,
    emit: Emit,
) -> Enrolled:
    """Write a board into the inventory, its host key pinned, once `agree` says that the key is the board's.

    Raises UsageError, InventoryError, DeviceUnreachable; Interrupted where `agree` says no. Nothing is written then.
    """
    if not NAME.fullmatch(name):
        raise UsageError(f'"{name}" is no name for a board', todo="Use letters, digits, dots, - and _.")
    where = read_address(address)
    path = inventory_file(inventory)
    if path.exists() and name in load_inventory(path).devices:
        raise InventoryError(f'{path} has a device "{name}" already', todo=f"Choose another name, or edgepipe farm remove {name}.")
    with step(emit, f"ask {where.host} who it is"):
        host_key = shown_host_key(where, deadline_s=ANSWER_S)
    if not agree(f"{where.host}:{where.port}", host_key):
        raise Interrupted(
            "the host key was not accepted, nothing was written",
            todo="At the board: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub",
        )
    entry = ssh_entry(where, host_key, key=str(key) if key else None, target=target, labels=dict(labels))
    add_device(path, name, entry)
    emit(Note(text=f"{name} stands in {path}"))
    return Enrolled(name=name, inventory=path, fingerprint=host_key.fingerprint, target=target)


def remove(name: str, *, inventory: Path | None = None) -> Path:
    """Take a board out of the inventory; returns the file. Raises InventoryError where it is not there."""
    path = inventory_file(inventory)
    remove_device(path, name)
    return path


def _listed(entry: DeviceEntry) -> Listed:
    return Listed(
        name=entry.name,
        board=entry.board,
        target=entry.target,
        transport=entry.transport.kind,
        emulated=entry.is_virtual,
        labels=entry.labels,
    )


def _asked(entry: DeviceEntry) -> Listed:
    listed = _listed(entry)
    try:
        board = connect(entry)
        try:
            board.open()
        finally:
            board.close()
    except DeviceBusy as exc:
        return replace(listed, reachable="busy", reason=exc.what)
    except Stopped:
        raise
    except EdgepipeError as exc:  # a board that this version cannot reach is no reason to show none of the others
        return replace(listed, reachable="no", reason=exc.what)
    return replace(listed, reachable="yes")
