"""Records as Markdown for a pull request or a notebook. Names are escaped: no link, no mention, no table is made by one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from edgepipe.records import CompressionRecord, RunRecord, Verdict
from edgepipe.reports import chip, energy, ledger, summary, words

GATE_WORDS = {Verdict.PASS: "✓ passed", Verdict.REGRESSED: "✗ **missed**"}


def markdown_report(compressions: Sequence[CompressionRecord], runs: Sequence[RunRecord]) -> str:
    """Return the ledgers, the gates and the measurements, each as a table."""
    parts = [part for record in compressions for part in (_ledger(record), _gates(record)) if part]
    if runs:
        parts.append(_runs(ledger.named(runs, compressions)))
    return "\n\n".join(parts) + "\n"


def _ledger(record: CompressionRecord) -> str:
    head = (
        "stage",
        "raw",
        "gzip -9",
        "smaller",
        "non-zero",
        escape(ledger.metric(record)),
        "points [95 %]",
        "latency",
        "arena",
        "did it pay?",
    )
    rows = (
        (
            escape(line.row.stage) + (" _(reference)_" if line.row.reference else ""),
            words.kilobytes(line.row.raw_bytes),
            words.kilobytes(line.row.gzip_bytes),
            words.factor(line.gzip_factor),
            words.whole(line.row.nonzero),
            words.share(record.metric, line.row.accuracy),
            "baseline" if line.is_baseline else words.points(line.difference),
            words.microseconds(line.row.latency_us),
            words.kilobytes(line.row.arena_bytes),
            words.DASH if line.row.paid is None else f"{'yes' if line.row.paid else 'no'}: {escape(line.row.paid_reason)}",
        )
        for line in ledger.lines(record)
    )
    title = f"**{escape(record.recipe)}** for {escape(record.target)}, {record.test_samples} test samples"
    notes = [f"before all stages: {escape(line)}" for line in ledger.rewrites(record)]
    notes += [f"{escape(row.stage)}, {words.treatment(row.treated)}" for row in ledger.treated(record)]
    notes += [f"{escape(row.stage)}, {escape(words.calibration(found))}" for row, found in ledger.calibrations(record)]
    return "\n\n".join([title, table(head, rows), *(["\n".join(f"- {note}" for note in notes)] if notes else [])])


def _gates(record: CompressionRecord) -> str:
    rows = (
        (
            escape(gate.gate),
            words.gate_value(gate, gate.limit),
            words.gate_value(gate, gate.measured),
            GATE_WORDS.get(gate.verdict, "~ not measured"),
        )
        for gate in record.gates
    )
    return table(("gate", "at most", "measured", "verdict"), rows) if record.gates else ""


def _runs(runs: Sequence[RunRecord]) -> str:
    rows = []
    timed = [run for run in runs if summary.is_timed(run)]
    for run in timed:
        figures = summary.of(run)
        time = words.time(figures.median_ns)
        rows.append(
            (
                escape(run.artefact_name),
                escape(run.device.name) + (" _(emulated)_" if run.device.emulated else ""),
                _time(run, time) if figures.median_ns is not None else time,
                words.time(figures.mad_ns),
                words.kilobytes(figures.peak_memory_bytes),
                f"{figures.blocks_ok} of {len(run.blocks)}",
                escape(f"{run.outcome}: {run.reason}" if run.reason else run.outcome),
            )
        )
    shares = [f"{escape(run.artefact_name)}: {share}" for run in runs if (share := summary.edge_tpu_words(run))]
    shares += [f"{escape(run.artefact_name)} on {escape(run.device.name)}: {escape(line)}" for run in runs for line in _more(run)]
    answers = [escape(told) for run in runs if (told := summary.accuracy_words(run))]
    lines = [table(("model", "device", "median", "MAD", "peak memory", "blocks", "outcome"), rows)] if timed else []
    answers += [escape(mixed)] if (mixed := energy.mixed(runs)) else []
    return "\n\n".join([*lines, *dict.fromkeys(shares), *answers])


def _more(run: RunRecord) -> list[str]:
    slowest = chip.slowest_words(run)
    joules = energy.line(run)
    return [*chip.lines(run), *([slowest] if slowest else []), *([joules] if joules else [])]


def _time(run: RunRecord, time: str) -> str:
    if not run.device.emulated:
        return time
    return f"_{time} of virtual time_" if run.device.counts_instructions else f"_{time} on an emulator_"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; its cells are Markdown already."""
    lines = (head, ["---"] * len(head), *rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escape(text: str) -> str:
    """Return text that Markdown shows as it is: on one line, marks escaped, `@` and `#` with nothing to mention behind them."""
    flat = re.sub(r"[\x00-\x1f\x7f]+", " ", text)
    return (
        re.sub(r"([\\`*_{}\[\]()<>|!~&])", r"\\\1", flat)
        .replace("@", "@\u200b")
        .replace("#", "#\u200b")
        .replace("://", ":\u200b//")
    )
