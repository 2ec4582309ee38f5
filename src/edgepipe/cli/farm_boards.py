"""`edgepipe farm probe` and `farm provision`: what a board has, and the runtime it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from edgepipe.cli.measuring import Inventory
from edgepipe.cli.output import Json, Quiet, console, error_as_json, progress, show_json
from edgepipe.errors import UsageError, worst_exit_code

if TYPE_CHECKING:
    from edgepipe.devices.deployments import Standing
    from edgepipe.reports.render.sheets import Sheet
    from edgepipe.workflows.farm_boards import Failure, Prepared, Probed

Boards = Annotated[list[str], typer.Argument(help="Boards: names, globs or labels, such as pi4, kind=mcu.", show_default=False)]
MARKS = {None: "✓", "error": "✗", "warning": "!", "note": "·"}


def probe(device: Boards, inventory: Inventory = None, as_json: Json = False, quiet: Quiet = False) -> int:
    """Say what boards have for running models, and what to do about what they lack.

    System and the runtime that fits it, processor, memory, disk, governor, temperature, throttling, Coral accelerators with driver,
    library and USB speed. Nothing on the board changes.

    [bold]Examples[/]

      edgepipe farm probe local

      edgepipe farm probe "pi*" coral --json
    """
    from edgepipe.records import as_json as plain
    from edgepipe.reports.render.sheets import console as sheets
    from edgepipe.workflows.farm_boards import Failure
    from edgepipe.workflows.farm_boards import probe as run

    with progress(quiet) as emit:
        found = run(",".join(device), inventory=inventory, emit=emit)
    if as_json:
        show_json({"boards": [_failed(each) if isinstance(each, Failure) else plain(each) for each in found]})
    else:
        console().print(sheets(_sheet(each) for each in found if not isinstance(each, Failure)))
    return _exit_code(found)


def provision(
    device: Boards,
    upgrade: Annotated[bool, typer.Option("--upgrade", help="Look for newer wheels, though it has a runtime.")] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Take runtime and boot hook off the board again.")] = False,
    boot_hook: Annotated[
        bool | None,
        typer.Option(
            "--boot-hook/--no-boot-hook",
            help="Install what rolls a trial back after a restart.",
            show_default="on other machines than this one",
        ),
    ] = None,
    unsigned: Annotated[bool, typer.Option("--unsigned", help="Let the board take models without a signature again.")] = False,
    inventory: Inventory = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Give boards the runtime that fits them; they need no internet.

    Wheels for the board's processor, Python and C library are fetched here, kept, sent, and installed in a venv of edgepipe's own.
    One tiny model must run before it is used. What rolls a trial back after a restart is installed too (a systemd unit, else a line
    for cron), and the signers that the inventory names are the board's from then on. Done again, it changes nothing.

    [bold]Examples[/]

      edgepipe farm provision pi4

      edgepipe farm provision "lab=a" --upgrade

      edgepipe farm provision pi4 --no-boot-hook

      edgepipe farm provision pi4 --remove
    """
    from edgepipe.records import as_json as plain
    from edgepipe.workflows import farm_boards as workflow

    if remove and (upgrade or boot_hook or unsigned):
        raise UsageError("--remove takes away what --upgrade, --boot-hook and --unsigned are about")
    selector, lines, cells = ",".join(device), list[str](), list[dict[str, object]]()
    with progress(quiet) as emit:
        if remove:
            taken = workflow.unprovision(selector, inventory=inventory, emit=emit)
            codes = _exit_code(taken)
            for each in taken:
                if isinstance(each, workflow.Failure):
                    cells.append(_failed(each))
                else:
                    lines.append(f"{each[0]}: {'the runtime is gone' if each[1] else 'there was none'}")
                    cells.append({"name": each[0], "removed": each[1]})
        else:
            given = workflow.provision(
                selector, inventory=inventory, upgrade=upgrade, boot_hook=boot_hook, unsigned=unsigned, emit=emit
            )
            codes = _exit_code(given)
            for done in given:
                if isinstance(done, workflow.Failure):
                    cells.append(_failed(done))
                else:
                    lines.append(_prepared(done))
                    known = {"name": done.name, "boot_hook": done.boot_hook, "signers": done.signers}
                    cells.append({**known, **plain(done.provisioned)})
    if as_json:
        show_json({"boards": cells})
    else:
        for line in lines:
            console().print(line, markup=False, soft_wrap=True)
    return codes


def _prepared(board: Prepared) -> str:
    given = board.provisioned
    packages = ", ".join(f"{package} {version}" for package, version in given.stamp.versions.items())
    words = [f"{board.name}: {'installed' if given.changed else 'there already'}: {packages}"]
    words += [f"{board.boot_hook} rolls a trial back after a restart"] if board.boot_hook else []
    if board.signers is not None:
        words.append(f"takes models signed by {' or '.join(board.signers)}" if board.signers else "takes unsigned models")
    return "; ".join(words)


def status(device: Boards, inventory: Inventory = None, as_json: Json = False, quiet: Quiet = False) -> int:
    """Say which models boards keep, how the last deployment went, and who holds a board that is busy.

    [bold]Examples[/]

      edgepipe farm status pi4

      edgepipe farm status "*" --json
    """
    from edgepipe.records import as_json as plain
    from edgepipe.reports.render.sheets import Sheet
    from edgepipe.reports.render.sheets import console as sheets
    from edgepipe.workflows.farm_boards import Failure
    from edgepipe.workflows.farm_boards import status as run

    with progress(quiet) as emit:
        found = run(",".join(device), inventory=inventory, emit=emit)
    if as_json:
        cells = [_failed(each) if isinstance(each, Failure) else {"name": each[0], **plain(each[1])} for each in found]
        show_json({"boards": cells})
    else:
        rows = tuple(
            (each.name, each.error.what, "", "", "", "") if isinstance(each, Failure) else (each[0], *_standing(each[1]))
            for each in found
        )
        console().print(sheets([Sheet(columns=("name", "state", "current", "previous", "takes", "last deployment"), rows=rows)]))
    return _exit_code(found)


def _standing(board: Standing) -> tuple[str, str, str, str, str]:
    taken = f"signed by {' or '.join(board.signers)}" if board.signers else "any model"
    takes = f"{taken}, from version {board.floor}" if board.floor else taken
    left = f", {board.left_s:.0f} s left" if board.left_s is not None else ""
    last = board.reason or board.finding
    return f"{board.state}{left}", board.said(board.current), board.said(board.previous), takes, last


def _sheet(probed: Probed) -> Sheet:
    from edgepipe.reports.render.sheets import Sheet

    rows = [
        (MARKS[each.severity.value if each.severity else None], each.subject, each.value, each.todo) for each in probed.findings
    ]
    stamp = probed.runtime
    given = f"{stamp.runtime}, on {stamp.made_utc[:10]}" if stamp else "no"
    todo = "" if stamp else f"edgepipe farm provision {probed.name}"
    rows.append((MARKS[None] if stamp else MARKS["note"], "provisioned", given, todo))
    return Sheet(title=probed.name, columns=("", "what", "is", "what to do"), rows=tuple(rows))


def _failed(failure: Failure) -> dict[str, object]:
    error = failure.error
    return {"name": failure.name, **error_as_json(error)}


def _exit_code(found: tuple[object, ...]) -> int:
    from edgepipe.workflows.farm_boards import Failure

    return worst_exit_code(each.error.exit_code if isinstance(each, Failure) else 0 for each in found)
