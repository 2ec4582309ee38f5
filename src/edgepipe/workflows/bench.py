"""Measure a model's latency and memory on one board or several."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgepipe.devices.inventory import DeviceEntry, load_inventory
from edgepipe.devices.protocols import RunOptions
from edgepipe.devices.selector import select
from edgepipe.devices.session import Session, failed
from edgepipe.devices.stopping import Stop
from edgepipe.errors import InfrastructureError, UsageError
from edgepipe.events import Emit
from edgepipe.facts import ModelFacts
from edgepipe.pipeline.inspect.flatbuffer import read_model
from edgepipe.records import RunOutcome, RunRecord
from edgepipe.workflows.side_by_side import drop, line, side_by_side


def bench(
    model: Path,
    *,
    device: str = "local",
    inventory: Path | None = None,
    blocks: int | None = None,
    options: RunOptions = RunOptions(),
    keep: Callable[[RunRecord], None] = drop,
    emit: Emit,
) -> tuple[RunRecord, ...]:
    """Return one record for each board that the selector `device` means, in the inventory's order; several run side by side.

    `blocks` None takes the inventory's default. `keep` is given each record as soon as it is there. A board that cannot be reached
    costs its own record only: its outcome is `infra`. Raises UsageError (ModelFileError, InventoryError) before any board is
    touched; Interrupted and Terminated after every board was let go of.
    """
    _, facts = read_model(model)
    farm = load_inventory(inventory)
    entries = select(farm, device)
    count = farm.defaults.blocks if blocks is None else blocks
    if count < 1:
        raise UsageError("a bench takes at least one block", todo="Give --blocks 5, or more for a finer answer.")

    def run(entry: DeviceEntry, stop: Stop) -> RunRecord:
        return _bench_one(entry, model, facts, count, options, stop, emit)

    return side_by_side(entries, run, words=became, keep=keep)


def _bench_one(
    entry: DeviceEntry, model: Path, facts: ModelFacts, blocks: int, options: RunOptions, stop: Stop, emit: Emit
) -> RunRecord:
    with line(emit, f"bench {model.name} on {entry.name}", blocks, "blocks") as shown:
        try:
            with Session(entry, stop=stop) as session:
                record = session.bench(model, facts, blocks=blocks, options=options, advance=shown)
        except InfrastructureError as exc:
            record = failed("bench", entry, model, facts, options, exc)
        shown.ends(ended(record), failed=record.outcome is not RunOutcome.OK)
        return record


def ended(record: RunRecord) -> str:
    """Return in a few words how a run ended, "" for well."""
    return "" if record.outcome is RunOutcome.OK else f"{record.outcome}: {record.reason.splitlines()[0]}"


def became(record: RunRecord) -> str:
    """Return what became of a run that was done, or stopped, when all were."""
    return f"{ended(record) or 'done'}; the record is kept"
