"""How each training went, epoch by epoch: the loss on training and validation data as lines, the epoch that was kept as a dot."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgepipe.records import CompressionRecord, TrainingHistory
from edgepipe.reports.render.charts import Scale, Tick, ticks

HEIGHT = 130
BAND = 17  # pixels above and below the lines, for the numbers of the axis
SHOWN = (("loss", "training"), ("val_loss", "validation"))


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One line: an SVG path, x in percent and y in pixels from the top; `kept` is where its dot stands, None for no dot."""

    kind: str
    tip: str
    path: str
    kept: tuple[float, float] | None


@dataclass(frozen=True, kw_only=True)
class Training:
    """The curves of one stage on axes of their own: losses of one stage are no losses of another."""

    stage: str
    summary: str
    curves: tuple[Curve, ...]
    ticks: tuple[Tick, ...]
    highest: str
    lowest: str


def trainings(record: CompressionRecord) -> tuple[Training, ...]:
    """Return the trainings of a recipe's stages in order; stages that did not train have none."""
    histories = {artefact.sha256: artefact.training for artefact in record.artefacts}
    made = (_training(row.stage, history) for row in record.rows for history in histories.get(row.artefact_sha256, ()))
    return tuple(training for training in made if training is not None)


def _training(stage: str, history: TrainingHistory) -> Training | None:
    shown = {kind: history.curves[name] for name, kind in SHOWN if name in history.curves}
    values = [value for curve in shown.values() for value in curve if value is not None]
    if not values:
        return None
    across = Scale(low=1, high=max(2, history.epochs))
    up = Scale(low=min(values), high=max(values))
    epochs = "1 epoch" if history.epochs == 1 else f"{history.epochs} epochs"
    kept = f", the weights of epoch {history.kept_epoch} kept" if history.kept_epoch else ""
    return Training(
        stage=stage,
        summary=f"{epochs}{kept}",
        curves=tuple(_curve(kind, curve, history, across, up) for kind, curve in shown.items()),
        ticks=tuple(tick for tick in ticks(across, lambda epoch: f"{epoch:g}") if float(tick.label).is_integer()),
        highest=f"{up.high:.3g}",
        lowest=f"{up.low:.3g}",
    )


def _curve(kind: str, values: Sequence[float | None], history: TrainingHistory, across: Scale, up: Scale) -> Curve:
    def place(index: int, value: float) -> tuple[float, float]:
        return across.x(1 + index * history.stride), round(BAND + (HEIGHT - 2 * BAND) * (1 - up.x(value) / 100), 1)

    known = [value for value in values if value is not None]
    at = (history.kept_epoch - 1) // history.stride if history.kept_epoch else len(values) - 1
    value = values[at] if at < len(values) else None
    first, last = (f"{known[0]:.3g}", f"{known[-1]:.3g}") if known else ("no number", "no number")
    lost = len(values) - len(known)
    return Curve(
        kind=kind,
        tip=f"{kind} loss: {first} after the first epoch, {last} after the last"
        + (f", {value:.3g} where the weights were kept" if history.kept_epoch and value is not None else "")
        + (f"; {lost} were no numbers" if lost else ""),
        path="".join(_strokes([None if value is None else place(index, value) for index, value in enumerate(values)])),
        kept=None if value is None or not math.isfinite(value) else place(at, value),
    )


def _strokes(places: Sequence[tuple[float, float] | None]) -> Iterator[str]:
    """Yield the commands of a line that breaks where there is no value."""
    drawing = False
    for place in places:
        if place is not None:
            yield f"{'L' if drawing else 'M'}{place[0]:g} {place[1]:g}"
        drawing = place is not None
