"""Measurements as one tidy table: a row a block, so that pandas can group them by whatever is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pandas as pd

from edgepipe.records import Block, RunOutcome, RunRecord, Snapshot
from edgepipe.reports.summary import spread

Cell = str | float | int | bool | None
_NONE = Block(index=0, outcome=RunOutcome.OK)
INTEGERS = (
    *("model_bytes", "threads", "block", "warmup_invocations", "invocations"),
    *("peak_memory_bytes", "model_memory_bytes", "accuracy_samples"),
    *("ticks", "tick_hz", "arena_room_bytes", "host_arena_bytes"),
)


def frame(records: Iterable[RunRecord]) -> pd.DataFrame:
    """Return one row a block; a measurement without blocks has one row with an empty `block`."""
    rows = [
        {**{column: read(record) for column, read in _RUN_COLUMNS.items()}, **_block(block)}
        for record in records
        for block in (record.blocks or (None,))
    ]
    columns = [*_RUN_COLUMNS, *_block(None)]
    table = pd.DataFrame(rows, columns=pd.Index(columns))
    table["started_utc"] = pd.to_datetime(table["started_utc"], utc=True, format="ISO8601")
    return table.astype(dict.fromkeys(INTEGERS, "Int64"))


_RUN_COLUMNS: dict[str, Callable[[RunRecord], Cell]] = {
    "run_id": lambda run: run.id,
    "kind": lambda run: run.kind,
    "started_utc": lambda run: run.started_utc,
    "artefact_sha256": lambda run: run.artefact_sha256,
    "artefact_name": lambda run: run.artefact_name,
    "model_bytes": lambda run: run.model_bytes,
    "device": lambda run: run.device.name,
    "board": lambda run: run.device.board,
    "serial": lambda run: run.device.serial,
    "arch": lambda run: run.device.arch,
    "emulated": lambda run: run.device.emulated,
    "runtime": lambda run: run.runtime.name,
    "runtime_version": lambda run: run.runtime.version,
    "delegate": lambda run: run.runtime.delegate,
    "threads": lambda run: run.runtime.threads,
    "outcome": lambda run: str(run.outcome),
    "reason": lambda run: run.reason,
    "accuracy_metric": lambda run: run.accuracy.metric if run.accuracy else None,
    "accuracy": lambda run: run.accuracy.value if run.accuracy else None,
    "accuracy_samples": lambda run: run.accuracy.samples if run.accuracy else None,
    "tick_hz": lambda run: run.device.tick_hz,
    "arena_room_bytes": lambda run: run.memory.arena_room_bytes if run.memory else None,
    "host_arena_bytes": lambda run: run.memory.host_arena_bytes if run.memory else None,
    "energy_uj": lambda run: run.energy.energy_uj if run.energy else None,
    "energy_uncertainty_uj_k2": lambda run: run.energy.uncertainty_uj_k2 if run.energy else None,
    "energy_dynamic_uj": lambda run: run.energy.dynamic_uj if run.energy else None,
    "energy_simulated": lambda run: run.energy.simulated or run.device.emulated if run.energy else None,
    "energy_sync_class": lambda run: str(run.energy.sync_class) if run.energy else None,
    "energy_method": lambda run: run.energy.method if run.energy else None,
    "energy_dynamic_uncertainty_uj_k2": lambda run: run.energy.dynamic_uncertainty_uj_k2 if run.energy else None,
    "energy_self_measured": lambda run: run.energy.self_measured if run.energy else None,
    "energy_reason": lambda run: run.energy.reason if run.energy else None,
}


def _block(block: Block | None) -> dict[str, Cell]:
    known = block or _NONE
    figures = spread(known)
    return {
        "block": block.index if block else None,
        "block_outcome": str(block.outcome) if block else None,
        "block_reason": block.reason if block else None,
        "load_us": _us(known.load_ns),
        "first_us": _us(known.first_ns),
        "median_us": _us(known.median_ns),
        "ticks": known.ticks,
        "p90_us": _us(figures.p90_ns),
        "p99_us": _us(figures.p99_ns),
        "min_us": _us(figures.min_ns),
        "max_us": _us(figures.max_ns),
        "mad_us": _us(figures.mad_ns),
        "warmup_invocations": block.warmup_invocations if block else None,
        "warmup_settled": block.warmup_settled if block else None,
        "invocations": block.invocations if block else None,
        "peak_memory_bytes": known.peak_memory_bytes,
        "model_memory_bytes": known.model_memory_bytes,
        "output_sha256": known.output_sha256,
        **_conditions("before", known.before),
        **_conditions("after", known.after),
    }


def _conditions(when: str, state: Snapshot) -> dict[str, Cell]:
    return {
        f"temperature_{when}_c": state.temperature_c,
        f"clock_{when}_mhz": state.clock_mhz,
        f"governor_{when}": state.governor,
        f"throttle_bits_{when}": state.throttle_bits,
        f"load_average_1m_{when}": state.load_average_1m,
        f"other_processes_{when}": state.other_processes,
    }


def _us(nanoseconds: float | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1000
