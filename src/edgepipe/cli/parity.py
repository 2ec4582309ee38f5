"""`edgepipe parity`: do all runtimes answer alike?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgepipe.cli.measuring import TfliteModel
from edgepipe.cli.output import Json, Markdown, Quiet, console, progress, show_json

ASK = "What to ask"


def parity(
    model: TfliteModel,
    data: Annotated[
        str | None,
        typer.Option(help="Real inputs: .npz, folder of class folders, .csv, module:function, or digits.", rich_help_panel=ASK),
    ] = None,
    samples: Annotated[
        int | None, typer.Option("--samples", "-n", min=1, help="How many inputs: 100, or all of --data.", rich_help_panel=ASK)
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of made-up inputs, and of the choice among --data.", rich_help_panel=ASK)] = 0,
    runtime: Annotated[
        list[str] | None,
        typer.Option(
            "--runtime", help="litert-xnnpack, litert-none, litert-ref or tflm; repeat it. All otherwise.", rich_help_panel=ASK
        ),
    ] = None,
    exact: Annotated[
        str | None,
        typer.Option(metavar="RUNTIME", help="Exit code 1 unless all answer bit for bit as this one (or this target's)."),
    ] = None,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that one runtime may take.")] = 600.0,
    markdown: Markdown = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Ask every runtime the same inputs, and show who answers alike, how far others are off, and at which layer they part.

    LiteRT as it comes (XNNPACK), without delegates, with its reference kernels, and TensorFlow Lite Micro, whose answers are those
    of a microcontroller. Each runs in a process of its own; one that refuses the model is shown with the operator it does not take.

    Exit code 0 whatever was found; with --exact 1 where answers differ, 6 where that runtime refuses the model.

    [bold]Examples[/]

      edgepipe parity model.tflite

      edgepipe parity model.tflite --data test.npz --markdown

      edgepipe parity model.tflite --exact mcu --runtime tflm --runtime litert-ref
    """
    from edgepipe.errors import EdgepipeError
    from edgepipe.parity import Runtime
    from edgepipe.records import as_json as plain
    from edgepipe.reports.render import parity as render
    from edgepipe.reports.render import sheets
    from edgepipe.workflows.parity import Inputs, require_exact, runtime_named
    from edgepipe.workflows.parity import parity as ask

    wanted = None if exact is None else runtime_named(exact)
    asked = tuple(map(runtime_named, runtime or Runtime))
    inputs = Inputs(data=data, samples=samples, seed=seed)
    with progress(quiet) as emit:
        found = ask(Path(model), inputs=inputs, runtimes=asked, deadline_s=timeout, emit=emit)
    missed = None
    try:
        if wanted is not None:
            require_exact(found, wanted)
    except EdgepipeError as exc:
        missed = exc
    if as_json:
        gate = (
            {} if wanted is None else {"exact": wanted.value, "held": missed is None, "problems": missed.problems if missed else ()}
        )
        show_json({"model": str(model), **plain(found), "gate": gate})
        return missed.exit_code if missed else 0
    if markdown:
        typer.echo(sheets.markdown(render.sheets(model.name, found)), nl=False)
    else:
        console().print(sheets.console(render.sheets(model.name, found)))
    if missed is not None:
        raise missed
    return 0
