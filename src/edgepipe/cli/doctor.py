"""`edgepipe doctor`: everything that will go wrong, before any training."""

from __future__ import annotations

from typing import Annotated

import typer

from edgepipe.cli.output import Json, Markdown, Quiet, console, progress, show_json
from edgepipe.cli.training import Allow, Trust
from edgepipe.errors import ModelRejected, UsageError

FOR = "What to examine it for"


def doctor(
    model: Annotated[
        str | None,
        typer.Argument(help="A .keras or .tflite file, a SavedModel folder, or module:function.", show_default=False),
    ] = None,
    target: Annotated[str, typer.Option("--target", "-t", help="Where it must run: host, pi, mcu…", rich_help_panel=FOR)] = "mcu",
    board: Annotated[
        str | None,
        typer.Option("--board", help="A board by name, for its flash and RAM, such as nucleo-l4r5zi.", rich_help_panel=FOR),
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", help="Real inputs, to hold against the model's.", rich_help_panel=FOR)
    ] = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also convert for real, and compare with what was said.", rich_help_panel=FOR)
    ] = False,
    explain: Annotated[
        str | None, typer.Option("--explain", metavar="CODE", help="Say what a code means, with an example, and stop.")
    ] = None,
    trust_model: Trust = False,
    allow_module: Allow = None,
    markdown: Markdown = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Find everything that will go wrong with a model on a target, all at once, before any training.

    Layer by layer: can it be pruned, clustered, trained with quantisation, made int8, run on the target, and if not, why and what
    helps. Operators, memory against a board's, open dimensions, preprocessing. A .keras or .tflite is read without TensorFlow and
    nothing in it is run. Exit code 6 when something stands in the way.

    [bold]Examples[/]

      edgepipe doctor model.keras --target mcu --board nucleo-l4r5zi

      edgepipe doctor model.keras --target mcu --data train.npz --deep

      edgepipe doctor --explain EP204
    """
    from edgepipe.records import as_json as plain
    from edgepipe.reports.render import doctor as render
    from edgepipe.reports.render import sheets
    from edgepipe.workflows import doctor as workflow

    if explain is not None:
        row = workflow.explain(explain)
        if as_json:
            show_json(plain(row))
        elif markdown:
            typer.echo(sheets.markdown([render.explanation(row)]), nl=False)
        else:
            console().print(sheets.console([render.explanation(row)]))
        return 0
    if model is None:
        raise UsageError("no model was given", todo="edgepipe doctor MODEL --target T, or edgepipe doctor --explain CODE.")
    with progress(quiet) as emit:
        found = workflow.diagnose(
            model, target=target, board=board, deep=deep, data=data, trusted=trust_model, modules=allow_module or (), emit=emit
        )
    if as_json:
        show_json({"fits": found.fits, "macs": found.macs, "ops": list(found.ops), **plain(found)})
    elif markdown:
        typer.echo(sheets.markdown(render.sheets(found)), nl=False)
    else:
        console().print(sheets.console(render.sheets(found)))
    return 0 if found.fits else ModelRejected.exit_code
