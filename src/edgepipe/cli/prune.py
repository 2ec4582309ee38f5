"""`edgepipe prune`: the prune stage by itself."""

from __future__ import annotations

from typing import Annotated

import typer

from edgepipe.cli.output import Json, Quiet
from edgepipe.cli.training import Data, Epochs, LearningRate, Memory, Model, Seed, Target, Test, Timeout, To, Trust


def prune(
    model: Model,
    data: Data = None,
    test: Test = None,
    sparsity: Annotated[float, typer.Option(help="Share of the weights to set to zero in each layer, 0 to 1.")] = 0.8,
    begin_percent: Annotated[float, typer.Option(help="When pruning starts, in percent of the training.")] = 0.0,
    end_percent: Annotated[float, typer.Option(help="When the full sparsity is reached, in percent of the training.")] = 60.0,
    epochs: Epochs = None,
    learning_rate: LearningRate = None,
    target: Target = "host",
    seed: Seed = 0,
    to: To = None,
    trust_model: Trust = False,
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
    """
    from edgepipe.cli.training import one_stage, run_recipe

    parameters = {
        "sparsity": sparsity,
        "begin_percent": begin_percent,
        "end_percent": end_percent,
        "epochs": epochs,
        "learning_rate": learning_rate,
    }
    recipe = one_stage("prune", parameters, model=model, data=data, test=test, target=target, seed=seed)
    return run_recipe(recipe, memory=memory, timeout=timeout, as_json=as_json, quiet=quiet, to=to, trusted=trust_model)
