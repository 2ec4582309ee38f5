"""The ladder of remedies as sheets: each rung with what it brought, or why it was not tried."""

from __future__ import annotations

from edgepipe.losses import Ladder, RungResult
from edgepipe.reports import words
from edgepipe.reports.render.sheets import Sheet


def sheets(name: str, ladder: Ladder) -> tuple[Sheet, ...]:
    """Return what was allowed, a row for each rung in the order of trying, and what was chosen."""
    allowed = f"at most {ladder.max_drop_points:g} {'points' if ladder.metric == 'accuracy' else '%'}"
    reference = words.share(ladder.metric, ladder.float_validation)
    head = Sheet(
        rows=(
            ("model", name),
            ("target", ladder.target),
            ("float", f"{reference} on validation data{_test(ladder, ladder.float_test)}"),
            ("may lose", f"{allowed}, judged on {ladder.validation_samples:,} validation samples; test data is only shown"),
        )
    )
    table = Sheet(
        columns=("", "rung", ladder.metric, "against float", "test", "size", "seconds", ""),
        numbers=frozenset({ladder.metric, "against float", "test", "size", "seconds"}),
        rows=tuple(_row(each, ladder) for each in ladder.rungs),
    )
    return head, table, Sheet(rows=(("chosen", ladder.chosen or "none: no rung is good enough"),))


def _test(ladder: Ladder, value: float | None) -> str:
    return "" if value is None else f", {words.share(ladder.metric, value)} on test data"


def _row(each: RungResult, ladder: Ladder) -> tuple[str, ...]:
    if each.validation is None or each.points is None:
        return "·", each.name, "", "", "", "", "", each.why_not
    interval = "" if each.low is None or each.high is None else f" [{words.signed(each.low, 1)}, {words.signed(each.high, 1)}]"
    outcome = "meets the gate" if each.meets else "loses too much" if each.fits else f"does not fit {ladder.target}"
    return (
        "✓" if each.meets else "✗",
        each.name,
        words.share(ladder.metric, each.validation),
        f"{words.signed(each.points)}{interval}",
        words.DASH if each.test is None else words.share(ladder.metric, each.test),
        words.kilobytes(each.size_bytes),
        "cached" if each.cached else words.seconds(each.seconds),
        f"{outcome}: {each.does}",
    )
