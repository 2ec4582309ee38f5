"""Measure a model's latency and memory on one board or several."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgepipe.devices.connect import connect_workable
from edgepipe.devices.inventory import DeviceEntry, Inventory, load_inventory
from edgepipe.devices.metering import Metering
from edgepipe.devices.protocols import Conditions, RunOptions
from edgepipe.devices.selector import select
from edgepipe.devices.session import Session, failed, unidentified, unpinned
from edgepipe.devices.stopping import Stop
from edgepipe.devices.work import WorkRequest
from edgepipe.errors import InfrastructureError, ModelRejected, UsageError
from edgepipe.events import Emit, Note
from edgepipe.facts import ModelFacts
from edgepipe.pipeline.export.arena import find_arena, has_tflm
from edgepipe.pipeline.inspect.edgetpu_share import mac_share
from edgepipe.pipeline.inspect.flatbuffer import read_model
from edgepipe.places import results_dir
from edgepipe.records import MemoryUse, RunOutcome, RunRecord
from edgepipe.workflows.placing import place
from edgepipe.workflows.preflight import fits
from edgepipe.workflows.side_by_side import Line, drop, line, side_by_side

PLAIN = RunOptions()


def bench(
    model: Path,
    *,
    device: str = "local",
    inventory: Path | None = None,
    blocks: int | None = None,
    options: RunOptions = RunOptions(),
    conditions: Conditions = Conditions(),
    power: WorkRequest | None = None,
    keep: Callable[[RunRecord], None] = drop,
    emit: Emit,
) -> tuple[RunRecord, ...]:
    """Return one record for each board that the selector `device` means, in the inventory's order; several run side by side.

    `blocks` None takes the inventory's default. With `power`, each board's meter measures its energy too, in the loops that are
    asked for; what goes wrong with that leaves the latency as it is. `keep` is given each record as soon as it is there. A board
    that cannot be reached costs its own record only: its outcome is `infra`. Raises UsageError (ModelFileError, InventoryError,
    UnsupportedModel) before any board is touched; Interrupted and Terminated after every board was let go of.
    """
    _, facts = read_model(model)
    farm = load_inventory(inventory)
    entries = select(farm, device)
    count = farm.defaults.blocks if blocks is None else blocks
    if count < 1:
        raise UsageError("a bench takes at least one block", todo="Give --blocks 5, or more for a finer answer.")
    task = _Task(
        model=model,
        facts=facts,
        blocks=count,
        options=place(model.name, facts, entries, options),
        conditions=conditions,
        tpu_mac_share=mac_share(model, facts),
        meters=_meters(farm, entries) if power else {},
        power=power,
        emit=emit,
    )
    return side_by_side(entries, task.run, words=became, keep=keep, emit=emit)


@dataclass(frozen=True, kw_only=True)
class _Task:
    """What every board is to do."""

    model: Path
    facts: ModelFacts
    blocks: int
    options: RunOptions
    conditions: Conditions
    tpu_mac_share: float | None
    meters: Mapping[str, Metering]
    power: WorkRequest | None
    emit: Emit

    def run(self, entry: DeviceEntry, stop: Stop) -> RunRecord:
        """Have one board do it."""
        model, facts, options = self.model, self.facts, self.options
        with line(self.emit, f"bench {model.name} on {entry.name}", self.blocks, "blocks") as shown:
            try:
                record = self._measured(entry, stop, shown)
            except InfrastructureError as exc:
                record = failed("bench", unidentified(entry), model, facts, options, exc)
            shown.ends(ended(record), failed=record.outcome is not RunOutcome.OK)
            unsteady = _unsteady(record) if self.conditions.steady and entry.governor == "performance" else ""
            for words in filter(None, (unsteady, unpinned(entry, record.device), _unheeded(entry, options))):
                self.emit(Note(text=words, warning=True))
            if coarse := _coarse(record):
                self.emit(Note(text=coarse))
            return replace(record, tpu_mac_share=self.tpu_mac_share, memory=self._memory(record))

    def _measured(self, entry: DeviceEntry, stop: Stop, shown: Line) -> RunRecord:
        """Open the board, behind its meter where there is one, and measure."""
        check = fits(self.model, self.facts, entry)
        if self.power is None:
            with Session(entry, stop=stop, fits=check) as session:
                return self._benched(session, shown)
        board = connect_workable(entry)
        with self.meters[entry.name].heeding(stop) as meter, Session(entry, board=board, stop=stop, fits=check) as session:
            record = self._benched(session, shown)
            if record.outcome is not RunOutcome.OK:
                return record
            shown(self.blocks, "measuring its energy")
            request = replace(self.power, options=self.options)
            trace = results_dir() / "traces" / f"{record.id}.trace"
            return replace(record, energy=meter.measure(board, self.facts.sha256, request, trace))

    def _benched(self, session: Session, shown: Line) -> RunRecord:
        return session.bench(
            self.model, self.facts, blocks=self.blocks, options=self.options, conditions=self.conditions, advance=shown
        )

    def _memory(self, record: RunRecord) -> MemoryUse | None:
        """Return a microcontroller's memory with what TFLite Micro takes of this machine's, where that is installed."""
        if record.memory is None or record.outcome is not RunOutcome.OK or not has_tflm():
            return record.memory
        try:
            return replace(record.memory, host_arena_bytes=find_arena(self.model).smallest_bytes)
        except ModelRejected:  # the board's engine is another one, and takes it
            return record.memory


def _meters(farm: Inventory, entries: Sequence[DeviceEntry]) -> dict[str, Metering]:
    """Return the meter of each board. Raises UsageError with every board that has none, or cannot be measured with it."""
    meters, problems = dict[str, Metering](), list[str]()
    for entry in entries:
        try:
            connect_workable(entry)
            meters[entry.name] = Metering(entry, farm.devices)
        except UsageError as exc:
            problems.append(f"{exc.what}. {exc.todo}")
    if problems:
        raise UsageError("not every board's energy can be measured, and none was", problems=problems, todo="Leave --power out.")
    return meters


def _unsteady(record: RunRecord) -> str:
    """Say under which governor a board was measured where that was not to be performance; "" where it was, or is not known."""
    governors = {moment.governor for block in record.blocks for moment in (block.before, block.after)} - {None, "performance"}
    if not governors:
        return ""
    name = record.device.name
    words = f"{name} was measured under the governor {', '.join(sorted(map(str, governors)))}, which edgepipe may not change there"
    return f"{words}; edgepipe farm probe {name} says what to do"


def _unheeded(entry: DeviceEntry, options: RunOptions) -> str:
    """Say which options mean nothing to a microcontroller, whose firmware runs a model in one way; "" where none was given."""
    given = {
        "--threads": options.threads != PLAIN.threads,
        "--runtime": options.runtime != PLAIN.runtime,
        "--delegate": options.delegate != PLAIN.delegate,
        "--affinity": options.affinity is not None,
    }
    asked = ", ".join(name for name, is_given in given.items() if is_given)
    if entry.board != "mcu" or not asked:
        return ""
    return f"{entry.name} does not heed {asked}: its firmware runs a model in one way"


def _coarse(record: RunRecord) -> str:
    """Say how finely a board told the time where that was not each run by itself."""
    steps = [(block.resolution_ns, block.stride) for block in record.blocks if block.resolution_ns is not None]
    if not steps:
        return ""
    coarsest_ns, runs = max(steps)
    return f"{record.device.name} tells no single runs: a sample is the mean of {runs:,}, to {coarsest_ns / 1000:.3g} us"


def ended(record: RunRecord) -> str:
    """Return in a few words how a run ended, "" for well."""
    return "" if record.outcome is RunOutcome.OK else f"{record.outcome}: {record.reason.splitlines()[0]}"


def became(record: RunRecord) -> str:
    """Return what became of a run that was done, or stopped, when all were."""
    done = "done" if record.energy is None or not record.energy.reason else f"done, but for its energy: {record.energy.reason}"
    return f"{ended(record) or done}; the record is kept"
