"""A complete, made-up set of records: six rows, ten layers, four devices' worth of measurements, one of each kind of trouble."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgepipe.records import CompressionRecord, RunRecord
from edgepipe.reports.store import read_record

RECORDS = Path(__file__).parents[2] / "golden" / "records"


@pytest.fixture(scope="session")
def compression() -> CompressionRecord:
    record = read_record(RECORDS / "compression.json")
    assert isinstance(record, CompressionRecord)
    return record


@pytest.fixture(scope="session")
def runs() -> dict[str, RunRecord]:
    found = {path.stem.removeprefix("run-"): read_record(path) for path in sorted(RECORDS.glob("run-*.json"))}
    return {name: record for name, record in found.items() if isinstance(record, RunRecord)}
