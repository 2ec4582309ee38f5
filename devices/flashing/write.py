"""A firmware goes into a board: who is there is asked before and after, so that no other board is written, or taken for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgepipe.devices.boards.line_board import LineTransport
from edgepipe.devices.connect import LINES
from edgepipe.devices.flashing import usb
from edgepipe.devices.flashing.choose import chosen
from edgepipe.devices.flashing.identity import Answered, Expected, ask, await_answer
from edgepipe.devices.flashing.image import image_bytes
from edgepipe.devices.flashing.plan import FlashPlan
from edgepipe.devices.flashing.program import run
from edgepipe.devices.flashing.tool import Probe
from edgepipe.devices.transports.board_lock import BoardLock
from edgepipe.errors import InfrastructureError, Interrupted, Terminated, WrongBoard
from edgepipe.events import Emit, Note, silent, step

LISTING_S, ANSWER_S = 30.0, 20.0
SHORTEST_BUILD = 6  # what is shorter than the name of a build might stand in any file


@dataclass(frozen=True, kw_only=True)
class Flashed:
    """A board that runs what was written; `before` is None where no firmware of ours had answered."""

    probe: Probe
    command: tuple[str, ...]
    before: Answered | None
    after: Answered


def write(
    plan: FlashPlan,
    *,
    transport: LineTransport | None = None,
    usb_devices: Path = usb.DEVICES,
    lock_folder: Path | None = None,
    answer_s: float = ANSWER_S,
    emit: Emit = silent,
) -> Flashed:
    """Lock the board, see that it is the one that is meant, write, and see that what was written runs there.

    Raises DeviceBusy, DeviceUnreachable, WrongBoard and InventoryError before anything is written; InfrastructureError where the
    tool is missing, fails or hangs, or nothing answers afterwards; WrongBoard where something else answers then.
    """
    entry = plan.entry
    link = transport or LINES[entry.transport.kind](entry)
    image = image_bytes(plan.file)
    lock = BoardLock(entry.name, link.key, folder=lock_folder)
    try:
        with step(emit, f"see who is there as {entry.name}"):
            before = ask(link, entry.name)
            _refuse_another(plan, before)
            probe = chosen(entry.name, plan.tool, _connected(plan, usb_devices), plan.line)
        command = plan.command(probe.id)
        with step(emit, f"write {plan.file.name} into {entry.name}"):
            _write(plan, command)
        with step(emit, f"see what runs on {entry.name}"):
            after = _proved(plan, image, before, await_answer(link, entry.name, deadline_s=answer_s))
        if before is not None and before.build == after.build:
            emit(Note(text=f"{entry.name} had this very build before: that its flash was written is the tool's word alone"))
    finally:
        lock.free()
    return Flashed(probe=probe, command=command, before=before, after=after)


def _write(plan: FlashPlan, command: tuple[str, ...]) -> None:
    todo = f"Write it again: until then {plan.entry.name} may have half a firmware."
    try:
        run(command, deadline_s=plan.tool.timeout_s, install=plan.tool.install, todo=todo)
    except (KeyboardInterrupt, Interrupted) as exc:
        raise Interrupted(f"stopped while {plan.entry.name} was written", todo=todo) from exc
    except Terminated as exc:
        raise Terminated(f"stopped while {plan.entry.name} was written", todo=todo) from exc


def _connected(plan: FlashPlan, usb_devices: Path) -> tuple[Probe, ...]:
    """Return what the tool sees, or the kernel where the tool lists nothing."""
    listing = plan.tool.listing(plan.line)
    if not listing:
        return usb.connected(usb_devices)
    printed = run(listing, deadline_s=LISTING_S, install=plan.tool.install)
    try:
        return plan.tool.listed(printed)
    except ValueError as exc:
        raise InfrastructureError(
            f"{' '.join(listing)} did not list what is connected: {exc}", cause="another version than this edgepipe knows"
        ) from exc


def _refuse_another(plan: FlashPlan, before: Answered | None) -> None:
    if before is None:  # a new board, or another program: then the probe alone tells which board it is
        return
    differences = Expected(board=plan.board, board_id=plan.entry.board_id).differences(before)
    if differences:
        raise WrongBoard(
            f"{plan.entry.name} was not written to: another board is on its line",
            problems=differences,
            cause="two boards changed places, or the entry means another one",
            todo="Mend the entry or the cables. Is it the right board with a wrong firmware? Then erase it with its tool first.",
        )


def _proved(plan: FlashPlan, image: bytes, before: Answered | None, after: Answered | None) -> Answered:
    """Return what answers, once it is the board that was meant and runs what was written."""
    name = plan.entry.name
    if after is None:
        raise InfrastructureError(
            f"{name} was written, and does not answer on its line",
            cause="the probe and the line belong to two boards, the baud rate is another, or the firmware does not start",
            todo="See in a terminal what comes on its line as it is reset, and whether the probe is that board's.",
        )
    expected = Expected(
        board=plan.board or (before.board if before else None),
        board_id=plan.entry.board_id or (before.board_id if before else None),
    )
    differences = expected.differences(after)
    if len(after.build) < SHORTEST_BUILD or after.build.encode() not in image:
        differences += [f"its build is {after.build}, which is not in {plan.file.name}"]
    if differences:
        raise WrongBoard(
            f"{name} was written, but what answers on its line is something else",
            problems=differences,
            cause="the probe and the line belong to two boards: another board was written",
            todo="See which board the probe is on, and write the right one into flash.probe; then write both boards again.",
        )
    return after
