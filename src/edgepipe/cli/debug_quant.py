"""`edgepipe debug-quant`: which layers lose accuracy when a model is quantised, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgepipe.cli.output import Json, Markdown, Quiet, console, progress, show_json
from edgepipe.cli.training import Allow, Memory, Seed, Timeout, Trust

LOOK = "What to look at"
MAKE = "Quantise it here first"


def debug_quant(
    model: Annotated[
        str, typer.Argument(help="The model in float: .keras, SavedModel, module:function, or .tflite.", show_default=False)
    ],
    quantised: Annotated[
        Path | None, typer.Argument(help="The .tflite that was made from it; without it, one is made here.", show_default="none")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="Real data: .npz, folder of class folders, .csv, module:function, or digits.", rich_help_panel=LOOK),
    ] = None,
    samples: Annotated[
        int, typer.Option("--samples", "-n", min=1, max=100_000, help="Samples to take layers apart with.", rich_help_panel=LOOK)
    ] = 64,
    mode: Annotated[
        str | None, typer.Option(help="int8, qat and so on, as in `edgepipe quantize`.", rich_help_panel=MAKE, show_default="int8")
    ] = None,
    seed: Seed = 0,
    to: Annotated[Path | None, typer.Option(help="Also write a page (.html) or a table (.md) here.", show_default="none")] = None,
    trust_model: Trust = False,
    allow_module: Allow = None,
    memory: Memory = None,
    timeout: Timeout = 240.0,
    markdown: Markdown = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Find the layers that lose accuracy when a model is quantised, say why, and what helps.

    Each layer is run by itself, fed what its float twin is fed: it answers for its own error, not for what it was handed. That
    error alone is then carried through the float model to the answer; the layer that hurts most there is first. Layers have their
    Keras names where the model is a Keras one. Without a quantised file, one is made with ranges from --data, less a share that is
    held back to look at.

    Exit code 0 whatever was found: `edgepipe eval` and a recipe's gates judge, this explains.

    [bold]Examples[/]

      edgepipe debug-quant model.keras --data train.npz

      edgepipe debug-quant float.tflite int8.tflite --data test.npz --to losses.html

      edgepipe debug-quant model.keras int8.tflite --data test.npz --json | jq '.layers | min_by(.rank) | .layer'
    """
    from datetime import UTC, datetime

    from edgepipe.cli.training import one_stage
    from edgepipe.errors import UsageError
    from edgepipe.places import write_whole
    from edgepipe.records import as_json as plain
    from edgepipe.reports.render import debug_quant as render
    from edgepipe.reports.render import sheets
    from edgepipe.workflows.before_quantising import Trust as Trusting
    from edgepipe.workflows.compress import Limits
    from edgepipe.workflows.debug_quant import debug_files, debug_model, debug_recipe

    if to is not None and to.suffix not in (".html", ".md"):
        raise UsageError(f"--to {to}: the file must end in .html or .md")
    if data is None:
        raise UsageError("--data is missing: an error is measured on real inputs", todo="Give test data, such as --data test.npz.")
    if quantised is not None and mode is not None:
        raise UsageError(f"{quantised} is quantised already; --mode {mode} says how to", todo="Give one of the two.")
    if quantised is None and model.endswith(".tflite"):
        raise UsageError(f"only a Keras model can be quantised here, and {model} is none", todo="Give its int8 twin, too.")
    limits = Limits(memory_bytes=int(memory * 1e9) if memory else None, timeout_s=timeout * 60)
    trust = Trusting(model=trust_model, modules=tuple(allow_module or ()))
    with progress(quiet) as emit:
        if quantised is None:
            recipe = one_stage("quantize", {"mode": mode}, model=model, data=data, test=None, target="host", seed=seed)
            found = debug_recipe(recipe, samples=samples, emit=emit, limits=limits, trust=trust)
        elif model.endswith(".tflite"):
            found = debug_files(Path(model), quantised, data=data, samples=samples, emit=emit)
        else:
            found = debug_model(model, quantised, data=data, samples=samples, emit=emit, limits=limits, trust=trust)
    name, losses = found.quantised.name if quantised else f"{Path(model).name}, {mode or 'int8'}", found.losses
    shown = render.sheets(name, losses)
    if to is not None:
        page = render.page(name, losses, datetime.now(UTC).isoformat(timespec="seconds"))
        write_whole(to, page if to.suffix == ".html" else sheets.markdown(shown))
    if as_json:
        show_json({"model": model, "quantised": str(found.quantised), **plain(losses)})
    elif markdown:
        typer.echo(sheets.markdown(shown), nl=False)
    else:
        console().print(sheets.console(shown))
    return 0
