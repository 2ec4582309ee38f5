"""Records as rich renderables for a terminal. A dash is "not measured", never 0."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from edgepipe.records import CompressionRecord, GateResult, RunOutcome, RunRecord, Verdict
from edgepipe.reports import ledger, summary, words
from edgepipe.reports.compare import Comparison

STYLES = {
    Verdict.PASS: ("✓", "green"),
    Verdict.IMPROVED: ("✓", "green"),
    Verdict.REGRESSED: ("✗", "red"),
    Verdict.INCONCLUSIVE: ("~", "yellow"),
    Verdict.NOT_COMPARABLE: ("≠", "yellow"),
}


def compression(record: CompressionRecord) -> RenderableType:
    """Return the ledger, the gates and the proofs of one run of a recipe."""
    parts: list[RenderableType] = [compression_ledger(record)]
    if record.gates:
        parts += [Text(), gates(record.gates)]
    if any(item.proofs for item in record.artefacts):
        parts += [Text(), proofs(record)]
    return Group(*parts)


def compression_ledger(record: CompressionRecord) -> RenderableType:
    """Return one row a stage, the reference rows dim, and below it why each stage did or did not pay."""
    made = (
        f"{record.recipe} for {record.target}",
        f"{record.test_samples} test samples",
        words.seconds(record.seconds),
        record.id[:8],
    )
    reasons = [
        Text(f"  {row.stage} {'paid' if row.paid else 'did not pay'}: {row.paid_reason}", style="" if row.paid else "yellow")
        for row in record.rows
        if row.paid is not None
    ]
    return Group(Text(" · ".join(made), style="bold"), _Ledger(ledger.lines(record), record.metric), *reasons)


@dataclass(frozen=True)
class _Ledger:
    """One wide table where the terminal has room for it, else sizes and answers one below the other."""

    lines: tuple[ledger.Line, ...]
    metric: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        answers = {"accuracy": self.metric}
        if options.max_width >= WIDE:
            yield self._rows((*SIZES, *ANSWERS), answers)
        else:
            yield self._rows(SIZES, answers)
            yield self._rows(ANSWERS, answers)

    def _rows(self, columns: Sequence[str], titles: dict[str, str]) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True, header_style="bold")
        table.add_column("stage", no_wrap=True)
        for column in columns:
            table.add_column(Text(titles.get(column, column)), justify="right", no_wrap=True)
        for line in self.lines:
            cells = (LEDGER_COLUMNS[column](line) for column in columns)
            table.add_row(Text(line.row.stage), *cells, style="dim" if line.row.reference else "")
        return table


LEDGER_COLUMNS: dict[str, Callable[[ledger.Line], str]] = {
    "raw": lambda line: words.kilobytes(line.row.raw_bytes),
    "gzip -9": lambda line: words.kilobytes(line.row.gzip_bytes),
    "smaller": lambda line: words.factor(line.gzip_factor),
    "non-zero": lambda line: words.percent(line.row.nonzero / line.row.elements if line.row.elements else None, 0),
    "clusters": lambda line: words.whole(line.row.clusters),
    "int8": lambda line: words.percent(line.row.int8_mac_share, 0),
    "accuracy": lambda line: words.percent(line.row.accuracy),
    "points [95 %]": lambda line: "baseline" if line.is_baseline else words.points(line.difference),
    "latency": lambda line: words.microseconds(line.row.latency_us),
    "arena": lambda line: words.kilobytes(line.row.arena_bytes),
    "took": lambda line: "cached" if line.row.cached else words.seconds(line.row.seconds),
}
WIDE = 126  # columns that the whole ledger takes
SIZES = ("raw", "gzip -9", "smaller", "non-zero", "clusters", "int8")
ANSWERS = ("accuracy", "points [95 %]", "latency", "arena", "took")


def gates(results: Sequence[GateResult]) -> RenderableType:
    """Return each gate with its limit, what was measured and the verdict."""
    table = _table("gate", numbers=("limit", "measured"))
    table.add_column("verdict")
    for gate in results:
        table.add_row(
            Text(gate.gate), words.gate_value(gate, gate.limit), words.gate_value(gate, gate.measured), _gate_verdict(gate)
        )
    return table


def proofs(record: CompressionRecord) -> RenderableType:
    """Return every claim held against the last file that had to keep it."""
    table = _table("proved on", "claim", "found")
    for stage, item in ledger.proved(record):
        for proof in item.proofs:
            mark = Text("✓ ", "green") if proof.holds else Text("✗ ", "red")
            table.add_row(Text(f"{stage} {item.sha256[:8]}"), Text(words.claim(proof.claim)), mark + Text(words.proof(proof)))
    return table


def runs(records: Sequence[RunRecord], compressions: Sequence[CompressionRecord] = ()) -> RenderableType:
    """Return one row a measurement, then what each device ran it with. Emulated time says so, a failure says why.

    `compressions` name the stage behind files of the same name.
    """
    records = ledger.named(records, compressions)
    table = _table("model", "device", numbers=("median", "p90", "MAD", "load", "first", "memory", "blocks"))
    table.add_column("outcome", overflow="fold")
    timed = [record for record in records if record.blocks or record.outcome is not RunOutcome.OK]
    for record in timed:
        figures = summary.of(record)
        table.add_row(
            Text(record.artefact_name),
            Text(record.device.name) + (Text(" emulated", "magenta") if record.device.emulated else Text()),
            *(
                _clock(value, record)
                for value in (figures.median_ns, figures.p90_ns, figures.mad_ns, figures.load_ns, figures.first_ns)
            ),
            words.kilobytes(figures.peak_memory_bytes),
            f"{figures.blocks_ok}/{len(record.blocks)}",
            _outcome(record),
        )
    identities = dict.fromkeys(
        f"{record.device.name}: {summary.runtime_words(record.runtime)}, {record.device.cpu}" for record in timed
    )
    answers = [_answers(record) for record in records if record.accuracy]
    return Group(*([table] if timed else []), *(Text(f"  {line}", style="dim") for line in (*identities, *answers)))


def _clock(nanoseconds: float | None, record: RunRecord) -> Text:
    if nanoseconds is None or not record.device.emulated:
        return Text(words.time(nanoseconds))
    return Text(f"({words.time(nanoseconds)})", "magenta italic")


def comparison(result: Comparison) -> RenderableType:
    """Return one row a quantity with its verdict and reason, then the verdict over all."""
    table = _table("quantity", numbers=("A", "B", "change"))
    table.add_column("verdict")
    table.add_column("why", overflow="fold")
    for item in result.quantities:
        table.add_row(Text(item.name), item.a, item.b, item.change, verdict(item.verdict), Text(item.reason, style="dim"))
    names = Text(f"A {result.a}\nB {result.b}", style="bold")
    notes = [Text(f"  {note}", style="dim") for note in result.notes]
    return Group(names, table, *notes, Text("overall: ") + verdict(result.verdict))


def verdict(value: Verdict) -> Text:
    """Return a verdict with its sign and colour; the word alone says enough."""
    sign, style = STYLES[value]
    return Text(f"{sign} {value.replace('_', ' ')}", style)


def _gate_verdict(gate: GateResult) -> Text:
    return Text("✗ missed", "red") if gate.verdict is Verdict.REGRESSED else verdict(gate.verdict)


def _answers(record: RunRecord) -> str:
    accuracy = record.accuracy
    assert accuracy is not None
    value = words.share(accuracy.metric, accuracy.value)
    return f"{record.artefact_name} on {record.device.name}: {accuracy.metric} {value} of {accuracy.samples} samples"


def _outcome(record: RunRecord) -> Text:
    style = {RunOutcome.OK: "green", RunOutcome.INFRA: "yellow"}.get(record.outcome, "red")
    return Text(f"{record.outcome}: {record.reason}" if record.reason else str(record.outcome), style)


def _table(*columns: str, numbers: Iterable[str] = ()) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True, header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold")
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table
