"""`edgepipe flash`: edgepipe's firmware goes into a microcontroller, and into no other than the one that is meant."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgepipe.cli.measuring import Inventory
from edgepipe.cli.output import Json, Quiet, console, progress, show_json


def flash(
    device: Annotated[str, typer.Argument(help="The board, by its name in the inventory.", show_default=False)],
    file: Annotated[
        Path | None, typer.Option("--file", help="What to write.", show_default="the firmware for the board's hardware")
    ] = None,
    tflm: Annotated[
        Path | None,
        typer.Option("--tflm", envvar="EDGEPIPE_TFLM", help="A tflite-micro tree: its library in place of our engine (untested)."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the command that would write; touch no board.")] = False,
    inventory: Inventory = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Write edgepipe's firmware into a microcontroller, by the tool that its entry in the inventory names.

    The tool must see the very probe that the entry names, and whoever answers on the board's line must be the board that is meant;
    otherwise nothing is written. Afterwards the same board must answer, with the firmware that was written. The tools are pyocd,
    openocd, esptool, picotool, west, or a command; docs/microcontrollers.md has an entry for each.

    Hardware, and how far its firmware was tried: host (run), mps2-an385 (run), mps2-an386 (run), mps2-an500 (run),
    mps2-an505 (run), mps3-an547 (run), nucleo-l4r5zi (compiled), raspberry-pi-pico (untested).

    [bold]Examples[/]

      edgepipe flash mcu-m4 --dry-run

      edgepipe flash mcu-m4

      edgepipe flash pico --file build/edgepipe.uf2
    """
    from shlex import join

    from edgepipe.records import as_json as plain
    from edgepipe.workflows.flash import flash as run
    from edgepipe.workflows.flash import plan

    with progress(quiet) as emit:
        planned = plan(device, file=file, tflm=tflm, inventory=inventory, emit=emit)
        done = None if dry_run else run(planned, emit=emit)
    command = done.command if done else planned.command()
    if as_json:
        wrote = {"before": done.before and plain(done.before), "after": plain(done.after)} if done else {}
        show_json({"device": planned.entry.name, "file": str(planned.file), "command": command, "dry_run": dry_run, **wrote})
    elif done:
        line = f"{planned.entry.name} runs build {done.after.build} on {done.after.board_id}"
        console().print(line, markup=False, soft_wrap=True)
    else:
        console().print(join(command), markup=False, soft_wrap=True)
    return 0
