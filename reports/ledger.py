"""What a ledger's rows mean beside the float model: factors, paired accuracy, and in which words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgepipe.facts import CalibrationFacts
from edgepipe.records import Artefact, CompressionRecord, LedgerRow, RunRecord
from edgepipe.reports.stats import PairedDifference, paired_difference


@dataclass(frozen=True, kw_only=True)
class Line:
    """One row of the ledger with what it is against `baseline`; None where that cannot be said."""

    row: LedgerRow
    metric: str
    is_baseline: bool
    raw_factor: float | None
    gzip_factor: float | None
    difference: PairedDifference | None


def baseline(record: CompressionRecord) -> LedgerRow | None:
    """Return the float row that the others stand beside: the reference called float, else the first row."""
    references = [row for row in record.rows if row.reference]
    return next(
        (row for row in references if row.stage.startswith("float") and "16" not in row.stage), next(iter(record.rows), None)
    )


def final(record: CompressionRecord) -> LedgerRow | None:
    """Return the row of what the recipe made: its last stage."""
    return next((row for row in reversed(record.rows) if not row.reference), None)


def metric(record: CompressionRecord) -> str:
    """Return what the answers were judged by; "accuracy" where there was no test data, which alone tells another metric."""
    return record.metric or "accuracy"


def treated(record: CompressionRecord) -> tuple[LedgerRow, ...]:
    """Return the rows of stages, not of references, that say which multiply-accumulates were treated how."""
    return tuple(row for row in record.rows if row.treated and not row.reference)


def calibrations(record: CompressionRecord) -> tuple[tuple[LedgerRow, CalibrationFacts], ...]:
    """Return the rows of stages, not of references, whose ranges were taken from samples, with what these did to them."""
    files = {item.sha256: item.calibration for item in record.artefacts if item.calibration}
    return tuple((row, found) for row in record.rows if not row.reference and (found := files.get(row.artefact_sha256)) is not None)


def rewrites(record: CompressionRecord) -> tuple[str, ...]:
    """Return what was written otherwise before any stage, one line each."""
    lines = record.artefacts[0].parameters.get("rewrites", ()) if record.artefacts else ()
    return tuple(str(line) for line in lines) if isinstance(lines, list | tuple) else ()


def artefact(record: CompressionRecord, row: LedgerRow) -> Artefact | None:
    """Return the artefact behind a row; None where the record does not hold it."""
    return next((item for item in record.artefacts if item.sha256 == row.artefact_sha256), None)


def proved(record: CompressionRecord) -> tuple[tuple[str, Artefact], ...]:
    """Return every file on which something was proved, once, with the name of the last stage that it is the result of."""
    stages = {row.artefact_sha256: row.stage for row in record.rows}
    files = {item.sha256: item for item in record.artefacts if item.proofs}
    return tuple((stages.get(sha256, item.stage), item) for sha256, item in files.items())


def named(runs: Sequence[RunRecord], compressions: Sequence[CompressionRecord] = ()) -> tuple[RunRecord, ...]:
    """Return the measurements with names that tell them apart: files of one name get that of their stage, else their hash."""
    rows = [(row, record) for record in compressions for row in record.rows]
    stages = {row.artefact_sha256: row.stage for row, _ in rows}
    stages |= {row.artefact_sha256: f"{row.stage} · {record.recipe}" for row, record in rows if not row.reference}
    files: dict[str, set[str]] = {}
    for run in runs:
        files.setdefault(run.artefact_name, set()).add(run.artefact_sha256)
    return tuple(
        replace(run, artefact_name=stages.get(run.artefact_sha256) or f"{run.artefact_name} {run.artefact_sha256[:8]}")
        if len(files[run.artefact_name]) > 1
        else run
        for run in runs
    )


def lines(record: CompressionRecord) -> tuple[Line, ...]:
    """Return every row beside the float one, in the record's order."""
    base = baseline(record)
    return tuple(_line(row, base, record.metric) for row in record.rows)


def _line(row: LedgerRow, base: LedgerRow | None, metric: str) -> Line:
    return Line(
        row=row,
        metric=metric,
        is_baseline=row is base,
        raw_factor=base.raw_bytes / row.raw_bytes if base and row.raw_bytes else None,
        gzip_factor=base.gzip_bytes / row.gzip_bytes if base and row.gzip_bytes else None,
        difference=_difference(base, row) if base and row is not base else None,
    )


def _difference(base: LedgerRow, row: LedgerRow) -> PairedDifference | None:
    if not base.correct or not row.correct or len(base.correct) != len(row.correct):
        return None
    return paired_difference(base.correct, row.correct)
