"""One self-contained page: no request, no font, no library. Every string of a model or a device is escaped by the template."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from edgepipe.records import CompressionRecord, LedgerRow, RunRecord
from edgepipe.reports import chip, energy, ledger, summary, words
from edgepipe.reports.caveats import caveats
from edgepipe.reports.render import charts, chips, curves, layers, traces
from edgepipe.version import VERSION

FOLDER = Path(__file__).parent
MOST_CHIPS = 6  # microcontrollers' runs whose operators are drawn
MOST_RIDGES = 12  # measurements whose distributions are drawn; all of them stand in the table


def html_report(compressions: Sequence[CompressionRecord], runs: Sequence[RunRecord]) -> str:
    """Return the page, the same for the same records. It holds 200 quantiles a block, not the samples."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    environment.globals.update(
        words=words,
        charts=charts,
        chip=chip,
        chips=chips,
        curves=curves,
        energies=energy,
        layers=layers,
        ledger=ledger,
        summary=summary,
        traces=traces,
    )
    runs = ledger.named(runs, compressions)
    records: tuple[CompressionRecord | RunRecord, ...] = (*compressions, *runs)
    script = (FOLDER / "report.js").read_text(encoding="utf-8")
    timed = [run for run in runs if run.blocks or run.reason]
    return environment.get_template("report.html.jinja").render(
        title=" · ".join(dict.fromkeys(record.recipe for record in compressions)) or "measurements",
        moment=words.moment(max(record.started_utc for record in records)),
        compressions=compressions,
        runs=timed,
        answers=[run for run in runs if run.accuracy],
        ridges=[(run, chart) for run in timed if (chart := charts.distribution(run))][:MOST_RIDGES],
        metered=[run for run in timed if run.energy],
        counted=[run for run in timed if chip.steps(run) or chip.rooms(run)][:MOST_CHIPS],
        caveats=caveats(compressions, runs),
        versions=_versions(compressions, runs),
        figures=_figures,
        style=(FOLDER / "report.css").read_text(encoding="utf-8"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        version=VERSION,
    )


def _figures(record: CompressionRecord) -> list[tuple[str, str, str]]:
    """Return the headline figures of a recipe: (value, what it is, how it is known)."""
    line = next((line for line in reversed(ledger.lines(record)) if line.row is ledger.final(record)), None)
    if line is None:
        return []
    base = ledger.baseline(record)
    before = words.kilobytes(base.gzip_bytes) if base else words.DASH
    size = (words.factor(line.gzip_factor), "smaller", f"gzip -9: {before} to {words.kilobytes(line.row.gzip_bytes)}")
    return [size, _accuracy_figure(line, record), _latency_figure(line.row), _arena_figure(line.row)]


def _accuracy_figure(line: ledger.Line, record: CompressionRecord) -> tuple[str, str, str]:
    if line.row.accuracy is None:
        return words.DASH, ledger.metric(record), "not measured: no test data"
    shown = words.share(record.metric, line.row.accuracy)
    if line.difference is None:
        return shown, record.metric, f"{record.test_samples} samples; single answers not kept"
    return shown, record.metric, f"{words.points(line.difference)} points against float, {record.test_samples} samples"


def _latency_figure(row: LedgerRow) -> tuple[str, str, str]:
    return (
        words.microseconds(row.latency_us),
        "per inference",
        "median on this machine" if row.latency_us is not None else "not measured",
    )


def _arena_figure(row: LedgerRow) -> tuple[str, str, str]:
    return (
        words.kilobytes(row.arena_bytes),
        "arena",
        "smallest that TFLM runs in" if row.arena_bytes is not None else "not measured",
    )


def _versions(compressions: Sequence[CompressionRecord], runs: Sequence[RunRecord]) -> dict[str, str]:
    """Return every tool with its version; several where the records disagree."""
    found: dict[str, dict[str, None]] = {}
    records: tuple[CompressionRecord | RunRecord, ...] = (*compressions, *runs)
    for record in records:
        found.setdefault("edgepipe", {})[record.edgepipe_version or "unknown"] = None
    for artefact in (artefact for record in compressions for artefact in record.artefacts):
        for tool, version in artefact.versions.items():
            found.setdefault(tool, {})[version] = None
    for run in filter(lambda run: summary.is_told(run.runtime), runs):
        found.setdefault(run.runtime.name, {})[run.runtime.version] = None
    return {tool: ", ".join(versions) for tool, versions in sorted(found.items())}
