"""Which measurements a page shows: the youngest of each, but no failure of the farm in the place of one that went well."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from counted_runs import record

from edgepipe.records import RunOutcome, RunRecord
from edgepipe.reports.store import Store
from edgepipe.workflows.report import report


def at(minute: int, outcome: RunOutcome) -> RunRecord:
    started = f"2026-11-22T04:{minute:02}:00Z"
    return dataclasses.replace(record((1, 2)), id=f"{minute:032x}", started_utc=started, outcome=outcome, reason=str(outcome))


def shown(store: Store) -> list[tuple[str, RunOutcome]]:
    return [(run.started_utc[14:16], run.outcome) for run in report(store).runs]


def test_a_dead_board_hides_no_measurement_and_a_rejected_model_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEPIPE_RESULTS", str(tmp_path))
    store = Store()
    store.add(at(1, RunOutcome.OK))
    store.add(at(2, RunOutcome.INFRA))
    assert shown(store) == [("01", RunOutcome.OK)]
    store.add(at(3, RunOutcome.REJECTED))
    assert shown(store) == [("03", RunOutcome.REJECTED)]
    store.add(at(4, RunOutcome.OK))
    assert shown(store) == [("04", RunOutcome.OK)]
