"""Where the accuracy went: a model and its quantised form on real data, made here first where only the model is at hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgepipe.events import Emit
from edgepipe.losses import QuantisationLoss
from edgepipe.pipeline.artefacts import MODEL
from edgepipe.pipeline.cache import Cache
from edgepipe.pipeline.data import Dataset, check, load, raise_errors
from edgepipe.pipeline.inspect.flatbuffer import read_model
from edgepipe.pipeline.inspect.keras_modules import own_modules
from edgepipe.pipeline.inspect.losses.find import Twins, find_losses
from edgepipe.pipeline.recipe import ModelSource, Recipe
from edgepipe.pipeline.runner import Runner
from edgepipe.pipeline.worker import Worker
from edgepipe.workflows.before_quantising import Trust, admitted, before_quantising
from edgepipe.workflows.compress import Limits


@dataclass(frozen=True, kw_only=True)
class Debugged:
    """What was found, and the quantised file that it was found in."""

    quantised: Path
    losses: QuantisationLoss


def debug_files(wide: Path, narrow: Path, *, data: str, samples: int, emit: Emit) -> Debugged:
    """Hold a quantised `.tflite` against the float one that it was made from, on the data that `data` names.

    Raises ModelFileError, UnsupportedModel, DataError; ModelRejected for a model that crashes or hangs.
    """
    dataset = _load(wide, data, emit)
    return Debugged(quantised=narrow, losses=find_losses(Twins(wide=wide, narrow=narrow), dataset, samples=samples, emit=emit))


def debug_model(model: str, narrow: Path, *, data: str, samples: int, emit: Emit, limits: Limits, trust: Trust) -> Debugged:
    """Hold a quantised `.tflite` against a Keras model, which is converted first; layers then carry its names."""
    source, here = ModelSource(path=model), Path.cwd()
    admitted(source, here, trust, emit)
    with Worker(emit, memory_bytes=limits.memory_bytes, timeout_s=limits.timeout_s) as worker:
        runner = Runner(worker, Cache(), {}, 0)
        artefact = runner.load(source, here, trusted=trust.model, modules=own_modules(trust.modules)).artefact
    wide = Path(artefact.folder) / MODEL
    twins = Twins(wide=wide, narrow=narrow, layers=tuple(artefact.parameters["layers"]))
    return Debugged(quantised=narrow, losses=find_losses(twins, _load(wide, data, emit), samples=samples, emit=emit))


def debug_recipe(recipe: Recipe, *, samples: int, emit: Emit, limits: Limits, trust: Trust) -> Debugged:
    """Run a recipe and hold its file against the model as it was before the last stage, which quantises.

    Looked at is the test data where the recipe names some, else the validation data: never what the ranges were taken from.
    """
    with before_quantising(recipe, emit=emit, limits=limits, trust=trust) as ready:
        before = ready.before.artefact
        after = ready.quantise(ready.last.parameters).artefact
    seen = ready.splits.get("test") or ready.splits.get("validation") or ready.splits["train"]
    twins = Twins(wide=Path(before.folder) / MODEL, narrow=Path(after.folder) / MODEL, layers=tuple(before.parameters["layers"]))
    return Debugged(quantised=twins.narrow, losses=find_losses(twins, seen, samples=samples, emit=emit))


def _load(wide: Path, data: str, emit: Emit) -> Dataset:
    _, facts = read_model(wide)
    dataset = load(data, base=Path.cwd(), inputs=facts.inputs, emit=emit)
    raise_errors(check({"test": dataset}, facts.inputs))
    return dataset
