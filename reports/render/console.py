"""Records as rich renderables for a terminal. A dash is "not measured", never 0."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from edgepipe.records import CompressionRecord, GateResult, RunOutcome, RunRecord, Verdict
from edgepipe.reports import chip, energy, ledger, summary, words
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
    """Return one row a stage, the reference rows dim; below it why each paid or not, and what was treated how."""
    made = (
        f"{record.recipe} for {record.target}",
        f"{record.test_samples} test samples",
        words.seconds(record.seconds),
        record.id[:8],
    )
    rows = [
        _Row(
            names=(Text(line.row.stage),),
            values={column: Text(shown(line)) for column, shown in LEDGER_COLUMNS.items()},
            style="dim" if line.row.reference else "",
        )
        for line in ledger.lines(record)
    ]
    reasons = [
        Text(f"  {row.stage} {'paid' if row.paid else 'did not pay'}: {row.paid_reason}", style="" if row.paid else "yellow")
        for row in record.rows
        if row.paid is not None
    ]
    treated = [Text(f"  {row.stage}, {words.treatment(row.treated)}", style="dim") for row in ledger.treated(record)]
    calibrated = [
        Text(f"  {row.stage}, {words.visible(words.calibration(found))}", style="dim" if found.converged else "yellow")
        for row, found in ledger.calibrations(record)
    ]
    rewrites = [Text(f"  before all stages: {line}", style="dim") for line in ledger.rewrites(record)]
    table = _Grouped(names=("stage",), groups=(SIZES, ANSWERS), titles={"accuracy": ledger.metric(record)}, rows=rows)
    return Group(Text(" · ".join(made), style="bold"), table, *rewrites, *reasons, *treated, *calibrated)


LEDGER_COLUMNS: dict[str, Callable[[ledger.Line], str]] = {
    "raw": lambda line: words.kilobytes(line.row.raw_bytes),
    "gzip -9": lambda line: words.kilobytes(line.row.gzip_bytes),
    "smaller": lambda line: words.factor(line.gzip_factor),
    "non-zero": lambda line: words.percent(line.row.nonzero / line.row.elements if line.row.elements else None, 0),
    "clusters": lambda line: words.whole(line.row.clusters),
    "int8": lambda line: words.percent(line.row.int8_mac_share, 0),
    "accuracy": lambda line: words.share(line.metric, line.row.accuracy),
    "points [95 %]": lambda line: "baseline" if line.is_baseline else words.points(line.difference),
    "latency": lambda line: words.microseconds(line.row.latency_us),
    "arena": lambda line: words.kilobytes(line.row.arena_bytes),
    "took": lambda line: "cached" if line.row.cached else words.seconds(line.row.seconds),
}
SIZES = ("raw", "gzip -9", "smaller", "non-zero", "clusters", "int8")
ANSWERS = ("accuracy", "points [95 %]", "latency", "arena", "took")


@dataclass(frozen=True, kw_only=True)
class _Row:
    """A row of a wide table: what it is about, and its values by column."""

    names: tuple[Text, ...]
    values: dict[str, Text]
    style: str = ""


@dataclass(frozen=True, kw_only=True)
class _Grouped:
    """One wide table where the terminal has room for it, else a table for each group of columns, one below the other."""

    names: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    titles: dict[str, str] = field(default_factory=dict)
    rows: Sequence[_Row]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        whole = self._table([column for group in self.groups for column in group])
        if Measurement.get(console, options.update(width=UNLIMITED), whole).maximum <= options.max_width:
            yield whole
        else:
            yield from (self._table(group) for group in self.groups)

    def _table(self, columns: Sequence[str]) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True, header_style="bold")
        for index, name in enumerate(self.names):
            longest = max((row.names[index].cell_len for row in self.rows), default=0)
            table.add_column(name, overflow="fold", min_width=min(longest, READABLE))
        for column in columns:
            table.add_column(Text(self.titles.get(column, column)), justify="right", no_wrap=True)
        for row in self.rows:
            table.add_row(*row.names, *(row.values[column] for column in columns), style=row.style)
        return table


READABLE = 14  # letters of a name that a full terminal leaves on one line
UNLIMITED = 10_000  # columns; what a table would take if it could


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
    timed = [record for record in records if summary.is_timed(record)]
    table = _Grouped(names=("model", "device"), groups=(TIMES, REST), rows=[_run(record) for record in timed])
    reasons = [Text(f"  {record.artefact_name} on {record.device.name}: ") + _outcome(record) for record in timed if record.reason]
    identities = dict.fromkeys(
        f"{record.device.name}: {summary.runtime_words(record.runtime)}, {record.device.cpu}"
        for record in timed
        if summary.is_told(record.runtime)
    )
    answers = [told for record in records if (told := summary.accuracy_words(record))]
    answers += [f"{record.artefact_name}: {share}" for record in timed if (share := summary.edge_tpu_words(record))]
    answers += [f"{record.artefact_name} on {record.device.name}: {line}" for record in timed if (line := energy.line(record))]
    answers += [mixed] if (mixed := energy.mixed(timed)) else []
    answers += [f"{record.artefact_name} on {record.device.name}: {line}" for record in timed for line in chip.lines(record)]
    notes = (Text(f"  {line}", style="dim") for line in dict.fromkeys((*identities, *answers)))
    counted = [chart for record in timed if (chart := _layers(record))]
    return Group(*([table] if timed else []), *reasons, *notes, *(counted if len(counted) == 1 else []))


def _layers(record: RunRecord) -> RenderableType | None:
    """Return the slowest operators of a microcontroller's run as bars; None where they were not counted."""
    shown, rest = chip.slowest(chip.steps(record), most=MOST_BARS)
    if not shown:
        return None
    longest = max(step.ticks for step in shown)
    style = "magenta" if record.device.emulated else "blue"
    table = _table("layer", "operator", numbers=("ticks", "share"))
    table.add_column("", no_wrap=True)
    for step in (*shown, rest) if rest else shown:
        name = Text(words.visible(words.short(step.name, 40)))
        bar = Text(_bar(step.ticks / longest) if step.op else "", style)
        table.add_row(name, step.op.lower(), words.whole(step.ticks), words.percent(step.share), bar)
    return table


def _bar(share: float) -> str:
    eighths = round(8 * BAR_CELLS * share)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


MOST_BARS, BAR_CELLS = 16, 20
TIMES = ("median", "p90", "MAD")
REST = ("load", "first", "memory", "blocks", "outcome")


def _run(record: RunRecord) -> _Row:
    figures = summary.of(record)
    device = Text(record.device.name) + (Text(" emulated", "magenta") if record.device.emulated else Text())
    return _Row(
        names=(Text(record.artefact_name), device),
        values={
            "median": _clock(figures.median_ns, record),
            "p90": _clock(figures.p90_ns, record),
            "MAD": _clock(figures.mad_ns, record),
            "load": _clock(figures.load_ns, record),
            "first": _clock(figures.first_ns, record),
            "memory": Text(words.kilobytes(figures.peak_memory_bytes)),
            "blocks": Text(f"{figures.blocks_ok}/{len(record.blocks)}"),
            "outcome": Text(str(record.outcome), _style(record)),
        },
    )


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


def _outcome(record: RunRecord) -> Text:
    return Text(f"{record.outcome}: {record.reason}", _style(record))


def _style(record: RunRecord) -> str:
    return {RunOutcome.OK: "green", RunOutcome.INFRA: "yellow"}.get(record.outcome, "red")


def _table(*columns: str, numbers: Iterable[str] = ()) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True, header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold")
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table
