"""`edgepipe eval`: accuracy on a board."""

from __future__ import annotations

from typing import Annotated

import typer

from edgepipe.cli.measuring import Delegate, Inventory, Runtime, TfliteModel, Threads, keep_and_show, run_options
from edgepipe.cli.output import Json, Quiet, progress


def evaluate(
    model: TfliteModel,
    data: Annotated[
        str,
        typer.Option(help="Labelled data: .npz, folder of class folders, .csv, module:function, or digits.", show_default=False),
    ],
    device: Annotated[str, typer.Option(help="The board that answers.")] = "local",
    inventory: Inventory = None,
    runtime: Runtime = "litert",
    delegate: Delegate = "xnnpack",
    threads: Threads = 1,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Measure how well a model answers: accuracy for classes, mean squared error for numbers.

    The board computes every answer. What a microcontroller would answer is computed here with --runtime tflm.

    [bold]Examples[/]

      edgepipe eval model.tflite --data test.npz

      edgepipe eval model.tflite --data test.npz --runtime tflm
    """
    from edgepipe.workflows.evaluate import evaluate as run
    from edgepipe.workflows.evaluate import read_test_data

    options = run_options(runtime, delegate, threads)
    with progress(quiet) as emit:
        dataset = read_test_data(data, model, emit=emit)
        record = run(model, dataset, device=device, inventory=inventory, options=options, emit=emit)
    return keep_and_show((record,), as_json=as_json)
