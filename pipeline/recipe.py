"""The user's recipe: model, data, target, ordered stages and gates, from YAML into frozen values, all problems told at once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edgepipe.documents import parse, read_yaml, suggestion
from edgepipe.errors import RecipeError
from edgepipe.pipeline.augment import Augmentation
from edgepipe.pipeline.targets import TARGETS, Target
from edgepipe.pipeline.user_code import code_problems, is_code

DERIVED = ("name", "base")  # fields that are no keys: the file's name and its folder
LARGEST_SEED = 2**32 - 1  # NumPy's


@dataclass(frozen=True, kw_only=True)
class ModelSource:
    """Where the trained model comes from."""

    path: str
    """A `.keras` file of Keras 2 or 3, a SavedModel folder of Keras 2, or `module:function` that returns a model. What may run code
    is loaded only with `--trust-model` on the [command line](safety.md)."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Samples that set the ranges of int8 numbers."""

    samples: int = 200
    """How many training samples set the ranges of int8 numbers, each class in its share."""


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """Where the data comes from. A source is an .npz, a folder of class folders, a .csv, `module:function` or `digits`."""

    train: str
    """The training data: `.npz`, a folder of class folders, `.csv`, `module:function`, or `digits`."""
    test: str | float | None = None
    """The test data: a source, or the share of the training data to set aside. Only shown, never used for a choice."""
    validation: str | float = 0.15
    """The validation data: a source, or the share of what is left of the training data. Every choice is made on it."""
    calibration: Calibration = Calibration()
    """Samples that set the ranges of int8 numbers."""
    scale: float | None = None
    """What the values of pictures are divided by; 255 where nothing is said."""


@dataclass(frozen=True, kw_only=True)
class TrainSpec:
    """How stages train. Steps and schedules follow from the data. `module:function` is code of yours, beside the recipe."""

    epochs: int = 10
    """Passes over the training data in each stage that trains."""
    batch_size: int = 32
    """Samples in one step."""
    learning_rate: float | None = None
    """Highest learning rate; the model's own, else 0.001. Stages that only adjust take a tenth of it."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """`cosine`: the learning rate falls to zero over each stage, whatever the model was trained with. `constant`: it stays, for
    callbacks that set it."""
    loss: str | dict[str, Any] = "from_model"
    """A Keras loss: its name; a map of `name` and parameters, such as `{name: CategoricalCrossentropy, label_smoothing: 0.1}`; or
    `module:function`, also as the `name`. `from_model`: the one the model was compiled with, else the usual one for its last
    layer and the labels."""
    optimizer: str | dict[str, Any] = "from_model"
    """A Keras optimiser: its name, a map such as `{name: SGD, momentum: 0.9}`, or `module:function`, called with the learning rate.
    `from_model`: the one the model was compiled with, its settings but not its state, else Adam; averaged weights are left out."""
    metrics: Literal["from_model"] | tuple[str | dict[str, Any], ...] = "from_model"
    """Keras metrics to follow while training, as names, maps or `module:function`. `from_model`: those of the model."""
    class_weights: Literal["balanced"] | dict[int, float] | None = None
    """What a sample of each class counts in the loss: `balanced`, so that all classes count the same, or a map, `{0: 1, 1: 3}`."""
    augment: str | Augmentation | None = None
    """How training inputs are changed, batch by batch: a map of `flip`, `shift` and `noise`, or `module:function`, called with a
    batch (an array, or a map by input) and a seeded `numpy.random.Generator`; it returns the batch in the same shape."""
    callbacks: tuple[str, ...] = ()
    """`module:function` each, called without arguments in every stage; gives a callback of `tf_keras.callbacks`, or a list."""
    fit: str | None = None
    """`module:function` that trains instead of `model.fit`: see [a fit of your own](#a-fit-of-your-own)."""
    mixed_precision: bool = False
    """Compute in bfloat16 while training; what is saved and converted is float32. Not for `quantize: {mode: qat}`."""

    @property
    def code(self) -> dict[str, str]:
        """Every `module:function` in it, by its key."""
        settings = {"loss": self.loss, "optimizer": self.optimizer, "augment": self.augment, "fit": self.fit}
        settings |= {f"metrics.{number}": spec for number, spec in enumerate(() if isinstance(self.metrics, str) else self.metrics)}
        named = {key: value.get("name") if isinstance(value, dict) else value for key, value in settings.items()}
        found = {f"train.{key}": name for key, name in named.items() if isinstance(name, str) and is_code(name)}
        return found | {f"train.callbacks.{number}": callback for number, callback in enumerate(self.callbacks)}


@dataclass(frozen=True, kw_only=True)
class Gates:
    """What the last artefact must reach; a missed gate is exit code 1."""

    accuracy_drop_points: float | None = None
    """Most accuracy that may be lost against the float model, in percentage points of the test data."""
    size_bytes: int | None = None
    """Largest `.tflite`, in bytes."""
    gzip_bytes: int | None = None
    """Largest `.tflite` after gzip -9, in bytes."""
    arena_bytes: int | None = None
    """Largest tensor arena in TensorFlow Lite Micro, in bytes."""
    latency_us: float | None = None
    """Longest median latency on this machine, in microseconds."""
    cpu_mac_percent: float | None = None
    """Target coral only: most of the multiply-accumulates that the board's CPU computes, not its Edge TPU, in percent. 10 asks for
    90 % on the Edge TPU, as `edgepipe edgetpu` foretells it."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One stage of a recipe: its name and its own parameters."""

    stage: str
    parameters: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole recipe. Paths are relative to `base`."""

    schema: Literal[1]
    """The version of this format; always 1."""
    model: ModelSource
    """The trained model."""
    data: DataSpec | None = None
    """The data it is trained on again, calibrated with and judged by; not needed to convert without int8."""
    target: str = "host"
    """What the last file must fit: `host`, `pi`, `coral` or `mcu`."""
    seed: int = 0
    """Seed of every split, shuffle and initial value."""
    train: TrainSpec = TrainSpec()
    """How stages train."""
    stages: tuple[dict[str, dict[str, Any] | None], ...]
    """The stages in order, each a map of one key: the stage's name, with its parameters."""
    gates: Gates = Gates()
    """What the result must reach."""
    name: str = "recipe"
    base: str = "."

    @property
    def steps(self) -> tuple[Step, ...]:
        """The stages as (name, parameters)."""
        return tuple(Step(stage=name, parameters=given or {}) for entry in self.stages for name, given in entry.items())


def load_recipe(path: Path) -> Recipe:
    """Return the recipe in a YAML file. Raises RecipeError that lists every problem in it."""
    return read_recipe(read_yaml(path, RecipeError), source=str(path), name=path.stem, base=path.parent)


def read_recipe(content: dict[str, Any], *, source: str, name: str, base: Path) -> Recipe:
    """Return a recipe from its keys; `source` is what error messages call it. Raises RecipeError that lists every problem."""
    problems = [f'unknown key "{key}". The file\'s name and folder are taken.' for key in DERIVED if key in content]
    recipe: Recipe | None = None
    try:
        recipe = parse(Recipe, {**content, "name": name, "base": str(base)}, source=source, error=RecipeError)
    except RecipeError as exc:
        problems += exc.problems
    target = TARGETS.get(str(content.get("target", "host")))
    problems += stage_problems(content.get("stages"), has_data=content.get("data") is not None, target=target)
    problems += _target_problems(content.get("target"))
    if recipe is not None:
        problems += _value_problems(recipe)
    if problems or recipe is None:
        count = "one problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise RecipeError(f"{source} has {count}", problems=list(dict.fromkeys(problems)))
    return recipe


def stage_problems(stages: Any, *, has_data: bool, target: Target | None = None) -> list[str]:
    """Return what is wrong with the list of stages: names, parameters, order, missing data, what `target` cannot run."""
    from edgepipe.pipeline.stages import STAGES
    from edgepipe.pipeline.stages.protocol import Form
    from edgepipe.pipeline.stages.quantize import Quantize

    if not isinstance(stages, list | tuple):
        return []
    problems: list[str] = [] if stages else ['"stages" is empty: name at least one stage']
    finished = ""
    for number, entry in enumerate(stages, 1):
        if not isinstance(entry, dict) or len(entry) != 1:
            problems.append(f"stage {number} must be a map of one key, such as `- prune: {{sparsity: 0.8}}`")
            continue
        ((name, given),) = entry.items()
        if name not in STAGES:
            problems.append(f'stage {number}: there is no stage "{name}".{suggestion(str(name), list(STAGES))}')
            continue
        if finished:
            problems.append(
                f'stage {number}: "{name}" needs a model that can be trained, but "{finished}" before it ends with a .tflite'
            )
        try:
            stage = parse(STAGES[name], given or {}, source=name, error=RecipeError)
        except RecipeError as exc:
            problems += [f"stage {number} ({name}): {problem}" for problem in exc.problems]
            continue
        problems += [f"stage {number} ({name}): {problem}" for problem in stage.check()]
        if stage.needs_data and not has_data:
            problems.append(
                f"stage {number} ({name}) needs training data: data: {{train: …}} in a recipe, --data on the command line"
            )
        if isinstance(stage, Quantize) and target is not None:
            problems += [f"stage {number} ({name}): {problem}" for problem in stage.target_problems(target)]
        if stage.gives is Form.TFLITE:
            finished = name
    return problems


def _target_problems(target: object) -> list[str]:
    if not isinstance(target, str) or target in TARGETS:
        return []
    *others, last = (repr(name) for name in TARGETS)
    return [f'"target": it should be {", ".join(others)} or {last} (given: {target!r})']


def _train_problems(recipe: Recipe) -> list[str]:
    from edgepipe.pipeline.stages.protocol import schedule_problems

    train = recipe.train
    problems = [] if train.batch_size >= 1 else ['"train.batch_size" must be at least 1']
    for key in ("loss", "optimizer"):
        setting = getattr(train, key)
        if isinstance(setting, dict) and not isinstance(setting.get("name"), str):
            problems.append(f'"train.{key}" must be a name, or a map with `name`')
    if isinstance(train.augment, Augmentation):
        problems += [f"train.augment: {problem}" for problem in train.augment.check()]
    weights = train.class_weights.values() if isinstance(train.class_weights, dict) else ()
    problems += [
        f'"train.class_weights" holds {weight}; a weight is a number from 0 on' for weight in weights if not 0 <= weight < math.inf
    ]
    asked = {**train.code, **({"train.fit": train.fit} if train.fit else {})}
    asked |= {"train.augment": train.augment} if isinstance(train.augment, str) else {}
    problems += [problem for key, spec in asked.items() for problem in code_problems(key, spec, Path(recipe.base))]
    if train.mixed_precision and any(step.parameters.get("mode") == "qat" for step in recipe.steps):
        problems.append('"train.mixed_precision": quantize with mode: qat computes in float32 only')
    return problems + [f"train.{problem}" for problem in schedule_problems(train.epochs, train.learning_rate)]


def _value_problems(recipe: Recipe) -> list[str]:
    problems = []
    data = recipe.data
    for name in ("validation", "test") if data else ():
        share = getattr(data, name)
        if isinstance(share, float) and not 0 < share < 1:
            problems.append(f'"data.{name}" is {share}; as a share it must lie between 0 and 1')
    if data is not None and data.calibration.samples < 1:
        problems.append('"data.calibration.samples" must be at least 1')
    if not 0 <= recipe.seed <= LARGEST_SEED:
        problems.append(f'"seed" is {recipe.seed}; it must lie between 0 and {LARGEST_SEED}')
    problems += _train_problems(recipe)
    limits = {name: limit for name, limit in vars(recipe.gates).items() if limit is not None}
    for name, limit in limits.items():
        lowest = -100 if name == "accuracy_drop_points" else 0  # a drop below 0 asks for a better model
        if not lowest <= limit < math.inf:
            problems.append(f'"gates.{name}" is {limit}; it must be a number from {lowest} on')
    if recipe.gates.cpu_mac_percent is not None and recipe.target != "coral":
        problems.append(f'"gates.cpu_mac_percent" needs target: coral (given: {recipe.target})')
    if recipe.gates.accuracy_drop_points is not None and (data is None or data.test is None):
        problems.append('"gates.accuracy_drop_points" needs test data: data: {test: …}')
    return problems
