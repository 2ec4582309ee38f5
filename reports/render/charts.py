"""Where every mark of a chart stands: plain geometry, in percent of the chart's width, so that charts reflow without a script."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgepipe.records import Block, CompressionRecord, GateResult, RunOutcome, RunRecord, Verdict, unpack_samples_ns
from edgepipe.reports import ledger, summary, words

QUANTILES = 200  # of each block's samples: what a page shows of them
BINS = 56
SHOWN_SHARE = 0.95  # of each block lies on the axis; how far the slowest went is said in words
RIDGE_HEIGHT = 22


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A line of the grid with its label; `minor` ones lose the label on a phone."""

    x: float
    label: str
    anchor: str
    minor: bool


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Values between `low` and `high` on 0 to 100 percent."""

    low: float
    high: float

    def x(self, value: float) -> float:
        """Return the place of a value, clipped to the chart."""
        span = self.high - self.low
        return round(100 * min(1.0, max(0.0, (value - self.low) / span if span else 0.5)), 3)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a chart: a name, a value in words, what the tooltip says, and marks at `xs`. `kind` is its CSS class."""

    name: str
    value: str
    tip: str
    kind: str = ""
    xs: tuple[float, ...] = ()
    low: float | None = None
    high: float | None = None
    path: str = ""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Rows on one axis; `limit` is a gate's threshold on it."""

    rows: tuple[Row, ...]
    ticks: tuple[Tick, ...]
    zero: float | None = None
    limit: float | None = None
    limit_label: str = ""


def ticks(scale: Scale, label: Callable[[float], str], count: int = 4) -> tuple[Tick, ...]:
    """Return about `count` round values of 1, 2 or 5 times a power of ten inside the scale."""
    span = (scale.high - scale.low) or 1.0
    size = 10 ** math.floor(math.log10(span / count))
    step = next(size * factor for factor in (1, 2, 5, 10) if span / (size * factor) <= count + 1)
    first = math.ceil(scale.low / step - 1e-9)
    values = [number * step for number in range(first, math.floor(scale.high / step + 1e-9) + 1)]
    places = [scale.x(value) for value in values]
    return tuple(
        Tick(
            x=x,
            label=label(value),
            anchor="start" if x < 4 else "end" if x > 96 else "middle",
            minor=len(values) > 3 and index % 2 == 1,
        )
        for index, (x, value) in enumerate(zip(places, values, strict=True))
    )


def sizes(record: CompressionRecord) -> Chart:
    """Return raw and gzip bytes of each stage on an axis from zero; `xs` are (raw, gzip)."""
    scale = Scale(low=0, high=max((row.raw_bytes for row in record.rows), default=1) * 1.001)
    rows = tuple(
        Row(
            name=line.row.stage,
            value=f"gzip {words.kilobytes(line.row.gzip_bytes)} · {words.factor(line.gzip_factor)}",
            tip=f"{line.row.stage}: {line.row.raw_bytes:,} bytes raw, {words.factor(line.raw_factor)} smaller than float, "
            f"{words.whole(line.row.gzip_bytes)} bytes after gzip -9, {words.factor(line.gzip_factor)}",
            kind="reference" if line.row.reference else "",
            xs=(scale.x(line.row.raw_bytes), scale.x(line.row.gzip_bytes)),
        )
        for line in ledger.lines(record)
    )
    return Chart(rows=rows, ticks=ticks(scale, lambda value: f"{value / 1000:g} kB" if value else "0"))


def accuracies(record: CompressionRecord) -> Chart | None:
    """Return each stage's paired difference to float in points with its interval; None where nothing was answered."""
    lines = ledger.lines(record)
    if not any(line.row.accuracy is not None for line in lines):
        return None
    gate = next((gate for gate in record.gates if gate.gate == "accuracy_drop_points"), None)
    known = [line.difference for line in lines if line.difference]
    edges = [0.0, *(item.low for item in known), *(item.high for item in known), *([-gate.limit] if gate else [])]
    reach = (max(edges) - min(edges)) or 1.0
    scale = Scale(low=min(edges) - 0.06 * reach, high=max(edges) + 0.06 * reach)
    return Chart(
        rows=tuple(_accuracy_row(line, record, scale) for line in lines),
        ticks=ticks(scale, lambda value: words.signed(value, 1)),
        zero=scale.x(0),
        limit=scale.x(-gate.limit) if gate else None,
        limit_label=f"gate: {words.signed(-gate.limit, 1)}" if gate else "",
    )


def _accuracy_row(line: ledger.Line, record: CompressionRecord, scale: Scale) -> Row:
    row, item, kind = line.row, line.difference, "reference" if line.row.reference else ""
    if row.accuracy is None:
        tip = f"{row.stage}: {ledger.metric(record)} was not measured"
        return Row(name=row.stage, value=f"{words.DASH} not measured", tip=tip, kind=kind)
    shown = words.share(record.metric, row.accuracy)
    tip = f"{row.stage}: {record.metric} {shown} of {record.test_samples} samples, answered by {row.accuracy_engine}"
    if line.is_baseline:
        tip += "; the others are held against it"
        return Row(name=row.stage, value=f"{shown} · baseline", tip=tip, kind=kind, xs=(scale.x(0),))
    if item is None:
        tip += "; the single answers were not kept, so there is no interval"
        return Row(name=row.stage, value=shown, tip=tip, kind=kind)
    return Row(
        name=row.stage,
        value=f"{shown} · {words.signed(item.points)}",
        tip=f"{tip}. Against float: {words.points(item)} points (95 %), {item.lost} answers lost, {item.gained} gained",
        kind=kind,
        xs=(scale.x(item.points),),
        low=scale.x(item.low),
        high=scale.x(item.high),
    )


def medians(runs: Sequence[RunRecord]) -> Chart | None:
    """Return each measurement's block medians on one axis from zero; None where nothing was timed."""
    timed = [(run, [block.median_ns for block in summary.good_blocks(run) if block.median_ns]) for run in runs]
    timed = [(run, values) for run, values in timed if values]
    if not timed:
        return None
    scale = Scale(low=0, high=1.03 * max(max(values) for _, values in timed))
    rows = tuple(
        Row(
            name=run.artefact_name,
            value=words.time(summary.of(run).median_ns),
            tip=_median_tip(run, values),
            kind="emulated" if run.device.emulated else "",
            xs=tuple(scale.x(value) for value in values),
            low=scale.x(min(values)),
            high=scale.x(max(values)),
        )
        for run, values in timed
    )
    return Chart(rows=rows, ticks=ticks(scale, lambda value: words.time(value) if value else "0"))


def _median_tip(run: RunRecord, values: Sequence[float]) -> str:
    between = f"{words.time(min(values))} to {words.time(max(values))}"
    blocks = "1 block" if len(values) == 1 else f"{len(values)} blocks"
    made = f"emulated: {words.emulation(run.device)}" if run.device.emulated else "measured"
    head = f"{run.artefact_name} on {run.device.name}: median {words.time(summary.of(run).median_ns)}"
    return f"{head}, {blocks} from {between} ({made}; {summary.runtime_words(run.runtime)})"


def distribution(run: RunRecord) -> Chart | None:
    """Return one ridge a block over the run's own axis; None without samples (an emulator's equal counts have no distribution)."""
    shown = {block.index: _quantiles(block) for block in run.blocks if block.samples_ns_zlib}
    if not shown or run.device.emulated:
        return None
    low = min(float(values[0]) for values in shown.values())
    high = max(float(values[int(SHOWN_SHARE * (QUANTILES - 1))]) for values in shown.values())
    reach = (high - low) or max(1.0, low * 0.01)
    scale = Scale(low=low - 0.04 * reach, high=high + 0.04 * reach)
    shapes = {index: np.histogram(values, bins=BINS, range=(scale.low, scale.high))[0] for index, values in shown.items()}
    tallest = max(int(shape.max()) for shape in shapes.values()) or 1
    rows = tuple(_ridge(block, shapes[block.index] / tallest, scale) for block in run.blocks if block.index in shapes)
    return Chart(rows=rows, ticks=ticks(scale, words.time, count=3))


def _quantiles(block: Block) -> NDArray[np.float64]:
    samples = np.asarray(unpack_samples_ns(block.samples_ns_zlib), dtype=float)
    return np.asarray(np.quantile(samples, (np.arange(QUANTILES) + 0.5) / QUANTILES))


def _ridge(block: Block, heights: NDArray[np.float64], scale: Scale) -> Row:
    """A stepped outline, one step a bin: no smoothing that would invent a shape."""
    step = 100 / BINS
    corners = (f"L{i * step:.2f} {y:.1f}L{(i + 1) * step:.2f} {y:.1f}" for i, y in enumerate(RIDGE_HEIGHT * (1 - heights)))
    figures = summary.spread(block)
    dropped = block.outcome is not RunOutcome.OK
    tip = (
        f"block {block.index + 1}: median {words.time(block.median_ns)}, MAD {words.time(figures.mad_ns)}, "
        f"p90 {words.time(figures.p90_ns)}, p99 {words.time(figures.p99_ns)}, "
        f"from {words.time(figures.min_ns)} to {words.time(figures.max_ns)}, {block.invocations:,} invocations"
    )
    return Row(
        name=f"block {block.index + 1}" + (" · dropped" if dropped else ""),
        value=words.time(block.median_ns),
        tip=f"{tip}. Dropped ({block.outcome}): {block.reason}" if dropped else tip,
        kind="dropped" if dropped else "",
        xs=() if block.median_ns is None else (scale.x(block.median_ns),),
        path=f"M0 {RIDGE_HEIGHT}{''.join(corners)}L100 {RIDGE_HEIGHT}Z",
    )


@dataclass(frozen=True, kw_only=True)
class GateBar:
    """A gate as a bar towards its limit: `fill` percent of the track, the limit at `limit` percent."""

    gate: GateResult
    fill: float | None
    limit: float
    word: str
    missed: bool


def gate_bars(gates: Sequence[GateResult]) -> tuple[GateBar, ...]:
    """Return the gates; the limit stands at 75 % of the track so that a miss can be seen beyond it."""
    bars = []
    for gate in gates:
        missed = gate.verdict is Verdict.REGRESSED
        share = None if gate.measured is None else (gate.measured / gate.limit if gate.limit > 0 else float(missed))
        fill = None if share is None else round(min(100.0, max(0.0, 75 * share) if gate.limit > 0 else 90 * share), 2)
        word = {Verdict.PASS: "passed", Verdict.REGRESSED: "missed"}.get(gate.verdict, "not measured")
        bars.append(GateBar(gate=gate, fill=fill, limit=75 if gate.limit > 0 else 0, word=word, missed=missed))
    return tuple(bars)
