"""`edgepipe parity`: do all runtimes answer alike?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgepipe.cli.measuring import Inventory, TfliteModel
from edgepipe.cli.output import Json, Markdown, Quiet, console, progress, show_json

if TYPE_CHECKING:
    from edgepipe.errors import EdgepipeError
    from edgepipe.parity import BoardParity, Parity, Runtime

ASK, BOARDS = "What to ask", "Boards"


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
    device: Annotated[
        str | None,
        typer.Option(help="Ask these boards too: names, globs or labels.", show_default=False, rich_help_panel=BOARDS),
    ] = None,
    inventory: Inventory = None,
    board_runtime: Annotated[
        str,
        typer.Option(help="What runs the model there: litert, tflite or tflm; litert-none, tflite-ref.", rich_help_panel=BOARDS),
    ] = "litert",
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that one runtime may take.")] = 600.0,
    markdown: Markdown = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Ask every runtime the same inputs, and show who answers alike, how far others are off, and at which layer they part.

    LiteRT as it comes (XNNPACK), without delegates, with its reference kernels, and TensorFlow Lite Micro, whose answers are those
    of a microcontroller. Each runs in a process of its own; one that refuses the model is shown with the operator it does not take.

    With --device the boards answer the same inputs, and each is held against each runtime here: answers that are alike bit for bit,
    the largest difference in steps of the number format (LSB), decisions that changed. A line that breaks costs no answer twice.

    Exit code 0 whatever was found; with --exact 1 where answers differ, 6 where that runtime refuses the model; 4 for a dead board.

    [bold]Examples[/]

      edgepipe parity model.tflite

      edgepipe parity model.tflite --data test.npz --markdown

      edgepipe parity model.tflite --data test.npz --device "pi*" --samples 1000

      edgepipe parity model.tflite --exact mcu --runtime tflm --runtime litert-ref
    """
    from edgepipe.parity import Runtime
    from edgepipe.workflows.parity import Inputs, runtime_named

    wanted = None if exact is None else runtime_named(exact)
    runtimes = tuple(map(runtime_named, runtime or Runtime))
    inputs = Inputs(data=data, samples=samples, seed=seed)
    found: Parity | BoardParity
    with progress(quiet) as emit:
        if device is None:
            from edgepipe.workflows.parity import parity as ask

            found = ask(model, inputs=inputs, runtimes=runtimes, deadline_s=timeout, emit=emit)
        else:
            from edgepipe.workflows.board_parity import board_options, board_parity

            options = board_options(board_runtime)
            found = board_parity(
                model,
                device=device,
                inventory=inventory,
                inputs=inputs,
                runtimes=runtimes,
                options=options,
                deadline_s=timeout,
                emit=emit,
            )
    return _show(model, found, wanted, as_json=as_json, markdown=markdown)


def _show(model: Path, found: Parity | BoardParity, wanted: Runtime | None, *, as_json: bool, markdown: bool) -> int:
    """Show what was found and return the exit code; raises what is said of the gate where nothing worse happened."""
    from edgepipe.errors import error_for, worst_exit_code
    from edgepipe.parity import BoardParity
    from edgepipe.records import as_json as plain
    from edgepipe.reports.render import parity as render
    from edgepipe.reports.render import sheets

    missed = _missed(found, wanted)
    boards = found.boards if isinstance(found, BoardParity) else ()
    code = worst_exit_code(
        [*(error_for(board.error).exit_code for board in boards if board.error), *([missed.exit_code] if missed else [])]
    )
    if as_json:
        gate = (
            {} if wanted is None else {"exact": wanted.value, "held": missed is None, "problems": missed.problems if missed else ()}
        )
        show_json({"model": str(model), **plain(found), "gate": gate})
        return code
    shown = render.board_sheets(model.name, found) if isinstance(found, BoardParity) else render.sheets(model.name, found)
    if markdown:
        typer.echo(sheets.markdown(shown), nl=False)
    else:
        console().print(sheets.console(shown))
    if missed is not None and code == missed.exit_code:
        raise missed
    return code


def _missed(found: Parity | BoardParity, wanted: Runtime | None) -> EdgepipeError | None:
    from edgepipe.errors import EdgepipeError
    from edgepipe.parity import Parity
    from edgepipe.workflows.board_parity import require_boards_exact
    from edgepipe.workflows.parity import require_exact

    if wanted is None:
        return None
    try:
        if isinstance(found, Parity):
            require_exact(found, wanted)
        else:
            require_boards_exact(found, wanted)
    except EdgepipeError as exc:
        return exc
    return None
