"""`edgepipe eval`: accuracy on a board."""

from __future__ import annotations

from typing import Annotated

import typer

from edgepipe.cli.measuring import Delegate, Inventory, Keeper, Runtime, TfliteModel, Threads, run_options
from edgepipe.cli.output import Json, Quiet, progress


def evaluate(
    model: TfliteModel,
    data: Annotated[
        str,
        typer.Option(help="Labelled data: .npz, folder of class folders, .csv, module:function, or digits.", show_default=False),
    ],
    device: Annotated[str, typer.Option(help="The boards that answer: names, globs or labels, such as pi4 or lab=a.")] = "local",
    inventory: Inventory = None,
    samples: Annotated[
        int | None, typer.Option("--samples", "-n", min=1, help="How many of the samples are asked.", show_default="all")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the choice of --samples among them.")] = 0,
    runtime: Runtime = "litert",
    delegate: Delegate = "auto",
    threads: Threads = 1,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Measure how well a model answers: accuracy for classes, mean squared error for numbers.

    The board computes every answer. Answers are kept as they come: where the line breaks, edgepipe connects again and goes on, and
    the same command goes on after Ctrl-C. What a microcontroller would answer is computed here with --runtime tflm.

    [bold]Examples[/]

      edgepipe eval model.tflite --data test.npz

      edgepipe eval model.tflite --data test.npz --runtime tflm

      edgepipe eval model.tflite --data test.npz --device "pi*" --samples 1000
    """
    from edgepipe.workflows.evaluate import evaluate_all as run
    from edgepipe.workflows.evaluate import read_test_data

    options, keeper = run_options(runtime, delegate, threads), Keeper()
    with progress(quiet) as emit:
        dataset = read_test_data(data, model, samples=samples, seed=seed, emit=emit)
        records = run(model, dataset, device=device, inventory=inventory, options=options, keep=keeper, emit=emit)
    return keeper.show(records, as_json=as_json)
