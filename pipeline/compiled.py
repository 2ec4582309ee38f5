"""What a model was compiled with, read as plain values from what Keras wrote of it, whatever code that may name.

Keras 3 and Keras 2 write different configurations; the settings made of them hold only what Keras 2 takes, and say nothing of
which wrote them. In the worker only.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from edgepipe.events import Note
from edgepipe.pipeline.compiling import CHOSEN_BY_LABELS, Setting, class_named
from edgepipe.pipeline.inspect.keras_classes import EVERY_CLASS, FUNCTION_MODULES, FUNCTIONS, LOSSES, METRICS, OPTIMIZERS, printable
from edgepipe.pipeline.inspect.keras_modules import defined_in

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
LARGEST = 10_000  # number in a parameter: MeanIoU keeps the square of it


@dataclass(frozen=True, kw_only=True)
class Lost:
    """A loss, metric or optimiser that could not be taken over; `module` is where it comes from, '' where that is not told."""

    key: str
    """Of a recipe's `train`: loss, metrics or optimizer."""
    name: str
    module: str = ""
    allowed: bool = False
    """True where the user allowed its module, which holds nothing of the name that Keras 2 can train with."""

    def __str__(self) -> str:
        part = {"loss": "loss", "metrics": "metric", "optimizer": "optimiser"}[self.key]
        place = f" of {self.module:.80}" if self.is_own and self.module else ""
        return f'{part} "{self.name:.80}"{place}' + (" (none of Keras 2)" if self.allowed else "")

    @property
    def is_own(self) -> bool:
        """Whether it is somebody's own, and not a younger Keras's."""
        is_keras = self.module.partition(".")[0] in ("keras", "tf_keras") or self.name in FUNCTIONS | EVERY_CLASS
        return not is_keras


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """A model's own loss, metrics and optimiser; None where it has none. `lost`: what could not be taken over."""

    loss: Setting | None = None
    metrics: tuple[Setting, ...] = ()
    optimizer: Setting | None = None
    learning_rate: float | None = None
    lost: tuple[Lost, ...] = ()


def compiled_with(model: Any) -> Compiled:
    """Return what a model in hand, of either Keras, was compiled with."""
    return read_compiled(model.get_compile_config() if hasattr(model, "get_compile_config") else None)


def read_compiled(training: object, modules: frozenset[str] = frozenset()) -> Compiled:
    """Return what a model was compiled with, from what either Keras wrote of it; nothing of that is built.

    Only names of Keras's own are taken, with plain values, and what the user's own `modules` define themselves. A schedule's
    learning rate is its first, or its warm-up's goal.
    """
    config = training if isinstance(training, dict) else {}
    lost: list[Lost] = []

    def setting(value: Any, key: str) -> Setting | None:
        found = _setting(value, key)
        found = _own_setting(value, modules) if found is None else found
        if found is None and value is not None:
            lost.append(_lost(value, key, modules))
        return found

    optimizer = _inner(config.get("optimizer") or config.get("optimizer_config"))  # the second is that of .h5 and SavedModel
    losses = list(_leaves(config.get("loss")))
    loss = setting(losses[0], "loss") if len(losses) == 1 else None
    metrics = [setting(value, "metrics") for part in ("metrics", "weighted_metrics") for value in _leaves(config.get(part))]
    return Compiled(
        loss=loss,
        metrics=tuple(metric for metric in metrics if metric is not None),
        optimizer=setting(optimizer, "optimizer"),
        learning_rate=_learning_rate(optimizer),
        lost=tuple(dict.fromkeys(lost)),
    )


def not_taken_over(lost: Sequence[Lost]) -> Note:
    """Return the warning for what could not be taken over, with what to write instead."""
    text = f"the model was compiled with {', '.join(map(str, lost))}, which "
    own = {each.key: each for each in lost if each.is_own}
    if not own:
        return Note(warning=True, text=f"{text}Keras 2 does not know; the recipe can name others under train")
    text += "is left out, since a model's code is not run. To train with it, write in a recipe train: {"
    text += ", ".join(f"{key}: [{_spec(each)}]" if key == "metrics" else f"{key}: {_spec(each)}" for key, each in own.items()) + "}"
    modules = dict.fromkeys(each.module for each in lost if each.is_own and each.module and not each.allowed)
    return Note(warning=True, text=text + "".join(f", or give --allow-module {module:.80}" for module in modules))


def _spec(lost: Lost) -> str:
    return f"{lost.module or 'module'}:{lost.name if lost.name.isidentifier() else 'function'}"


def _setting(value: Any, key: str) -> Setting | None:
    """Return a serialised object of either Keras as a setting; None where Keras 2 has nothing of the name, or it is not Keras's."""
    import tf_keras

    kinds, classes = {
        "loss": (tf_keras.losses, LOSSES),
        "metrics": (tf_keras.metrics, METRICS),
        "optimizer": (tf_keras.optimizers, OPTIMIZERS),
    }[key]
    if isinstance(value, str):
        function = value in FUNCTIONS and callable(getattr(kinds, value, None))
        chosen = key == "metrics" and value in CHOSEN_BY_LABELS
        return value if chosen or function or class_named(kinds, value, classes) is not None else None
    if not isinstance(value, dict):
        return None
    config, name = value.get("config"), str(value.get("class_name")).removeprefix("Custom>")  # Keras 2's own, in a .h5
    if name == "function":
        return _setting(config, key) if isinstance(config, str) and value.get("module") in FUNCTION_MODULES else None
    if not isinstance(config, dict) or not _is_keras(value.get("module")):
        return None
    if value.get("registered_name") not in (None, name):
        return None
    if name == "MeanMetricWrapper":
        return _setting(config.get("fn"), key)
    kind = class_named(kinds, name, classes)
    found = None if kind is None else _with_values(kind.__name__, kind, config)
    if found is not None:
        try:
            kind(**{key: given for key, given in found.items() if key != "name"})
        except (ValueError, TypeError, AttributeError, KeyError):  # parameters that Keras 2 does not take
            return None
    return found


def _is_keras(module: object) -> bool:
    return module is None or (isinstance(module, str) and module.partition(".")[0] in ("keras", "tf_keras"))


def _own_setting(value: Any, modules: frozenset[str]) -> Setting | None:
    """Return a serialised object of the user's own modules as a setting. Keras does not say where a function came from."""
    import tf_keras

    if not isinstance(value, dict) or not modules:
        return None
    config, name, module = value.get("config"), str(value.get("class_name")), value.get("module")
    if name == "MeanMetricWrapper":
        return _own_setting(_config(value).get("fn"), modules)
    if name == "function":
        places = [place for place in sorted(modules) if isinstance(config, str) and config in defined_in(place)]
        return f"{places[0]}:{config}" if len(places) == 1 else None
    if module not in modules or not isinstance(config, dict):
        return None
    kind = defined_in(module).get(name)
    bases = (tf_keras.losses.Loss, tf_keras.metrics.Metric, tf_keras.optimizers.Optimizer)
    return _with_values(f"{module}:{name}", kind, config) if isinstance(kind, type) and issubclass(kind, bases) else None


def _with_values(name: str, kind: Any, config: dict[str, Any]) -> dict[str, Any] | None:
    """Return `name` with the parameters that `kind` takes; None where one of them is no plain value, or takes much memory."""
    parameters = inspect.signature(kind.__init__).parameters
    open_ended = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    taken = {key: value for key, value in config.items() if (open_ended or key in parameters) and key not in NOT_CARRIED}
    kept = {key: REDUCTIONS.get(given, given) if key == "reduction" else given for key, given in taken.items()}
    if not all(map(_is_plain, kept.values())):
        return None
    return {"name": name, **{key: given for key, given in kept.items() if given is not None}}


def _is_plain(value: object) -> bool:
    if isinstance(value, list):
        return len(value) <= LARGEST and all(map(_is_plain, value))
    return abs(value) <= LARGEST if isinstance(value, int | float) else value is None or isinstance(value, str)


def _config(value: Any) -> dict[str, Any]:
    config = value.get("config") if isinstance(value, dict) else None
    return config if isinstance(config, dict) else {}


def _inner(optimizer: Any) -> Any:
    """Return the optimiser inside one that scales the loss for float16."""
    if isinstance(optimizer, dict) and optimizer.get("class_name") == "LossScaleOptimizer":
        return _config(optimizer).get("inner_optimizer")
    return optimizer


def _learning_rate(optimizer: Any) -> float | None:
    rate = _config(optimizer).get("learning_rate")
    if isinstance(rate, dict):
        rate = _config(rate).get("warmup_target") or _config(rate).get("initial_learning_rate")
    return float(rate) if isinstance(rate, int | float) and 0 < rate < math.inf else None


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


def _lost(value: Any, key: str, modules: frozenset[str]) -> Lost:
    if not isinstance(value, dict):
        return Lost(key=key, name=printable(str(value)))
    name, module = value.get("class_name"), value.get("module")
    if name == "MeanMetricWrapper":
        return _lost(_config(value).get("fn"), key, modules)
    place = printable(module) if isinstance(module, str) and module not in ("builtins", "__main__") else ""
    name = value.get("config") if name == "function" else name
    return Lost(key=key, name=printable(str(name)), module=place, allowed=place in modules)
