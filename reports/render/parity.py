"""Parity as sheets: how each runtime and board took the model, how far they are apart, where they part, and what follows."""

from __future__ import annotations

from collections.abc import Iterator

from edgepipe.parity import BoardAnswers, BoardParity, Distance, PairReport, Parity, RuntimeOutcome, RuntimeReport
from edgepipe.reports import words
from edgepipe.reports.render.sheets import Sheet


def sheets(model: str, parity: Parity) -> tuple[Sheet, ...]:
    """Return what was found of the model called `model`."""
    head, runtimes = _beginning(model, parity)
    pairs = Sheet(
        title="Each two of them",
        columns=("", "", "bit-exact", "largest difference", "decisions changed", "they part at"),
        numbers=frozenset({"bit-exact", "largest difference", "decisions changed"}),
        rows=tuple(_pair_row(pair) for pair in parity.pairs),
    )
    return tuple(sheet for sheet in (head, runtimes, pairs, _end(parity)) if sheet.rows)


def board_sheets(model: str, parity: BoardParity) -> tuple[Sheet, ...]:
    """Return what was found of the model called `model` on boards."""
    head, runtimes = _beginning(model, parity)
    boards = Sheet(
        title="Each board against each of them",
        columns=("board", "with", "against", "bit-exact", "largest difference", "decisions changed"),
        numbers=frozenset({"bit-exact", "largest difference", "decisions changed"}),
        rows=tuple(row for board in parity.boards for row in _board_rows(board)),
    )
    return tuple(sheet for sheet in (head, runtimes, boards, _end(parity)) if sheet.rows)


def _board_rows(board: BoardAnswers) -> Iterator[tuple[str, ...]]:
    name = f"{board.device} (emulated)" if board.emulated else board.device
    if board.error:
        yield name, f"{board.error}: {board.reason}", *[words.DASH] * 4
    for found in board.agreements:
        runs_with = ", ".join(part for part in (board.arch, board.runtime) if part)
        changed = words.DASH if found.decisions_changed is None else f"{found.decisions_changed:,}"
        exact = f"{found.distance.exact:,} of {found.distance.samples:,}"
        yield name, runs_with, found.runtime.value, exact, largest(found.distance), changed


def _beginning(model: str, parity: Parity | BoardParity) -> tuple[Sheet, Sheet]:
    head = Sheet(rows=(("model", f"{model} (sha256 {parity.model_sha256[:12]})"), ("inputs", parity.inputs)))
    rows = tuple(_runtime_row(report) for report in parity.runtimes)
    return head, Sheet(columns=("runtime", "version", "outcome", "why"), rows=rows)


def _end(parity: Parity | BoardParity) -> Sheet:
    return Sheet(title="What it means", rows=tuple((str(number), text) for number, text in enumerate(parity.advice, 1)))


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
