"""`edgepipe quantize`: the quantize stage by itself."""

from __future__ import annotations

from typing import Annotated

import typer

from edgepipe.cli.output import Json, Quiet
from edgepipe.cli.training import Data, Epochs, LearningRate, Memory, Model, Seed, Target, Test, Timeout, To, Trust


def quantize(
    model: Model,
    data: Data = None,
    test: Test = None,
    mode: Annotated[str, typer.Option(help="float16, dynamic, int8, or qat (int8 with training).")] = "int8",
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
    """Use fewer bits for each number: int8 is a quarter of the size and what microcontrollers run.

    int8 takes its ranges from the data; that no float tensor is left is read back from the file.

    [bold]Examples[/]

      edgepipe quantize model.keras --data train.npz --test test.npz --to model.tflite

      edgepipe quantize model.keras --mode qat --data digits --test 0.3 --target mcu

      edgepipe quantize model.keras --mode float16 --to half.tflite
    """
    from edgepipe.cli.training import one_stage, run_recipe

    parameters = {"mode": mode, "epochs": epochs, "learning_rate": learning_rate}
    recipe = one_stage("quantize", parameters, model=model, data=data, test=test, target=target, seed=seed)
    return run_recipe(recipe, memory=memory, timeout=timeout, as_json=as_json, quiet=quiet, to=to, trusted=trust_model)
