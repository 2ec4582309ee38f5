"""`edgepipe inspect`: what a model file really holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgepipe.cli.output import Json, Markdown, console, show_json


def inspect(
    model: Annotated[Path, typer.Argument(help="The .tflite or .keras file.", show_default=False)],
    markdown: Markdown = False,
    as_json: Json = False,
) -> int:
    """Show everything that a model file says of itself, tensor by tensor and operator by operator.

    Of a .tflite: dtype, shape, bytes, quantisation, zeros and clusters of every tensor; version, layer and multiply-accumulates
    of every operator; what was left in float, open dimensions, Flex and custom operators. Of a .keras: layers, parameters, inputs,
    who wrote it. Needs no TensorFlow and runs nothing of the file. Names are cut on the screen; --json has them whole.

    [bold]Examples[/]

      edgepipe inspect model.tflite

      edgepipe inspect model.keras --markdown

      edgepipe inspect model.tflite --json | jq '.tensors[] | select(.dtype == "float32") | .name'
    """
    from edgepipe.records import as_json as plain
    from edgepipe.reports.render import inspection as render
    from edgepipe.reports.render import sheets
    from edgepipe.workflows.inspect import inspect as read

    found = read(model)
    if as_json:
        show_json({"model": str(model), "totals": found.totals, **plain(found)})
    elif markdown:
        typer.echo(sheets.markdown(render.sheets(model.name, found)), nl=False)
    else:
        console().print(sheets.console(render.sheets(model.name, found)))
    return 0
