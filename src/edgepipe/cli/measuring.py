"""What the verbs that measure have in common: their options, and keeping and showing what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgepipe.cli.output import console, show_json
from edgepipe.errors import InfrastructureError, InvalidRun, ModelRejected, worst_exit_code

if TYPE_CHECKING:
    from edgepipe.devices.protocols import RunOptions
    from edgepipe.records import RunRecord

TfliteModel = Annotated[Path, typer.Argument(help="A .tflite file.", show_default=False)]
Inventory = Annotated[
    Path | None,
    typer.Option(help="The inventory of boards.", show_default="EDGEPIPE_INVENTORY, ./farm_inventory.yaml, ~/.config/edgepipe"),
]
Runtime = Annotated[str, typer.Option(help="What runs the model: litert, or tflm, whose answers are a microcontroller's.")]
Delegate = Annotated[str, typer.Option(help="LiteRT's kernels: xnnpack, none (built-in), or ref (slow, exact).")]
Threads = Annotated[int, typer.Option(min=1, help="Threads that the model may use.")]
EXIT_CODES = {"ok": 0, "rejected": ModelRejected.exit_code, "invalid": InvalidRun.exit_code, "infra": InfrastructureError.exit_code}


def run_options(runtime: str, delegate: str, threads: int) -> RunOptions:
    """Return the options of a run."""
    from edgepipe.devices.protocols import RunOptions

    return RunOptions(runtime=runtime, delegate=delegate, threads=threads)


def keep_and_show(records: Sequence[RunRecord], *, as_json: bool) -> int:
    """Put the records into the store, show them, and return the exit code that their outcomes make."""
    from edgepipe.records import as_json as plain
    from edgepipe.reports.render.console import runs
    from edgepipe.reports.store import Store

    store = Store()
    files = [store.add(record) for record in records]
    codes = [EXIT_CODES[record.outcome] for record in records]
    if as_json:
        cells = zip(records, files, codes, strict=True)
        show_json({"runs": [{"exit_code": code, "file": str(file), "record": plain(record)} for record, file, code in cells]})
    else:
        console().print(runs(records))
    return worst_exit_code(codes)
