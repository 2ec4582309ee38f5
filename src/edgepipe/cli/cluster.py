"""`edgepipe cluster`: the cluster stage by itself."""

from __future__ import annotations

from typing import Annotated

import typer

from edgepipe.cli.layer_options import PerLayer
from edgepipe.cli.output import Json, Quiet
from edgepipe.cli.training import Allow, Data, Epochs, LearningRate, Memory, Model, Seed, Target, Test, Timeout, To, Trust


def cluster(
    model: Model,
    data: Data = None,
    test: Test = None,
    clusters: Annotated[int, typer.Option(help="Distinct values in each layer.")] = 16,
    init: Annotated[str, typer.Option(help="Where the values start: linear, random, density or kmeans++.")] = "kmeans++",
    per_channel: Annotated[
        bool, typer.Option("--per-channel", help="Convolutions: values of its own for each output channel.")
    ] = False,
    layer: PerLayer = None,
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
    """Let the weights of a layer share a few values.

    Zeros of an earlier pruning stay zero. The values are counted in the file that was written.

    [bold]Examples[/]

      edgepipe cluster pruned.keras --data train.npz --clusters 16 --to clustered.keras

      edgepipe cluster model.keras --data train.npz --clusters 8 --per-channel --layer head=0
    """
    from edgepipe.cli.layer_options import numbers_by_layer
    from edgepipe.cli.training import one_stage, run_recipe

    parameters = {
        "clusters": clusters,
        "init": init,
        "per_channel": per_channel or None,
        "layers": numbers_by_layer(layer),
        "epochs": epochs,
        "learning_rate": learning_rate,
    }
    recipe = one_stage("cluster", parameters, model=model, data=data, test=test, target=target, seed=seed)
    return run_recipe(
        recipe, memory=memory, timeout=timeout, as_json=as_json, quiet=quiet, to=to, trusted=trust_model, modules=allow_module
    )
