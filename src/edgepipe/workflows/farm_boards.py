"""What a board has, and the runtime it is given: probe and provision, on one board or several."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from edgepipe.devices import provisioning
from edgepipe.devices.board_state import BoardFinding, BoardState, examine
from edgepipe.devices.boards.linux import LinuxBoard
from edgepipe.devices.connect import connect
from edgepipe.devices.deployments import Standing
from edgepipe.devices.inventory import DeviceEntry, load_inventory
from edgepipe.devices.provisioning import Provisioned, Stamp
from edgepipe.devices.selector import select
from edgepipe.errors import EdgepipeError, UsageError
from edgepipe.events import Emit, Note, step

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Probed:
    """A board's facts, what to say about them, and the runtime that it was given, if any."""

    name: str
    state: BoardState
    findings: tuple[BoardFinding, ...]
    runtime: Stamp | None


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A board that could not be served; the others were."""

    name: str
    error: EdgepipeError


def probe(device: str, *, inventory: Path | None = None, emit: Emit) -> tuple[Probed | Failure, ...]:
    """Return what there is on each board that the selector means."""

    def ask(entry: DeviceEntry, board: LinuxBoard) -> Probed:
        state = provisioning.probe(board)
        return Probed(name=entry.name, state=state, findings=examine(state), runtime=provisioning.provisioned(board))

    return _each(device, inventory, "probe", ask, emit)


def provision(
    device: str, *, inventory: Path | None = None, upgrade: bool = False, emit: Emit
) -> tuple[tuple[str, Provisioned] | Failure, ...]:
    """Give each board the runtime that fits it."""

    def give(entry: DeviceEntry, board: LinuxBoard) -> tuple[str, Provisioned]:
        return entry.name, provisioning.provision(entry.name, board, upgrade=upgrade, emit=emit)

    return _each(device, inventory, "provision", give, emit)


def unprovision(device: str, *, inventory: Path | None = None, emit: Emit) -> tuple[tuple[str, bool] | Failure, ...]:
    """Take the runtime off each board; says of each whether there was one."""

    def take(entry: DeviceEntry, board: LinuxBoard) -> tuple[str, bool]:
        return entry.name, provisioning.remove(board)

    return _each(device, inventory, "clear", take, emit)


def status(device: str, *, inventory: Path | None = None, emit: Emit) -> tuple[tuple[str, Standing] | Failure, ...]:
    """Return which models each board keeps and how its last deployment went; of a held board the Failure says by whom."""

    def ask(entry: DeviceEntry, board: LinuxBoard) -> tuple[str, Standing]:
        return entry.name, board.standing()

    return _each(device, inventory, "ask", ask, emit)


def _each(
    device: str, inventory: Path | None, doing: str, work: Callable[[DeviceEntry, LinuxBoard], T], emit: Emit
) -> tuple[T | Failure, ...]:
    """Do the work on every board, one after another; one that fails costs itself only."""
    done: list[T | Failure] = []
    for entry in select(load_inventory(inventory), device):
        try:
            with _open(entry) as board, step(emit, f"{doing} {entry.name}"):
                done.append(work(entry, board))
        except EdgepipeError as exc:
            emit(Note(text=str(exc), warning=True))
            done.append(Failure(name=entry.name, error=exc))
    return tuple(done)


@contextmanager
def _open(entry: DeviceEntry) -> Iterator[LinuxBoard]:
    board = connect(entry)
    if not isinstance(board, LinuxBoard):
        raise UsageError(
            f"{entry.name} is no Linux board: there is nothing to probe or provision", todo="Choose others: kind=linux."
        )
    try:
        board.open()
        yield board
    finally:
        board.close()
