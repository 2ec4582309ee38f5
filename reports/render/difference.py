"""The difference of two model files, as sheets: what each changed layer was and is, then the sums."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from edgepipe.reports import words
from edgepipe.reports.difference import Difference, LayerChange, LayerSum
from edgepipe.reports.render.sheets import Sheet

NAME = 20  # letters of a layer's name
QUIET = {"shapes": "shapes", "values": "values", "quantisation": "scales"}  # said only where no column shows a change
TOTALS = {
    "size_bytes": "file, bytes",
    "stored_bytes": "constants, bytes",
    "ops": "operators",
    "macs": "MACs",
    "weights": "weights",
    "nonzero_weights": "non-zero weights",
    "tensors": "tensors",
    "float_tensors": "float tensors",
}


def sheets(a: str, b: str, difference: Difference) -> tuple[Sheet, ...]:
    """Return the changed layers, − as in file `a` and + as in file `b`, and the totals; nothing for equal files."""
    if difference.equal:
        return ()
    layers = Sheet(
        columns=("", "layer", "bytes", "dtype", "MACs", "zeros", "clusters", "besides"),
        numbers=frozenset({"bytes", "MACs", "zeros", "clusters"}),
        rows=tuple(row for change in difference.layers for row in _rows(change)),
    )
    note = Sheet(rows=(("", "No layer differs: only names, structure or metadata do."),))
    return (Sheet(rows=(("−", a), ("+", b))), layers if layers.rows else note, _totals(difference))


def _rows(change: LayerChange) -> Iterator[tuple[str, ...]]:
    operators = change.a is None or change.b is None or "ops" in change.changed
    loud = operators or not set(QUIET).issuperset(change.changed)
    quiet = ", ".join(word for field, word in QUIET.items() if field in change.changed and not loud)
    if change.a is not None:
        yield "−", words.short(change.a.name, NAME), *_cells(change.a), _operators(change.a) if operators else ""
    if change.b is not None:
        same = change.a is not None and change.a.name == change.b.name
        name = "" if same else words.short(change.b.name, NAME)
        yield "+", name, *_cells(change.b), _operators(change.b) if operators else quiet


def _cells(layer: LayerSum) -> tuple[str, ...]:
    return (
        words.whole(layer.bytes),
        ", ".join(layer.dtypes),
        f"{layer.macs:,}",
        words.percent(layer.sparsity),
        words.count(layer.clusters),
    )


def _operators(layer: LayerSum) -> str:
    return ", ".join(f"{count}× {op}" if count > 1 else op for op, count in Counter(layer.ops).items())


def _totals(difference: Difference) -> Sheet:
    return Sheet(
        title="Totals",
        columns=("", "A", "B", "change"),
        numbers=frozenset({"A", "B", "change"}),
        rows=tuple(
            (label, f"{a:,}", f"{b:,}", "" if a == b else f"{words.signed(100 * (b - a) / a, 1)} %" if a else f"+{b:,}")
            for field, label in TOTALS.items()
            for a, b in [(difference.totals_a[field], difference.totals_b[field])]
        ),
    )
