"""Measure a model's latency and memory on one board or several."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from edgepipe.devices.inventory import DeviceEntry, load_inventory
from edgepipe.devices.protocols import RunOptions
from edgepipe.devices.selector import select
from edgepipe.devices.session import Session, unreached
from edgepipe.errors import InfrastructureError, UsageError
from edgepipe.events import Emit
from edgepipe.facts import ModelFacts
from edgepipe.pipeline.inspect.flatbuffer import read_model
from edgepipe.records import RunRecord


def bench(
    model: Path,
    *,
    device: str = "local",
    inventory: Path | None = None,
    blocks: int | None = None,
    options: RunOptions = RunOptions(),
    emit: Emit,
) -> tuple[RunRecord, ...]:
    """Return one record for each board that the selector `device` means, in the inventory's order; several run side by side.

    `blocks` None takes the inventory's default. A board that cannot be reached costs its own record only: its outcome is `infra`.
    Raises UsageError (ModelFileError, InventoryError) before any board is touched.
    """
    _, facts = read_model(model)
    farm = load_inventory(inventory)
    entries = select(farm, device)
    count = farm.defaults.blocks if blocks is None else blocks
    if count < 1:
        raise UsageError("a bench takes at least one block", todo="Give --blocks 5, or more for a finer answer.")
    return side_by_side(entries, lambda entry: _bench_one(entry, model, facts, count, options, emit))


def side_by_side(entries: Sequence[DeviceEntry], run: Callable[[DeviceEntry], RunRecord]) -> tuple[RunRecord, ...]:
    """Run on all boards at the same time, each in a thread that an interrupt leaves behind; raises what the first one raised.

    A board whose host ends, however it ends, frees itself.
    """
    if len(entries) == 1:
        return (run(entries[0]),)
    records: dict[str, RunRecord] = {}
    failures: dict[str, BaseException] = {}

    def work(entry: DeviceEntry) -> None:
        try:
            records[entry.name] = run(entry)
        except BaseException as exc:  # noqa: BLE001  a thread's end: the caller raises it
            failures[entry.name] = exc

    threads = [threading.Thread(target=work, args=(entry,), name=f"board {entry.name}", daemon=True) for entry in entries]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for entry in entries:
        if entry.name in failures:
            raise failures[entry.name]
    return tuple(records[entry.name] for entry in entries)


def _bench_one(entry: DeviceEntry, model: Path, facts: ModelFacts, blocks: int, options: RunOptions, emit: Emit) -> RunRecord:
    try:
        with Session(entry, emit=emit) as session:
            return session.bench(model, facts, blocks=blocks, options=options)
    except InfrastructureError as exc:
        return unreached(entry, model, facts, options, exc)
