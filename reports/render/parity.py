"""Parity as sheets: how each runtime took the model, how far each two are apart, where they part, and what follows."""

from __future__ import annotations

from collections.abc import Iterator

from edgepipe.parity import Distance, PairReport, Parity, RuntimeOutcome, RuntimeReport
from edgepipe.reports import words
from edgepipe.reports.render.sheets import Sheet


def sheets(model: str, parity: Parity) -> tuple[Sheet, ...]:
    """Return what was found of the model called `model`."""
    head = Sheet(rows=(("model", f"{model} (sha256 {parity.model_sha256[:12]})"), ("inputs", parity.inputs)))
    runtimes = Sheet(
        columns=("runtime", "version", "outcome", "why"), rows=tuple(_runtime_row(report) for report in parity.runtimes)
    )
    pairs = Sheet(
        title="Each two of them",
        columns=("", "", "bit-exact", "largest difference", "decisions changed", "they part at"),
        numbers=frozenset({"bit-exact", "largest difference", "decisions changed"}),
        rows=tuple(_pair_row(pair) for pair in parity.pairs),
    )
    advice = Sheet(title="What it means", rows=tuple((str(number), text) for number, text in enumerate(parity.advice, 1)))
    return tuple(sheet for sheet in (head, runtimes, pairs, advice) if sheet.rows)


def _runtime_row(report: RuntimeReport) -> tuple[str, ...]:
    return report.runtime.value, report.version or words.DASH, report.outcome.value, "; ".join(_why(report))


def _why(report: RuntimeReport) -> Iterator[str]:
    if report.outcome is RuntimeOutcome.RAN:
        return
    if report.refused_at is not None:
        yield str(report.refused_at)
    yield report.reason


def _pair_row(pair: PairReport) -> tuple[str, ...]:
    found = pair.distance
    changed = words.DASH if pair.decisions_changed is None else f"{pair.decisions_changed:,}"
    return pair.a.value, pair.b.value, f"{found.exact:,} of {found.samples:,}", largest(found), changed, _where(pair)


def largest(found: Distance) -> str:
    """'22 LSB', or '3 ulp (1.2e-07)' for floating-point numbers; both where a model has outputs of both kinds."""
    parts = [] if found.lsb is None else [f"{found.lsb:,} LSB"]
    if found.ulp is not None:
        parts.append(f"{found.ulp:,} ulp ({found.absolute:.2g})")
    return ", ".join(parts) or words.DASH


def _where(pair: PairReport) -> str:
    if pair.alike:
        return ""
    if pair.first is None:
        return pair.untraced or "no single operator"
    return f"{pair.first.place}, by {largest(pair.first.distance)}"
