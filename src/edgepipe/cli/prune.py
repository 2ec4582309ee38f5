"""`edgepipe prune`: the prune stage by itself."""

from __future__ import annotations

from typing import Annotated

import typer

from edgepipe.cli.layer_options import PerLayer
from edgepipe.cli.output import Json, Quiet
from edgepipe.cli.training import Allow, Data, Epochs, LearningRate, Memory, Model, Seed, Target, Test, Timeout, To, Trust


def prune(
    model: Model,
    data: Data = None,
    test: Test = None,
    sparsity: Annotated[float, typer.Option(help="Share of the weights to set to zero in each layer, 0 to 1.")] = 0.8,
    block: Annotated[
        str | None, typer.Option(metavar="HxW", help="Zeros in blocks of inputs x outputs; dense layers only.", show_default="none")
    ] = None,
    pattern: Annotated[
        str | None, typer.Option(help="2:4, two zeros in any four weights, in place of --sparsity.", show_default="none")
    ] = None,
    layer: PerLayer = None,
    begin_percent: Annotated[float, typer.Option(help="When pruning starts, in percent of the training.")] = 0.0,
    end_percent: Annotated[float, typer.Option(help="When the full sparsity is reached, in percent of the training.")] = 60.0,
    epochs: Epochs = None,
    learning_rate: LearningRate = None,
    target: Target = "host",
    seed: Seed = 0,
    to: To = None,
    trust_model: Trust = False,
    allow_module: Allow = None,
    memory: Memory = None,
    timeout: Timeout = 240.0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Set the smallest weights to zero while training on.

    The zeros are counted in the file that was written; more or less than asked by one point is an error.

    [bold]Examples[/]

      edgepipe prune model.keras --data train.npz --test test.npz --sparsity 0.8 --to pruned.keras

      edgepipe prune model.keras --data digits --test 0.3

      edgepipe prune model.keras --data train.npz --sparsity 0.8 --layer "conv*=0.5" --layer head=0

      edgepipe prune model.keras --data train.npz --pattern 2:4

      edgepipe prune model.keras --data train.npz --block 4x1
    """
    from edgepipe.cli.layer_options import numbers_by_layer
    from edgepipe.cli.training import one_stage, run_recipe

    parameters = {
        "sparsity": None if pattern else sparsity,
        "pattern": pattern,
        "block": _sizes(block),
        "layers": numbers_by_layer(layer),
        "begin_percent": begin_percent,
        "end_percent": end_percent,
        "epochs": epochs,
        "learning_rate": learning_rate,
    }
    recipe = one_stage("prune", parameters, model=model, data=data, test=test, target=target, seed=seed)
    return run_recipe(
        recipe, memory=memory, timeout=timeout, as_json=as_json, quiet=quiet, to=to, trusted=trust_model, modules=allow_module
    )


def _sizes(block: str | None) -> list[int] | None:
    """Return [1, 4] for '1x4'. Raises UsageError for anything else."""
    from edgepipe.errors import UsageError

    if block is None:
        return None
    sizes = block.lower().split("x")
    if len(sizes) != 2 or not all(size.isdecimal() for size in sizes):
        raise UsageError(f"--block {block}: it must be two sizes, inputs x outputs", todo="For example --block 4x1.")
    return [int(size) for size in sizes]
