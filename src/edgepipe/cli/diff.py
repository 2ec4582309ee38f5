"""`edgepipe diff`: what changed between two model files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgepipe.cli.output import Json, Markdown, console, show_json


def diff(
    a: Annotated[Path, typer.Argument(help="The old .tflite file.", show_default=False)],
    b: Annotated[Path, typer.Argument(help="The new .tflite file.", show_default=False)],
    exit_code: Annotated[bool, typer.Option("--exit-code", help="End with 1 where the files differ.")] = False,
    markdown: Markdown = False,
    as_json: Json = False,
) -> int:
    """Show what changed between two model files, layer by layer.

    Bytes, dtypes, multiply-accumulates, zeros, clusters and operators of each layer that differs, then the totals; nothing at all
    for equal files. Layers are matched by name, and by operators and shapes where the names are lost. Whether the new one is better
    is what `edgepipe compare` tells.

    Exit code 0 whether or not they differ; with --exit-code 1 where they do, as git has it.

    [bold]Examples[/]

      edgepipe diff float.tflite int8.tflite

      edgepipe diff old.tflite new.tflite --markdown >> $GITHUB_STEP_SUMMARY

      edgepipe diff built.tflite expected.tflite --exit-code
    """
    from edgepipe.records import as_json as plain
    from edgepipe.reports.render import difference as render
    from edgepipe.reports.render import sheets
    from edgepipe.workflows.diff import diff as hold_against

    found = hold_against(a, b)
    names = (a.name, b.name) if a.name != b.name else (str(a), str(b))
    if as_json:
        show_json({"a": str(a), "b": str(b), **plain(found)})
    elif markdown:
        typer.echo(sheets.markdown(render.sheets(*names, found)), nl=False)
    elif not found.equal:
        console().print(sheets.console(render.sheets(*names, found)))
    return 1 if exit_code and not found.equal else 0
