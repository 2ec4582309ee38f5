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
from edgepipe.devices.connect import connect, connect_deployable
from edgepipe.devices.deployments import Standing
from edgepipe.devices.inventory import DeviceEntry, SshLink, load_inventory
from edgepipe.devices.protocols import Board, Deployable
from edgepipe.devices.provisioning import Fetch, Provisioned, Stamp
from edgepipe.devices.selector import select
from edgepipe.devices.signing import trusted_keys
from edgepipe.devices.wheels import fetch
from edgepipe.errors import EdgepipeError, Stopped, StorageError, UsageError
from edgepipe.events import Emit, Note, step

T = TypeVar("T")
B = TypeVar("B", bound=Board)


@dataclass(frozen=True, kw_only=True)
class Probed:
    """A board's facts, what to say about them, and the runtime that it was given, if any."""

    name: str
    state: BoardState
    findings: tuple[BoardFinding, ...]
    runtime: Stamp | None


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A board that was given what it needs: its runtime, and for deployments what they rest on.

    `boot_hook` is what rolls a trial back after a restart, "" for nothing; `signers` are the fingerprints of the keys of which one
    must have signed a model from now on, None where that was left as it is.
    """

    name: str
    provisioned: Provisioned
    boot_hook: str
    signers: tuple[str, ...] | None = None


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

    return _each(device, inventory, "probe", ask, emit, _linux)


def provision(
    device: str,
    *,
    inventory: Path | None = None,
    upgrade: bool = False,
    boot_hook: bool | None = None,
    unsigned: bool = False,
    emit: Emit,
    fetch: Fetch = fetch,
) -> tuple[Prepared | Failure, ...]:
    """Give each board the runtime that fits it, what rolls a trial back after a restart, and the signers of its entry.

    `boot_hook` None installs it on every machine but this one; `unsigned` lets a board take models without a signature again.
    """

    def give(entry: DeviceEntry, board: LinuxBoard) -> Prepared:
        keys = () if unsigned else trusted_keys(entry)
        return Prepared(
            name=entry.name,
            provisioned=provisioning.provision(entry.name, board, upgrade=upgrade, emit=emit, fetch=fetch),
            boot_hook=_hooked(entry, board, boot_hook, emit),
            signers=board.trust(entry.target, keys, replace=True) if keys or unsigned else None,
        )

    return _each(device, inventory, "provision", give, emit, _linux)


def _hooked(entry: DeviceEntry, board: LinuxBoard, wanted: bool | None, emit: Emit) -> str:
    """Install what runs at boot where it is wanted; a board that can have none is told of, since its trials need a word more."""
    if not (wanted if wanted is not None else _is_elsewhere(entry)):
        return board.standing().boot_hook
    try:
        return board.protect()
    except StorageError as exc:
        words = f"{exc.what}; deployments there take --no-reboot-protection"
        emit(Note(text=words, warning=True))
        return ""


def _is_elsewhere(entry: DeviceEntry) -> bool:
    """Return whether a board is another machine than this, where nothing is installed unasked."""
    return isinstance(entry.transport, SshLink) and entry.transport.host not in ("localhost", "127.0.0.1", "::1")


def unprovision(device: str, *, inventory: Path | None = None, emit: Emit) -> tuple[tuple[str, bool] | Failure, ...]:
    """Take the runtime and what runs at boot off each board; says of each whether there was a runtime."""

    def take(entry: DeviceEntry, board: LinuxBoard) -> tuple[str, bool]:
        standing = board.standing()
        if standing.boot_hook and standing.left_s is None:  # a trial keeps what it rests on
            board.unprotect()
        return entry.name, provisioning.remove(board)

    return _each(device, inventory, "clear", take, emit, _linux)


def status(device: str, *, inventory: Path | None = None, emit: Emit) -> tuple[tuple[str, Standing] | Failure, ...]:
    """Return which models each board keeps and how its last deployment went; of a held board the Failure says by whom."""

    def ask(entry: DeviceEntry, board: Deployable) -> tuple[str, Standing]:
        return entry.name, board.standing()

    return _each(device, inventory, "ask", ask, emit, connect_deployable)


def _linux(entry: DeviceEntry) -> LinuxBoard:
    board = connect(entry)
    if not isinstance(board, LinuxBoard):
        raise UsageError(
            f"{entry.name} is no Linux board: there is nothing to probe or provision", todo="Choose others: kind=linux."
        )
    return board


def _each(
    device: str,
    inventory: Path | None,
    doing: str,
    work: Callable[[DeviceEntry, B], T],
    emit: Emit,
    connected: Callable[[DeviceEntry], B],
) -> tuple[T | Failure, ...]:
    """Do the work on every board, one after another; one that fails costs itself only."""
    done: list[T | Failure] = []
    for entry in select(load_inventory(inventory), device):
        try:
            with _open(connected(entry)) as board, step(emit, f"{doing} {entry.name}"):
                done.append(work(entry, board))
        except Stopped:  # meant for the command, not for this board
            raise
        except EdgepipeError as exc:
            emit(Note(text=str(exc), warning=True))
            done.append(Failure(name=entry.name, error=exc))
    return tuple(done)


@contextmanager
def _open(board: B) -> Iterator[B]:
    try:
        board.open()
        yield board
    finally:
        board.close()
