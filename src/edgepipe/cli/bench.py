"""`edgepipe bench`: latency and memory on a board."""

from __future__ import annotations

from typing import Annotated

import typer

from edgepipe.cli.measuring import Delegate, Inventory, Keeper, Runtime, TfliteModel, Threads, run_options
from edgepipe.cli.output import Json, Quiet, progress

CONDITIONS = "Conditions"


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
    delegate: Delegate = "auto",
    threads: Threads = 1,
    affinity: Annotated[
        str | None, typer.Option(help="The cores it may run on, as 2, 0,2 or 2-3.", show_default="any", rich_help_panel=CONDITIONS)
    ] = None,
    cool_below: Annotated[
        float | None,
        typer.Option(
            help="Let a board cool down to so many degrees Celsius before each block, for two minutes in all at most.",
            show_default="the inventory's, else 70; this machine is not waited for",
            rich_help_panel=CONDITIONS,
        ),
    ] = None,
    keep_governor: Annotated[
        bool,
        typer.Option(
            "--keep-governor",
            help="Leave the governor as it is; else it is set to performance where that is allowed, and put back afterwards.",
            rich_help_panel=CONDITIONS,
        ),
    ] = False,
    power: Annotated[
        bool,
        typer.Option("--power", help="Measure the energy of an inference too, with the board's power meter: 70 seconds more."),
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Measure a model's latency and memory on this machine or on a board.

    Every block is a fresh process: load, first invocation, warm-up, then at least 50 timed invocations and one second of them. The
    record keeps every sample and the conditions, and goes into the store. A microcontroller is sent the model over its line, and
    tells the ticks of each operator; an emulated one counts instructions, once, since they are the same every time.

    [bold]Examples[/]

      edgepipe bench model.tflite

      edgepipe bench model.tflite --blocks 10 --threads 2

      edgepipe bench model.tflite --device "pi4,lab=a" --json

      edgepipe bench model.tflite --device pi4 --affinity 2-3 --threads 2 --cool-below 55

      edgepipe bench model_edgetpu.tflite --device coral --keep-governor

      edgepipe bench model.tflite --device mcu-m4-qemu

      edgepipe bench model.tflite --device pi4 --power
    """
    from edgepipe.devices.protocols import Conditions
    from edgepipe.devices.work import WorkRequest
    from edgepipe.workflows.bench import bench as run

    options, keeper = run_options(runtime, delegate, threads, affinity), Keeper()
    conditions = Conditions(steady=not keep_governor, cool_below_c=cool_below)
    with progress(quiet) as emit:
        records = run(
            model,
            device=device,
            inventory=inventory,
            blocks=blocks,
            options=options,
            conditions=conditions,
            power=WorkRequest() if power else None,
            keep=keeper,
            emit=emit,
        )
    return keeper.show(records, as_json=as_json)
