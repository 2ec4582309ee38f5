"""Where the accuracy went, as sheets for a terminal or Markdown and as a page with a bar for each layer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgepipe.losses import LayerLoss, QuantisationLoss
from edgepipe.reports import words
from edgepipe.reports.render.charts import Chart, Row, Scale, ticks
from edgepipe.reports.render.sheets import Sheet
from edgepipe.version import VERSION

FOLDER = Path(__file__).parent
QUIETEST_DB, LOUDEST_DB = 60.0, 0.0  # of a bar: an error of a thousandth of the signal, and one as large as it
BAR = 12  # letters
EIGHTHS = " ▏▎▍▌▋▊▉"
NAME = 24  # letters of a layer's name
MOST_ROWS = 40  # on a terminal and in Markdown; of deeper networks the worst, still in network order
MOST_CAUSES = 5


def sheets(name: str, losses: QuantisationLoss) -> tuple[Sheet, ...]:
    """Return what became of the answers, a row for each layer in network order, and what to do about the worst."""
    found = (Sheet(rows=tuple(_summary(name, losses))), _layers(losses), _causes(losses))
    return tuple(sheet for sheet in found if sheet.rows)


def _summary(name: str, losses: QuantisationLoss) -> Iterator[tuple[str, str]]:
    yield "model", name
    yield "answer", f"{_decibels(losses.answer_db)} signal to noise; an error of {level(losses.answer_db)} of the answer"
    if losses.changed is not None:
        yield "decisions", f"{losses.changed:,} of {losses.answers:,} changed"
    if losses.right_float is not None and losses.right_quantised is not None:
        shares = (losses.right_float / losses.answers, losses.right_quantised / losses.answers)
        drop = words.signed(100 * (shares[1] - shares[0]))
        yield "accuracy", f"{words.percent(shares[0])} in float, {words.percent(shares[1])} quantised: {drop or '0'} points"
    yield "seen with", f"{losses.samples:,} samples layer by layer, {losses.answers:,} for the answers"
    if losses.unmatched:
        kinds = ", ".join(dict.fromkeys(losses.unmatched))
        yield "not seen", f"{len(losses.unmatched)} operators without a float twin: {words.short(kinds, 80)}"


def _layers(losses: QuantisationLoss) -> Sheet:
    shown = {each.rank for each in losses.ranked[:MOST_ROWS]}
    left_out = f" (the worst {MOST_ROWS} of {len(losses.layers)})" if len(losses.layers) > MOST_ROWS else ""
    return Sheet(
        title=f"Each layer's own error{left_out}",
        columns=(
            "rank",
            "layer",
            "operator",
            "",
            "at the answer",
            "changes",
            "own SQNR",
            "with all before",
            "saturated",
            "weights",
        ),
        numbers=frozenset({"rank", "at the answer", "changes", "own SQNR", "with all before", "saturated", "weights"}),
        rows=tuple(
            (
                str(each.rank),
                words.short(each.layer, NAME),
                each.op,
                bar(each.effect_db),
                level(each.effect_db),
                str(each.flips) if each.flips else "",
                _decibels(each.own_db),
                _decibels(each.total_db),
                words.percent(each.saturated) if each.saturated >= 0.0005 else "",
                _decibels(each.weights.sqnr_db) if each.weights else "",
            )
            for each in losses.layers
            if each.rank in shown
        ),
    )


def _causes(losses: QuantisationLoss) -> Sheet:
    hurting = [each for each in losses.ranked if each.hurts]
    rows = [(str(each.rank), words.short(each.layer, NAME), each.cause, each.remedy) for each in hurting[:MOST_CAUSES]]
    if not rows:
        return Sheet(rows=(("", "No layer stands out: none changes a decision or is felt at the answer by itself."),))
    return Sheet(title="What hurts, and what helps", columns=("rank", "layer", "why", "what helps"), rows=tuple(rows))


def bar(decibels: float | None) -> str:
    """Return an error as a bar: full where it is as large as the signal, empty where it is a thousandth of it."""
    if decibels is None:
        return ""
    eighths = round(8 * BAR * (QUIETEST_DB - min(max(decibels, LOUDEST_DB), QUIETEST_DB)) / (QUIETEST_DB - LOUDEST_DB))
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()


def level(decibels: float | None) -> str:
    """Return an error in percent of its signal, as amplitudes: 40 dB are 1 %."""
    if decibels is None:
        return "none"
    share = 100 * 10 ** (-decibels / 20)
    return f"{share:,.0f} %" if share >= 10 else f"{share:.1f} %" if share >= 1 else f"{share:.2g} %"


def _decibels(value: float | None) -> str:
    return "exact" if value is None else f"{value:.1f} dB"


def chart(losses: QuantisationLoss) -> Chart:
    """Return two bars a layer, in network order, on a logarithmic axis: the error at its end, and its own at the answer."""
    scale = Scale(low=-QUIETEST_DB, high=-LOUDEST_DB)
    rows = tuple(
        Row(
            name=f"{each.layer} · {each.op}",
            value=_value(each),
            tip=_tip(each),
            kind="hurts" if each.hurts else "",
            xs=tuple(0.0 if value is None else scale.x(-value) for value in (each.total_db, each.effect_db)),
        )
        for each in losses.layers
    )
    return Chart(rows=rows, ticks=ticks(scale, lambda value: f"{100 * 10 ** (value / 20):g} %" if value % 20 == 0 else "", count=3))


def _value(each: LayerLoss) -> str:
    flips = f" · changes {each.flips}" if each.flips else ""
    return f"{level(each.effect_db)}{flips}"


def _tip(each: LayerLoss) -> str:
    steps = "" if each.max_steps is None else f", at most {each.max_steps:.3g} steps of its scale"
    weights = "" if each.weights is None else f"; weights {_decibels(each.weights.sqnr_db)}"
    head = f"{each.layer} ({each.op}, {each.dtype}): alone an error of {level(each.effect_db)} at the answer"
    own = f"own SQNR {_decibels(each.own_db)}{steps}{weights}; with all before it {_decibels(each.total_db)}"
    return f"{head}; {own}. {each.cause}".strip()


def page(name: str, losses: QuantisationLoss, moment: str) -> str:
    """Return one self-contained page. Every string of a model is escaped by the template."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    template = environment.get_template("debug_quant.html.jinja")
    return str(
        template.render(
            name=name,
            moment=words.moment(moment),
            losses=losses,
            figures=tuple(_figures(losses)),
            chart=chart(losses),
            hurting=[each for each in losses.ranked if each.hurts],
            style=(FOLDER / "report.css").read_text(encoding="utf-8"),
            words=words,
            level=level,
            version=VERSION,
        )
    )


def _figures(losses: QuantisationLoss) -> Iterator[tuple[str, str, str]]:
    """Yield the headline figures: (value, what it is, how it is known)."""
    worst = losses.ranked[0]
    yield words.short(worst.layer, 16), "hurts most", f"alone an error of {level(worst.effect_db)} at the answer"
    yield level(losses.answer_db), "error of the answer", f"{_decibels(losses.answer_db)}, {losses.answers:,} samples"
    changed = words.DASH if losses.changed is None else f"{losses.changed:,}"
    yield changed, "decisions changed", f"of {losses.answers:,}" if losses.changed is not None else "the answers are no classes"
    if losses.right_float is None or losses.right_quantised is None:
        yield words.DASH, "accuracy", "not measured: no labels"
    else:
        share = losses.right_quantised / losses.answers
        yield words.percent(share), "accuracy", f"{words.percent(losses.right_float / losses.answers)} in float"
