"""`edgepipe convert`: the convert stage by itself."""

from __future__ import annotations

from edgepipe.cli.output import Json, Quiet
from edgepipe.cli.training import Allow, Data, Memory, Model, Seed, Target, Test, Timeout, To, Trust


def convert(
    model: Model,
    data: Data = None,
    test: Test = None,
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
    """Turn a Keras model into a float32 .tflite with its batch fixed to 1.

    [bold]Examples[/]

      edgepipe convert model.keras --to model.tflite

      edgepipe convert saved_model/ --data train.npz --test test.npz
    """
    from edgepipe.cli.training import one_stage, run_recipe

    recipe = one_stage("convert", {}, model=model, data=data, test=test, target=target, seed=seed)
    return run_recipe(
        recipe, memory=memory, timeout=timeout, as_json=as_json, quiet=quiet, to=to, trusted=trust_model, modules=allow_module
    )
