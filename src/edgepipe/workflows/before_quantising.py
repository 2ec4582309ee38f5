"""A recipe up to its last stage: data split, model loaded, everything before quantisation done; what quantises it can be varied."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from edgepipe.errors import UsageError
from edgepipe.events import Emit, step
from edgepipe.pipeline.cache import Cache
from edgepipe.pipeline.data import Dataset, calibration
from edgepipe.pipeline.inspect.admission import admit, is_function
from edgepipe.pipeline.inspect.keras_archive import KerasArchive, require_fixed_inputs
from edgepipe.pipeline.inspect.keras_modules import own_modules
from edgepipe.pipeline.recipe import ModelSource, Recipe, Step
from edgepipe.pipeline.runner import Made, Runner
from edgepipe.pipeline.splits import prepare, stored
from edgepipe.pipeline.worker import Worker
from edgepipe.workflows.compress import Limits, describe


@dataclass(frozen=True, kw_only=True)
class Trust:
    """The user's word for a model: `model` that it may run code, `modules` of theirs that a `.keras` may name. No recipe has it."""

    model: bool = False
    modules: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class BeforeQuantising:
    """The model as it is before the last stage, `last`, and what is needed to run one in its place."""

    recipe: Recipe
    splits: dict[str, Dataset]
    before: Made
    last: Step
    cache: Cache
    _worker: Worker

    def quantise(self, parameters: dict[str, object], *, samples: int | None = None) -> Made:
        """Return the model quantised with these parameters, with ranges from `samples` samples or as many as the recipe says."""
        splits = dict(self.splits)
        if samples is not None:
            splits["calibration"] = calibration(splits["train"], samples, seed=self.recipe.seed)
        return _runner(self.recipe, splits, self.cache, self._worker).run(
            replace(self.last, parameters=parameters), self.before.artefact, self.recipe.train
        )


@contextmanager
def before_quantising(recipe: Recipe, *, emit: Emit, limits: Limits, trust: Trust) -> Iterator[BeforeQuantising]:
    """Yield a recipe's model before its last stage, from the cache or made now.

    Raises UsageError where the last stage does not quantise, or there is no data; else what loading and the stages raise.
    """
    *earlier, last = recipe.steps
    if last.stage != "quantize" or recipe.data is None:
        raise UsageError(
            f"{recipe.name} does not end with a stage that quantises with data", todo="End it with quantize, and name data."
        )
    base, cache = Path(recipe.base), Cache()
    archive = admitted(recipe.model, base, trust, emit)
    ports, rescales = ((archive.inputs, archive.rescales)) if archive else ((), None)
    require_fixed_inputs(ports)
    splits = prepare(recipe.data, base, ports, seed=recipe.seed, rescales=rescales, emit=emit)
    with Worker(emit, memory_bytes=limits.memory_bytes, timeout_s=limits.timeout_s) as worker:
        runner = _runner(recipe, splits, cache, worker)
        made = runner.load(recipe.model, base, trusted=trust.model, modules=own_modules(trust.modules))
        for each in earlier:
            with step(emit, describe(each)):
                made = runner.run(each, made.artefact, recipe.train)
        yield BeforeQuantising(recipe=recipe, splits=splits, before=made, last=last, cache=cache, _worker=worker)


def _runner(recipe: Recipe, splits: dict[str, Dataset], cache: Cache, worker: Worker) -> Runner:
    folders = {name: stored(cache, each) for name, each in splits.items() if name != "test"}
    return Runner(worker, cache, folders, recipe.seed, Path(recipe.base))


def admitted(source: ModelSource, base: Path, trust: Trust, emit: Emit) -> KerasArchive | None:
    """Return what a model's file says of itself where it is a `.keras`. Raises what `admit` raises."""
    if is_function(source.path, base):
        return None
    return admit(base / source.path, trusted=trust.model, modules=own_modules(trust.modules), emit=emit)
