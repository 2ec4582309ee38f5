"""Measurements as a DataFrame: tidy, and honest about what is missing."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from edgepipe.records import RunRecord
from edgepipe.reports import load, to_csv
from edgepipe.reports.frame import frame
from edgepipe.reports.store import Store

Runs = dict[str, RunRecord]


def test_there_is_one_row_a_block_and_one_for_a_measurement_without(runs: Runs) -> None:
    table = frame(runs.values())
    assert len(table) == sum(max(1, len(run.blocks)) for run in runs.values())
    assert list(table[table["run_id"] == runs["local-float"].id]["block"]) == [0, 1, 2, 3, 4]
    assert table[table["run_id"] == runs["local-eval"].id]["block"].isna().all()


def test_units_are_in_the_names_and_the_values(runs: Runs) -> None:
    row = frame([runs["local-float"]]).iloc[0]
    block = runs["local-float"].blocks[0]
    assert block.median_ns is not None
    assert row["median_us"] == pytest.approx(block.median_ns / 1000)
    assert row["min_us"] <= row["median_us"] <= row["p90_us"] <= row["p99_us"] <= row["max_us"]
    assert str(row["started_utc"].tz) == "UTC"


def test_what_was_not_measured_is_empty_never_zero(runs: Runs) -> None:
    row = frame([runs["emulated-small"]]).iloc[0]
    for column in ("p90_us", "load_us", "peak_memory_bytes", "accuracy", "energy_uj", "temperature_before_c"):
        assert pd.isna(row[column]), column
    assert row["emulated"]


def test_an_empty_store_has_all_the_columns(runs: Runs) -> None:
    assert list(frame([]).columns) == list(frame(runs.values()).columns)


def test_load_and_csv_read_the_store(tmp_path: Path, runs: Runs) -> None:
    store = Store(folder=tmp_path)
    for run in runs.values():
        store.add(run)
    to_csv(tmp_path / "blocks.csv", store)
    again = pd.read_csv(tmp_path / "blocks.csv")
    assert len(again) == len(load(store)) == len(load(tmp_path / "store.db"))
    assert list(again.columns) == list(load(store).columns)
