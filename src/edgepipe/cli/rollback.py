"""`edgepipe rollback` and `edgepipe confirm`: the two ways in which a trial ends by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from edgepipe.cli.measuring import Inventory
from edgepipe.cli.output import Json, console, show_json

if TYPE_CHECKING:
    from edgepipe.devices.deployments import Standing

Device = Annotated[str, typer.Option(help="The board.", show_default=False)]


def rollback(
    device: Device,
    inventory: Inventory = None,
    reason: Annotated[str, typer.Option(help="For the board's journal.")] = "asked for",
    as_json: Json = False,
) -> int:
    """Go back to the model that was current before, from a trial or from a confirmed model.

    One rename on the board: it works with a full disk, too. Exit code 2 where there is no model to go back to.

    [bold]Examples[/]

      edgepipe rollback --device pi4

      edgepipe rollback --device pi4 --reason "drops words since Monday"
    """
    from edgepipe.workflows.deploy import rollback as run

    _show(device, run(device, inventory=inventory, reason=reason), as_json=as_json)
    return 0


def confirm(device: Device, inventory: Inventory = None, as_json: Json = False) -> int:
    """Keep the model that is on trial on a board, after deploy --no-confirm.

    Exit code 4 when the deadline has passed: the board has gone back by itself. Exit code 2 where no trial runs.

    [bold]Examples[/]

      edgepipe deploy kws.tflite --device pi4 --no-confirm --deadline 600

      edgepipe confirm --device pi4
    """
    from edgepipe.workflows.deploy import confirm as run

    _show(device, run(device, inventory=inventory), as_json=as_json)
    return 0


def _show(device: str, standing: Standing, *, as_json: bool) -> None:
    from rich.markup import escape

    from edgepipe.records import as_json as plain

    if as_json:
        show_json({"device": device, **plain(standing)})
        return
    back = f"{standing.said(standing.previous)} is what it would go back to" if standing.previous else "with nothing to go back to"
    line = f"{device}: {standing.said(standing.current)} is current, {back}"
    console().print(f"[green]✓[/] {escape(line)}")
