"""Each layer through the stages: how sparse its weights are, and how much of it computes in int8."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgepipe.records import Artefact, CompressionRecord
from edgepipe.reports import ledger, words


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One layer in one stage. `share` None: this file has no such layer."""

    share: float | None
    text: str
    tip: str


@dataclass(frozen=True, kw_only=True)
class LayerRow:
    """One layer, `note` says what it is, one cell a stage."""

    name: str
    note: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """Layers by stages."""

    stages: tuple[str, ...]
    rows: tuple[LayerRow, ...]


Columns = list[tuple[str, Artefact]]


def sparsity(record: CompressionRecord) -> Matrix:
    """Return the share of zero weights of each layer in each file."""
    columns = _columns(record)
    notes = {
        weight.layer: f"{weight.op.lower()} · {weight.elements:,} weights" for _, item in columns for weight in item.facts.weights
    }
    return _matrix(columns, notes, _sparsity)


def int8_coverage(record: CompressionRecord) -> Matrix:
    """Return how much of each layer's multiply-accumulates is integer in each file; layers without any count by operator."""
    columns = _columns(record)
    notes = {op.layer: f"{op.op.lower()} · {op.macs:,} MACs" for _, item in columns for op in item.facts.ops if op.macs}
    return _matrix(columns, notes, _int8)


def _columns(record: CompressionRecord) -> Columns:
    found = ((row.stage, ledger.artefact(record, row)) for row in record.rows)
    return [(stage, item) for stage, item in found if item]


def _matrix(columns: Columns, notes: dict[str, str], cell: Callable[[str, Artefact, str], Cell]) -> Matrix:
    rows = (
        LayerRow(name=layer, note=note, cells=tuple(cell(layer, item, stage) for stage, item in columns))
        for layer, note in notes.items()
    )
    return Matrix(stages=tuple(stage for stage, _ in columns), rows=tuple(rows))


def _sparsity(layer: str, item: Artefact, stage: str) -> Cell:
    weights = [weight for weight in item.facts.weights if weight.layer == layer]
    elements = sum(weight.elements for weight in weights)
    if not elements:
        return Cell(share=None, text=words.DASH, tip=f"{layer} is not in the file of {stage}")
    zeros = elements - sum(weight.nonzero for weight in weights)
    clusters = max(weight.clusters for weight in weights)
    share = zeros / elements
    tip = f"{layer} after {stage}: {words.percent(share)} zero ({zeros:,} of {elements:,}), {clusters} distinct values per channel"
    return Cell(share=share, text=f"{100 * share:.0f}", tip=tip)


def _int8(layer: str, item: Artefact, stage: str) -> Cell:
    ops = [op for op in item.facts.ops if op.layer == layer]
    if not ops:
        return Cell(share=None, text=words.DASH, tip=f"{layer} is not in the file of {stage}")
    weights = [op.macs for op in ops] if any(op.macs for op in ops) else [1] * len(ops)
    share = sum(weight for op, weight in zip(ops, weights, strict=True) if op.in_integers) / sum(weights)
    dtypes = ", ".join(sorted({dtype for op in ops for dtype in (*op.input_dtypes, *op.output_dtypes)}))
    text = "int8" if share == 1 else "float" if share == 0 else f"{100 * share:.0f} %"
    return Cell(share=share, text=text, tip=f"{layer} after {stage}: {words.percent(share, 0)} integer arithmetic ({dtypes})")
