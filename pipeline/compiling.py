"""The losses, metrics and optimisers that settings mean, and models compiled with them. In the worker only.

A setting is a name, a map of `name` and parameters, or `module:function`: "mse", {"name": "SGD", "momentum": 0.9}, "mine:focal".
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from types import FunctionType
from typing import Any, TypeAlias

from edgepipe.documents import suggestion
from edgepipe.errors import RecipeError
from edgepipe.pipeline.user_code import failed, is_code, load_code

Setting: TypeAlias = str | dict[str, Any]

CHOSEN_BY_LABELS = ("accuracy", "acc", "crossentropy", "ce")  # metrics: which one is meant, Keras tells by labels and outputs


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


def compile_for_saving(model: Any, loss: Setting, metrics: Sequence[Setting], optimizer: Setting, rate: float, base: Path) -> None:
    """Compile a model that is about to be saved, so that the file tells what it was trained with.

    An optimiser of the user's own is made with a schedule, and what it gives may not know how to be saved: Adam takes its place.
    """
    import tf_keras

    def savable(made: Any) -> bool:
        return isinstance(made, str | FunctionType | tf_keras.losses.Loss | tf_keras.metrics.Metric)

    made = make_loss(loss, base)
    model.compile(
        make_optimizer("Adam" if is_code(optimizer) or optimizer == "from_model" else optimizer, rate, base),
        made if savable(made) else None,
        metrics=[metric for metric in make_metrics(metrics, base) if savable(metric)],
    )


def _made(setting: Setting, base: Path, what: str, kinds: Any) -> Any:
    if isinstance(setting, str) and is_code(setting):
        made = load_code(setting, base)
        return made() if isinstance(made, type) else made
    named = {"name": setting} if isinstance(setting, str) else setting
    name = str(named.get("name"))
    if isinstance(setting, str) and what == "metrics" and name in CHOSEN_BY_LABELS:
        return name
    if isinstance(setting, str) and class_named(kinds, name) is None and callable(function := getattr(kinds, name, None)):
        return function
    kind = load_code(name, base) if is_code(name) else class_named(kinds, name)
    if kind is None:
        raise RecipeError(
            f'train.{what}: Keras 2 has no "{name}".{suggestion(name, _names(kinds))}',
            todo="Name one of Keras 2, a map of `name` and its parameters, or your own as module:function.",
        )
    try:
        return kind(**{key: value for key, value in named.items() if key != "name"})
    except (ValueError, TypeError) as exc:
        raise RecipeError(f"train.{what}: {name} cannot be made: {str(exc).splitlines()[0][:200]}") from exc


def class_named(kinds: Any, name: str, among: Collection[str] | None = None) -> Any:
    """Return the class that a name means, whatever its case and underscores: sgd, SGD, CategoricalCrossentropy."""
    plain = name.replace("_", "").lower()
    names = (other for other in _names(kinds) if among is None or other in among)
    return next((getattr(kinds, other) for other in names if other.lower() == plain), None)


def _names(kinds: Any) -> list[str]:
    return [name for name in dir(kinds) if name[:1].isupper() and isinstance(getattr(kinds, name), type)]


def _kind(value: object) -> str:
    return f"a {type(value).__module__}.{type(value).__name__}"
