"""What the verbs that measure have in common: their options, and keeping and showing what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgepipe.cli.output import console, show_json
from edgepipe.errors import InfrastructureError, InvalidRun, ModelRejected, UsageError, worst_exit_code

if TYPE_CHECKING:
    from edgepipe.devices.protocols import RunOptions
    from edgepipe.records import RunRecord

TfliteModel = Annotated[Path, typer.Argument(help="A .tflite file.", show_default=False)]
Inventory = Annotated[
    Path | None,
    typer.Option(help="The inventory of boards.", show_default="EDGEPIPE_INVENTORY, ./farm_inventory.yaml, ~/.config/edgepipe"),
]
Runtime = Annotated[
    str,
    typer.Option(
        help="What runs the model: litert; tflite where a board has only that; tflm, whose answers are a microcontroller's."
    ),
]
Delegate = Annotated[
    str,
    typer.Option(
        help="LiteRT's kernels: xnnpack, none (built-in), or ref (slow, exact); edgetpu for what is compiled for a Coral board.",
        show_default="edgetpu for *_edgetpu.tflite, else xnnpack",
    ),
]
Threads = Annotated[int, typer.Option(min=1, help="Threads that the model may use.")]
MOST_DIGITS = 8  # of two cores; Linux knows up to 8192
EXIT_CODES = {"ok": 0, "rejected": ModelRejected.exit_code, "invalid": InvalidRun.exit_code, "infra": InfrastructureError.exit_code}


def run_options(runtime: str, delegate: str, threads: int, affinity: str | None = None) -> RunOptions:
    """Return the options of a run. Raises UsageError for cores that are no numbers."""
    from edgepipe.devices.protocols import RunOptions

    return RunOptions(runtime=runtime, delegate=delegate, threads=threads, affinity=_cores(affinity) if affinity else None)


def _cores(text: str) -> tuple[int, ...]:
    """Return the cores of a list as taskset(1) takes it: 0,2 or 2-3."""
    cores: list[int] = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        found = first.isdecimal() and (last or first).isdecimal() and len(first + last) <= MOST_DIGITS
        if not found or int(last or first) < int(first):
            raise UsageError(f'"{text}" is no list of cores', todo="Write --affinity 2, 0,2 or 2-3.")
        cores += range(int(first), int(last or first) + 1)
    return tuple(dict.fromkeys(cores))


class Keeper:
    """Puts each record into the store as soon as it is there, so that nobody's end costs a board that was done."""

    def __init__(self) -> None:
        self._files: dict[str, Path] = {}

    def __call__(self, record: RunRecord) -> None:
        """Keep a record. Raises StorageError."""
        from edgepipe.reports.store import Store

        self._files[record.id] = Store().add(record)

    def show(self, records: Sequence[RunRecord], *, as_json: bool) -> int:
        """Show what was kept, and return the exit code that the outcomes make."""
        from edgepipe.records import as_json as plain
        from edgepipe.reports.render.console import runs

        codes = [EXIT_CODES[record.outcome] for record in records]
        if as_json:
            cells = zip(records, codes, strict=True)
            kept = [{"exit_code": code, "file": str(self._files[record.id]), "record": plain(record)} for record, code in cells]
            show_json({"runs": kept})
        else:
            console().print(runs(records))
        return worst_exit_code(codes)
