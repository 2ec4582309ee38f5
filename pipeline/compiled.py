"""What a model was compiled with, as plain values, and the losses, metrics and optimisers made of such values. In the worker only.

A setting is a name, a map of `name` and parameters, or `module:function`: "mse", {"name": "SGD", "momentum": 0.9}, "mine:focal".
Keras 3 and Keras 2 write different configurations; a setting holds only what Keras 2 takes, and says nothing of which wrote it.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from edgepipe.documents import suggestion
from edgepipe.errors import RecipeError
from edgepipe.events import Note
from edgepipe.pipeline.user_code import failed, is_code, load_code

Setting: TypeAlias = str | dict[str, Any]

# The schedule is the stage's; averages of weights would undo zeros and clusters; the rest is about how to compute, not what.
NOT_CARRIED = {
    "learning_rate",
    "use_ema",
    "ema_momentum",
    "ema_overwrite_frequency",
    "jit_compile",
    "is_legacy_optimizer",
    "loss_scale_factor",
    "name",
    "fn",
}
# Keras 3's names for what Keras 2 does by another name: the mean over the batch.
REDUCTIONS = {"mean": "sum_over_batch_size", "mean_with_sample_weight": "sum_over_batch_size", "auto": "sum_over_batch_size"}

CHOSEN_BY_LABELS = ("accuracy", "acc", "crossentropy", "ce")  # metrics: which one is meant, Keras tells by labels and outputs


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """A model's own loss, metrics and optimiser; None where it has none. `lost`: what could not be taken over, one line each."""

    loss: Setting | None = None
    metrics: tuple[Setting, ...] = ()
    optimizer: Setting | None = None
    learning_rate: float | None = None
    lost: tuple[str, ...] = ()


def compiled_with(model: Any) -> Compiled:
    """Return what a model of either Keras was compiled with. A schedule's learning rate is its first, or its warm-up's goal."""
    import tf_keras

    config = (model.get_compile_config() if hasattr(model, "get_compile_config") else None) or {}
    lost: list[str] = []

    def setting(value: Any, kinds: Any, what: str) -> Setting | None:
        if (found := _setting(value, kinds)) is None and value is not None:
            lost.append(f"{what} {_named(value)}")
        return found

    optimizer = _inner(config.get("optimizer"))
    losses = list(_leaves(config.get("loss")))
    metrics = [
        setting(value, tf_keras.metrics, "metric")
        for part in ("metrics", "weighted_metrics")
        for value in _leaves(config.get(part))
    ]
    return Compiled(
        loss=setting(losses[0], tf_keras.losses, "loss") if len(losses) == 1 else None,
        metrics=tuple(metric for metric in metrics if metric is not None),
        optimizer=setting(optimizer, tf_keras.optimizers, "optimiser"),
        learning_rate=_learning_rate(optimizer),
        lost=tuple(lost),
    )


def compile_like(model: Any, copy: Any) -> tuple[str, ...]:
    """Compile a tf_keras `copy` as `model` was, as far as Keras 2 can; return what it cannot, one line each."""
    found = compiled_with(model)
    if found.loss is not None or found.optimizer is not None:
        copy.compile(
            make_optimizer(found.optimizer or "Adam", found.learning_rate or 1e-3, Path()),
            make_loss(found.loss, Path()) if found.loss is not None else None,
            metrics=make_metrics(found.metrics, Path()),
        )
    return found.lost


def not_taken_over(lost: Sequence[str]) -> Note:
    """Return the warning for what `Compiled.lost` lists."""
    text = f"the model was compiled with {', '.join(lost)}, which Keras 2 does not know; the recipe can name others under train"
    return Note(warning=True, text=text)


def make_loss(setting: Setting, base: Path) -> Any:
    """Return the loss that a setting means. Raises RecipeError."""
    import tf_keras

    return _made(setting, base, "loss", tf_keras.losses)


def make_metrics(settings: Sequence[Setting], base: Path) -> list[Any]:
    """Return the metrics that settings mean, fresh ones: a metric keeps count. Raises RecipeError."""
    import tf_keras

    return [_made(setting, base, "metrics", tf_keras.metrics) for setting in settings]


def make_optimizer(setting: Setting, learning_rate: Any, base: Path) -> Any:
    """Return the optimiser with this learning rate, a number or a schedule. A function of the user's is called with it."""
    import tf_keras

    if is_code(setting):
        assert isinstance(setting, str)
        try:
            made = load_code(setting, base)(learning_rate)
        except RecipeError:
            raise
        except Exception as exc:  # the user's own code may raise anything
            raise failed(setting, exc) from exc
        if not isinstance(made, tf_keras.optimizers.Optimizer):
            raise RecipeError(f"{setting} gave {_kind(made)}, not an optimiser of Keras 2", todo="from tf_keras import optimizers")
        return made
    named = {"name": setting} if isinstance(setting, str) else setting
    return _made({**named, "learning_rate": learning_rate}, base, "optimizer", tf_keras.optimizers)


def _made(setting: Setting, base: Path, what: str, kinds: Any) -> Any:
    if isinstance(setting, str) and is_code(setting):
        made = load_code(setting, base)
        return made() if isinstance(made, type) else made
    named = {"name": setting} if isinstance(setting, str) else setting
    name = str(named.get("name"))
    if isinstance(setting, str) and what == "metrics" and name in CHOSEN_BY_LABELS:
        return name
    if isinstance(setting, str) and _class(kinds, name) is None and callable(function := getattr(kinds, name, None)):
        return function
    if (kind := _class(kinds, name)) is None:
        raise RecipeError(
            f'train.{what}: Keras 2 has no "{name}".{suggestion(name, _names(kinds))}',
            todo="Name one of Keras 2, a map of `name` and its parameters, or your own as module:function.",
        )
    try:
        return kind(**{key: value for key, value in named.items() if key != "name"})
    except (ValueError, TypeError) as exc:
        raise RecipeError(f"train.{what}: {name} cannot be made: {str(exc).splitlines()[0][:200]}") from exc


def _setting(value: Any, kinds: Any) -> Setting | None:
    """Return a serialised object of either Keras as a setting; None where Keras 2 has nothing of the name."""
    if isinstance(value, str):
        return value if _known(kinds, value) else None
    if not isinstance(value, dict):
        return None
    config = value.get("config")
    if value.get("class_name") == "function":
        return _setting(config, kinds)
    if not isinstance(config, dict) or value.get("registered_name") not in (None, value.get("class_name")):
        return None
    if value.get("class_name") == "MeanMetricWrapper":
        return _setting(config.get("fn"), kinds)
    if (kind := _class(kinds, str(value.get("class_name")))) is None:
        return None
    taken = set(inspect.signature(kind.__init__).parameters) - NOT_CARRIED
    kept = {key: REDUCTIONS.get(given, given) if key == "reduction" else given for key, given in config.items() if key in taken}
    return {"name": kind.__name__, **{key: given for key, given in kept.items() if given is not None}}


def _class(kinds: Any, name: str) -> Any:
    """Return the class that a name means, whatever its case and underscores: sgd, SGD, CategoricalCrossentropy."""
    plain = name.replace("_", "").lower()
    return next((getattr(kinds, other) for other in _names(kinds) if other.lower() == plain), None)


def _names(kinds: Any) -> list[str]:
    return [name for name in dir(kinds) if name[:1].isupper() and isinstance(getattr(kinds, name), type)]


def _known(kinds: Any, name: str) -> bool:
    return name in CHOSEN_BY_LABELS or callable(getattr(kinds, name, None)) or _class(kinds, name) is not None


def _inner(optimizer: Any) -> Any:
    """Return the optimiser inside one that scales the loss for float16."""
    if isinstance(optimizer, dict) and optimizer.get("class_name") == "LossScaleOptimizer":
        return (optimizer.get("config") or {}).get("inner_optimizer")
    return optimizer


def _learning_rate(optimizer: Any) -> float | None:
    rate = (optimizer.get("config") or {}).get("learning_rate") if isinstance(optimizer, dict) else None
    if isinstance(rate, dict):
        schedule = rate.get("config") or {}
        rate = schedule.get("warmup_target") or schedule.get("initial_learning_rate")
    return float(rate) if isinstance(rate, int | float) else None


def _leaves(value: Any) -> Iterator[Any]:
    """Yield the losses or metrics of a model with one output, which Keras takes alone, in lists and in maps by output."""
    if isinstance(value, dict) and "class_name" not in value:
        for inner in value.values():
            yield from _leaves(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _leaves(inner)
    elif value is not None:
        yield value


def _named(value: Any) -> str:
    config = value.get("config") if isinstance(value, dict) else None
    named = config if isinstance(config, str) else value.get("class_name") if isinstance(value, dict) else value
    return f'"{named!s:.80}"'


def _kind(value: object) -> str:
    return f"a {type(value).__module__}.{type(value).__name__}"
