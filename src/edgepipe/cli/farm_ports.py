"""`edgepipe farm ports`: the microcontrollers that there is firmware for, and how far each was tried."""

from __future__ import annotations

from edgepipe.cli.output import Json, console, show_json

MEANINGS = {"run": "tests run it", "compiled": "tests build it; never tried on a board", "untested": "an example; never tried"}


def ports(as_json: Json = False) -> int:
    """List the microcontrollers that there is firmware for, and how far each port was tried.

    The first column is what stands under `hardware` in the inventory. Only what is run counts for figures.

    [bold]Examples[/]

      edgepipe farm ports
    """
    from edgepipe.devices.firmware_build import PORTS
    from edgepipe.reports.render.sheets import Sheet
    from edgepipe.reports.render.sheets import console as sheets

    rows = tuple((port.board, port.name, port.status.value, port.sdk or port.compiler) for port in PORTS.values())
    if as_json:
        names = ("hardware", "port", "status", "built_with")
        show_json({"ports": [dict(zip(names, row, strict=True)) for row in rows]})
    else:
        told = tuple((board, name, f"{status}: {MEANINGS[status]}", built) for board, name, status, built in rows)
        console().print(sheets([Sheet(columns=("hardware", "port", "status", "built with"), rows=told)]))
    return 0
