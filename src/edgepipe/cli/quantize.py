"""`edgepipe quantize`: the quantize stage by itself."""

from __future__ import annotations

from typing import Annotated

import typer

from edgepipe.cli.output import Json, Quiet
from edgepipe.cli.training import Allow, Data, Epochs, LearningRate, Memory, Model, Seed, Target, Test, Timeout, To, Trust


def quantize(
    model: Model,
    data: Data = None,
    test: Test = None,
    mode: Annotated[str, typer.Option(help="float16, dynamic, int4, int8, int16x8, or qat (int8 with training).")] = "int8",
    float_layer: Annotated[
        list[str] | None,
        typer.Option(help="A layer that stays in float32, by name or glob; may be given several times.", show_default="none"),
    ] = None,
    per_tensor: Annotated[
        bool, typer.Option("--per-tensor", help="One scale for each weight tensor, not for each channel.")
    ] = False,
    backend: Annotated[str, typer.Option(help="Who quantises: tflite, or aeq (pip install 'edgepipe\\[aeq]').")] = "tflite",
    samples: Annotated[int | None, typer.Option(help="Samples that set the ranges.", show_default="200")] = None,
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
    """Use fewer bits for each number: int8 is a quarter of the size and what microcontrollers run.

    int8 takes its ranges from the data; that no float tensor is left is read back from the file, and a note says whether more
    samples would still move the ranges.

    [bold]Examples[/]

      edgepipe quantize model.keras --data train.npz --test test.npz --to model.tflite

      edgepipe quantize model.keras --mode qat --data digits --test 0.3 --target mcu

      edgepipe quantize model.keras --mode float16 --to half.tflite

      edgepipe quantize model.keras --data train.npz --float-layer conv1 --float-layer "head*"

      edgepipe quantize model.keras --mode int16x8 --data train.npz --target mcu
    """
    from edgepipe.cli.training import one_stage, run_recipe

    parameters = {
        "mode": mode,
        "float_layers": float_layer or None,
        "per_channel": False if per_tensor else None,
        "backend": None if backend == "tflite" else backend,
        "epochs": epochs,
        "learning_rate": learning_rate,
    }
    recipe = one_stage(
        "quantize", parameters, model=model, data=data, test=test, target=target, seed=seed, calibration_samples=samples
    )
    return run_recipe(
        recipe, memory=memory, timeout=timeout, as_json=as_json, quiet=quiet, to=to, trusted=trust_model, modules=allow_module
    )
