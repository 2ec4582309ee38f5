"""`edgepipe remedy`: quantise without losing accuracy, by the first remedy that is good enough."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgepipe.cli.output import Json, Markdown, Quiet, console, progress, show_json
from edgepipe.cli.training import Allow, Data, Memory, Seed, Target, Test, Timeout, To, Trust

if TYPE_CHECKING:
    from edgepipe.losses import Ladder
    from edgepipe.pipeline.recipe import Recipe


def remedy(
    model: Annotated[str, typer.Argument(help="A Keras model, or a recipe (.yaml) that ends with quantize.", show_default=False)],
    data: Data = None,
    test: Test = None,
    target: Target = "host",
    max_drop: Annotated[
        float | None,
        typer.Option(min=-100, max=100, help="Points of accuracy that may be lost.", show_default="the recipe's gate, else 1"),
    ] = None,
    per_tensor: Annotated[bool, typer.Option("--per-tensor", help="Start with one scale for each tensor of weights.")] = False,
    seed: Seed = 0,
    to: To = None,
    trust_model: Trust = False,
    allow_module: Allow = None,
    memory: Memory = None,
    timeout: Timeout = 240.0,
    markdown: Markdown = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Quantise, and where that costs too much accuracy, try remedies in order until one is good enough.

    int8; more calibration data; a scale per channel; the first and the last layer in float; 16-bit activations; training with
    the rounding in sight. What the target cannot run is passed over. The choice is made on validation data, held back from
    --data; test data is only shown. Every rung is cached: a second run with another --max-drop computes what is missing.

    Exit code 1 where no rung is good enough. `edgepipe debug-quant` tells which layers are to blame.

    [bold]Examples[/]

      edgepipe remedy model.keras --data train.npz --test test.npz --target mcu --to small.tflite

      edgepipe remedy model.keras --data digits --test 0.3 --max-drop 0.5

      edgepipe remedy recipe.yaml --json | jq .chosen
    """
    from edgepipe.errors import GateMissed, UsageError
    from edgepipe.records import as_json as plain
    from edgepipe.reports.render import remedy as render
    from edgepipe.reports.render import sheets
    from edgepipe.workflows.before_quantising import Trust as Trusting
    from edgepipe.workflows.compress import Limits
    from edgepipe.workflows.remedy import remedy as climb

    if to is not None and to.suffix != ".tflite":
        raise UsageError(f"--to {to}: the file must end in .tflite")
    recipe = _recipe(model, data, test, target, per_tensor, seed)
    own = recipe.gates.accuracy_drop_points
    allowed = max_drop if max_drop is not None else own if own is not None else 1.0
    limits = Limits(memory_bytes=int(memory * 1e9) if memory else None, timeout_s=timeout * 60)
    trust = Trusting(model=trust_model, modules=tuple(allow_module or ()))
    with progress(quiet) as emit:
        ladder = climb(recipe, max_drop_points=allowed, emit=emit, limits=limits, trust=trust)
    if to is not None and ladder.chosen:
        _copy(ladder, to)
    shown = render.sheets(Path(model).name, ladder)
    if as_json:
        show_json(plain(ladder))
    elif markdown:
        typer.echo(sheets.markdown(shown), nl=False)
    else:
        console().print(sheets.console(shown))
    if not ladder.chosen:
        raise GateMissed(
            f"no remedy keeps the loss within {allowed:g} points",
            todo="`edgepipe debug-quant` tells which layers are to blame; or allow more with --max-drop.",
        )
    return 0


def _recipe(model: str, data: str | None, test: str | None, target: str, per_tensor: bool, seed: int) -> Recipe:
    from edgepipe.cli.training import one_stage
    from edgepipe.errors import UsageError
    from edgepipe.pipeline.recipe import load_recipe

    if model.endswith((".yaml", ".yml")):
        given = {"--data": data, "--test": test, "--per-tensor": per_tensor}
        if surplus := [name for name, value in given.items() if value]:
            raise UsageError(f"{' and '.join(surplus)} beside a recipe", todo="Write it into the recipe.")
        return load_recipe(Path(model))
    parameters = {"mode": "int8", **({"per_channel": False} if per_tensor else {})}
    return one_stage("quantize", parameters, model=model, data=data, test=test, target=target, seed=seed)


def _copy(ladder: Ladder, to: Path) -> None:
    import shutil

    from edgepipe.places import whole_file

    chosen = next(each for each in ladder.rungs if each.name == ladder.chosen)
    with whole_file(to) as part:
        shutil.copyfile(Path(chosen.folder) / "model.tflite", part)
