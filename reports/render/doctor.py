"""A diagnosis as sheets: the verdict, each finding with its fix, then every layer under every technique."""

from __future__ import annotations

from collections.abc import Iterable

from edgepipe.diagnosis import TECHNIQUES, Budget, Examination, Explanation, Finding, LayerDiagnosis, Severity, Verdict
from edgepipe.reports import words
from edgepipe.reports.render.sheets import Sheet

NAME = 28  # letters of a layer's name; --json has it whole
MARKS = {
    Verdict.OK: "ok",
    Verdict.SKIPPED: "skip",
    Verdict.REWRITTEN: "rewrite",
    Verdict.IMPOSSIBLE: "no",
    Verdict.NOTHING: words.DASH,
}
HEADINGS = {Severity.ERROR: "In the way", Severity.WARNING: "Will disappoint", Severity.NOTE: "Good to know"}


def sheets(found: Examination) -> tuple[Sheet, ...]:
    """Return all sheets of one examination, what matters most first."""
    by_severity = [
        (heading, [each for each in found.findings if each.severity is severity]) for severity, heading in HEADINGS.items()
    ]
    return (
        Sheet(title=found.model, rows=tuple(_summary(found))),
        *(_findings(heading, each) for heading, each in by_severity if each),
        *([_layers(found.layers)] if found.layers else []),
    )


def verdict(found: Examination) -> str:
    """Return the verdict in a sentence."""
    errors = found.count(Severity.ERROR)
    if found.fits:
        return f'✓ nothing stands between {found.model} and "{found.target}"'
    return f'✗ {errors} thing{"s stand" if errors > 1 else " stands"} between {found.model} and "{found.target}"'


def explanation(row: Explanation) -> Sheet:
    """Return what a code means."""
    return Sheet(
        title=f"{row.code}: {row.title}",
        rows=(("severity", row.severity.value), ("what it is", row.text), ("for example", row.example), ("what to do", row.fix)),
    )


def _summary(found: Examination) -> Iterable[tuple[str, str]]:
    budget = found.budget
    yield "verdict", verdict(found)
    yield "inputs", "; ".join(f"{port.name} {port.dtype} {words.shape(port.shape)}" for port in found.inputs) or words.DASH
    yield "layers", f"{len(found.layers):,}, {found.macs:,} multiply-accumulates, {len(found.ops)} kinds of operators"
    if budget.model_bytes is not None:
        yield "model", f"{budget.model_bytes:,} bytes{'' if found.source == 'tflite' else ', estimated at int8'}"
    if budget.arena_low_bytes is not None and budget.arena_high_bytes is not None:
        yield "arena", f"{budget.arena_low_bytes:,} to {budget.arena_high_bytes:,} bytes, estimated"
    if budget.board is not None:
        yield "board", _board(budget)


def _board(budget: Budget) -> str:
    flash = "no limit" if budget.board_flash_bytes is None else f"{budget.board_flash_bytes:,} bytes"
    needed = (
        f" ({budget.flash_bytes:,} needed with the runtime)" if budget.flash_bytes is not None and budget.board_flash_bytes else ""
    )
    return f"{budget.board}: flash {flash}{needed}, RAM {budget.board_ram_bytes:,} bytes"


def _findings(heading: str, findings: list[Finding]) -> Sheet:
    return Sheet(
        title=heading,
        columns=("code", "layer", "what", "what to do"),
        rows=tuple(
            (each.code, words.short(each.layer, NAME) or words.DASH, each.what, each.fix or words.DASH) for each in findings
        ),
    )


def _layers(layers: tuple[LayerDiagnosis, ...]) -> Sheet:
    return Sheet(
        title="Layers",
        columns=("layer", "kind", *TECHNIQUES, "MACs"),
        numbers=frozenset({*TECHNIQUES, "MACs"}),
        rows=tuple(
            (
                words.short(layer.layer, NAME),
                layer.kind,
                *(MARKS[layer.treatments[name].verdict] for name in TECHNIQUES),
                words.whole(layer.macs),
            )
            for layer in layers
        ),
    )
