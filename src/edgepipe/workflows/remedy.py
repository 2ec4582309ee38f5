"""The ladder of remedies: cheaper ways to quantise without losing accuracy are tried first, up to the first that is good enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgepipe.devices.protocols import RunOptions
from edgepipe.documents import parse
from edgepipe.errors import DataError, ModelRejected, UnsupportedModel, WorkerDied
from edgepipe.events import Emit, step
from edgepipe.losses import Ladder, RungResult
from edgepipe.pipeline.artefacts import MODEL
from edgepipe.pipeline.cache import Cache, key_of
from edgepipe.pipeline.data import Dataset
from edgepipe.pipeline.export.arena import has_tflm
from edgepipe.pipeline.inspect.verify import verify
from edgepipe.pipeline.recipe import Recipe
from edgepipe.pipeline.runner import Made
from edgepipe.pipeline.targets import TARGETS, Target
from edgepipe.records import Accuracy, Artefact, as_json
from edgepipe.reports.stats import paired_difference
from edgepipe.workflows.before_quantising import BeforeQuantising, Trust, before_quantising
from edgepipe.workflows.compress import Limits
from edgepipe.workflows.evaluate import evaluate

MORE_SAMPLES = 5  # times as many for the calibration as the recipe says


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What decides whether a rung makes sense: the target, the layers with weights in order, samples, the first settings."""

    target: Target
    layers: tuple[str, ...]
    training_samples: int
    samples: int
    parameters: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One remedy: what it changes of the quantize stage's parameters, and "" or why it makes no sense here.

    `samples` returns how many calibration samples it takes, None for as many as the recipe says.
    """

    name: str
    does: str
    changes: Callable[[Situation], dict[str, Any]]
    why_not: Callable[[Situation], str] = lambda situation: ""
    samples: Callable[[Situation], int | None] = lambda situation: None


def _more(situation: Situation) -> int:
    return min(situation.training_samples, MORE_SAMPLES * situation.samples)


def _ends(situation: Situation) -> tuple[str, ...]:
    return tuple(dict.fromkeys((situation.layers[0], situation.layers[-1])))


def _only(dtype: str, words: str) -> Callable[[Situation], str]:
    return lambda situation: "" if situation.target.computes_in(dtype) else f"{situation.target.name} does not compute in {words}"


LADDER = (
    Rung(name="int8", does="as the recipe has it", changes=lambda situation: situation.parameters),
    Rung(
        name="more calibration data",
        does=f"ranges from {MORE_SAMPLES} times as many samples",
        changes=lambda situation: situation.parameters,
        why_not=lambda situation: "" if _more(situation) > situation.samples else "all training data is used already",
        samples=_more,
    ),
    Rung(
        name="per channel",
        does="a scale for each output channel of the weights",
        changes=lambda situation: {**situation.parameters, "per_channel": True},
        why_not=lambda situation: "" if situation.parameters.get("per_channel") is False else "each channel has its own already",
        samples=_more,
    ),
    Rung(
        name="first and last in float",
        does="the first and the last layer with weights stay in float32",
        changes=lambda situation: {"mode": "int8", "float_layers": _ends(situation)},
        why_not=_only("float32", "float"),
        samples=_more,
    ),
    Rung(
        name="int16x8",
        does="16 bits for activations, 8 for weights",
        changes=lambda situation: {"mode": "int16x8"},
        why_not=_only("int16", "int16"),
        samples=_more,
    ),
    Rung(name="qat", does="trains on, with the rounding in sight", changes=lambda situation: {"mode": "qat"}),
)


def remedy(
    recipe: Recipe,
    *,
    max_drop_points: float,
    emit: Emit,
    limits: Limits = Limits(),
    trust: Trust = Trust(),
    rungs: Sequence[Rung] = LADDER,
) -> Ladder:
    """Climb the ladder for a recipe that ends with `quantize: {mode: int8}`, and stop at the first rung that is good enough.

    Every choice is made on the validation data; test data is only shown. Each rung is a stage like any other and is cached as one.
    Raises what the stages raise, DataError without validation data; a rung that fails by itself is passed over with its reason.
    """
    with before_quantising(recipe, emit=emit, limits=limits, trust=trust) as ready:
        if "validation" not in ready.splits:
            raise DataError("the data has no labels to choose by", todo="Name validation data with labels in the recipe.")
        judge = _Judge(ready, TARGETS[recipe.target], max_drop_points, emit)
        situation = _situation(ready, recipe)
        results: list[RungResult] = []
        for rung in rungs:
            if any(each.meets for each in results):
                results.append(RungResult(name=rung.name, does=rung.does, why_not="not needed"))
            elif reason := rung.why_not(situation):
                results.append(RungResult(name=rung.name, does=rung.does, why_not=reason))
            else:
                results.append(_climb(ready, rung, situation, judge, emit))
    return Ladder(
        target=recipe.target,
        max_drop_points=max_drop_points,
        metric=judge.reference.metric,
        validation_samples=judge.reference.samples,
        float_validation=judge.reference.value,
        float_test=judge.test(ready.before.artefact),
        rungs=tuple(results),
        chosen=next((each.name for each in results if each.meets), ""),
    )


def _situation(ready: BeforeQuantising, recipe: Recipe) -> Situation:
    assert recipe.data is not None
    return Situation(
        target=TARGETS[recipe.target],
        layers=tuple(dict.fromkeys(weight.layer for weight in ready.before.artefact.facts.weights if weight.layer)) or ("",),
        training_samples=ready.splits["train"].samples,
        samples=recipe.data.calibration.samples,
        parameters=ready.last.parameters,
    )


def _climb(ready: BeforeQuantising, rung: Rung, situation: Situation, judge: _Judge, emit: Emit) -> RungResult:
    tried = RungResult(name=rung.name, does=rung.does)
    try:
        with step(emit, rung.name):
            made = ready.quantise(rung.changes(situation), samples=rung.samples(situation))
    except (UnsupportedModel, WorkerDied) as exc:  # one technique that does not take this model is no reason to stop
        return replace(tried, why_not=exc.what)
    return judge.judge(tried, made)


class _Judge:
    """Holds artefacts against the float model; what was measured of the same file on the same data is not measured again."""

    def __init__(self, ready: BeforeQuantising, target: Target, max_drop_points: float, emit: Emit) -> None:
        self._ready = ready
        self._target = target
        self._max_drop = max_drop_points
        self._emit = emit
        self.reference = self._accuracy(ready.before.artefact, ready.splits["validation"])

    def judge(self, tried: RungResult, made: Made) -> RungResult:
        """Return the rung with its figures. An error is judged by its growth in percent, since it has no points."""
        found, before = self._accuracy(made.artefact, self._ready.splits["validation"]), self.reference
        fits = not verify(made.artefact.facts, self._target).problems
        if found.correct is not None and before.correct is not None:
            difference = paired_difference(before.correct, found.correct)
            points, low, high = difference.points, difference.low, difference.high
        else:
            points, low, high = 100 * (before.value - found.value) / before.value if before.value else 0.0, None, None
        return replace(
            tried,
            validation=found.value,
            points=points,
            low=low,
            high=high,
            test=self.test(made.artefact),
            size_bytes=made.artefact.facts.size_bytes,
            fits=fits,
            meets=fits and points >= -self._max_drop,
            cached=made.cached,
            seconds=made.artefact.seconds,
            folder=made.artefact.folder,
        )

    def test(self, artefact: Artefact) -> float | None:
        """Return the accuracy on the test data, to be shown; None without any."""
        data = self._ready.splits.get("test")
        return None if data is None else self._accuracy(artefact, data).value

    def _accuracy(self, artefact: Artefact, data: Dataset) -> Accuracy:
        fits = not verify(artefact.facts, self._target).problems
        engine = self._target.runtime if fits and (self._target.runtime != "tflm" or has_tflm()) else "litert"
        cache: Cache = self._ready.cache
        key = key_of(what="accuracy", model=artefact.sha256, data=data.sha256, engine=engine)
        if (known := cache.value(key)) is not None:
            return parse(Accuracy, known, source="cached accuracy")
        record = evaluate(Path(artefact.folder) / MODEL, data, options=RunOptions(runtime=engine), emit=self._emit)
        if record.accuracy is None:
            raise ModelRejected(f"{artefact.stage}: the model did not answer: {record.reason}")
        cache.keep(key, as_json(record.accuracy))
        return record.accuracy
