"""`edgepipe export`: C sources for TFLite Micro."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgepipe.cli.output import Json, Quiet, console, progress, show_json


def export(
    model: Annotated[Path, typer.Argument(help="The .tflite file.", show_default=False)],
    to: Annotated[Path, typer.Option("--to", help="The folder to write into.", show_default=False)],
    name: Annotated[str | None, typer.Option("--name", help="The name in files and symbols; the model's own by default.")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Write a model as C arrays with its operator resolver and its measured arena size.

    Refuses, with exit code 1, a model that does not fit a microcontroller.

    [bold]Examples[/]

      edgepipe export model.tflite --to firmware/model

      edgepipe export model.tflite --to firmware/model --name keyword_spotting
    """
    from rich.markup import escape

    from edgepipe.records import as_json as fields
    from edgepipe.workflows.export import export as run

    with progress(quiet) as emit:
        exported = run(model, to=to, name=name, emit=emit)
    if as_json:
        arena = None if exported.arena is None else fields(exported.arena)
        files = [str(path) for path in exported.files]
        show_json({"name": exported.name, "files": files, "sha256": exported.facts.sha256, "arena": arena})
        return 0
    shown = console()
    for path in exported.files:
        shown.print(escape(str(path)))
    kinds = len({op.op for op in exported.facts.ops})
    room = "not measured" if exported.arena is None else f"{exported.arena.smallest_bytes:,} bytes"
    shown.print(f"{exported.facts.size_bytes:,} bytes of model, {kinds} operators, arena {room}")
    return 0
