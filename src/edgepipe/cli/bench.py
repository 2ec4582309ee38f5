"""`edgepipe bench`: latency and memory on a board."""

from __future__ import annotations

from typing import Annotated

import typer

from edgepipe.cli.measuring import Delegate, Inventory, Keeper, Runtime, TfliteModel, Threads, run_options
from edgepipe.cli.output import Json, Quiet, progress


def bench(
    model: TfliteModel,
    device: Annotated[
        str, typer.Option(help="Boards: names, globs or labels, such as pi4, mcu-*, lab=a; commas between.")
    ] = "local",
    inventory: Inventory = None,
    blocks: Annotated[
        int | None, typer.Option(min=1, help="Fresh processes, each timed for a second.", show_default="the inventory's, else 5")
    ] = None,
    runtime: Runtime = "litert",
    delegate: Delegate = "xnnpack",
    threads: Threads = 1,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Measure a model's latency and memory on this machine or on a board.

    Every block is a fresh process: load, first invocation, warm-up, then at least 50 timed invocations and one second of them. The
    record keeps every sample and the conditions, and goes into the store.

    [bold]Examples[/]

      edgepipe bench model.tflite

      edgepipe bench model.tflite --blocks 10 --threads 2

      edgepipe bench model.tflite --device "pi4,lab=a" --json
    """
    from edgepipe.workflows.bench import bench as run

    options, keeper = run_options(runtime, delegate, threads), Keeper()
    with progress(quiet) as emit:
        records = run(model, device=device, inventory=inventory, blocks=blocks, options=options, keep=keeper, emit=emit)
    return keeper.show(records, as_json=as_json)
