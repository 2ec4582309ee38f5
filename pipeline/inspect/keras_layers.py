"""The layers of a `.keras` file with their parameters, from its configuration alone: no TensorFlow, no weights are read.

Sources: each layer's `build()` in Keras; `build_config` carries the shape that it was built for. Where a formula is not known here,
the number of parameters is None and not guessed.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from edgepipe.errors import ModelFileError
from edgepipe.facts import KerasInspection, KerasLayer
from edgepipe.pipeline.inspect.keras_archive import read_archive

LARGEST_SIZE = 1 << 31  # of any number in a configuration that is multiplied here
LARGEST_RANK = 16
WITHOUT = frozenset(
    {
        *("InputLayer", "Activation", "ReLU", "LeakyReLU", "ELU", "Softmax", "Dropout", "SpatialDropout1D", "SpatialDropout2D"),
        *("GaussianNoise", "GaussianDropout", "AlphaDropout", "Flatten", "Reshape", "Permute", "RepeatVector", "Masking"),
        *("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Dot", "Rescaling", "Resizing"),
        *(f"ZeroPadding{n}D" for n in (1, 2, 3)),
        *(f"Cropping{n}D" for n in (1, 2, 3)),
        *(f"UpSampling{n}D" for n in (1, 2, 3)),
        *(f"{scope}{kind}Pooling{n}D" for scope in ("", "Global") for kind in ("Max", "Average") for n in (1, 2, 3)),
    }
)


def inspect_keras(path: Path) -> KerasInspection:
    """Return what a `.keras` file says of itself. Raises ModelFileError and UnsupportedModel as `read_archive` does."""
    archive = read_archive(path)
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return KerasInspection(
        sha256=sha256,
        size_bytes=path.stat().st_size,
        written_by=f"{'Keras' if archive.is_keras_3 else 'tf_keras'} {archive.keras_version}",
        inputs=archive.inputs,
        layers=tuple(_layers(path, archive.config)),
    )


def _layers(path: Path, config: dict[str, Any]) -> Iterator[KerasLayer]:
    """Yield the layers in their order, those of a nested model as outer/inner."""
    pending: list[tuple[str, Any]] = [("", config)]
    while pending:
        prefix, node = pending.pop()
        settings = node.get("config") if isinstance(node, dict) else None
        if not isinstance(settings, dict):
            raise ModelFileError(f"{path}: its configuration is damaged: a layer has no settings")
        inner = settings.get("layers")
        name = "" if node is config else f"{prefix}{settings.get('name') or node.get('name')}"
        if isinstance(inner, list):
            pending += [(f"{name}/" if name else "", layer) for layer in reversed(inner)]
        else:
            yield _layer(name, node, settings)


def _layer(name: str, node: dict[str, Any], settings: dict[str, Any]) -> KerasLayer:
    shape = _input_shape(node)
    kind = str(node.get("class_name"))
    try:
        parameters = _parameters(kind, settings, shape)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, ZeroDivisionError):  # a setting is not what Keras writes
        parameters = None
    activation = settings.get("activation")
    return KerasLayer(
        name=name,
        kind=kind,
        input_shape=shape,
        parameters=parameters,
        activation=activation if isinstance(activation, str) else None,
    )


def _input_shape(node: dict[str, Any]) -> tuple[int, ...] | None:
    """Return the shape of the only input, the batch as -1; None where there are more, or it is not told."""
    built = node.get("build_config")
    shape = built.get("input_shape") if isinstance(built, dict) else None
    sizes = [-1 if size is None else size for size in shape] if isinstance(shape, list) else []
    fits = 0 < len(sizes) <= LARGEST_RANK and all(isinstance(size, int) and -1 <= size < LARGEST_SIZE for size in sizes)
    return tuple(sizes) if fits else None


def _parameters(kind: str, settings: dict[str, Any], shape: tuple[int, ...] | None) -> int | None:
    if kind in WITHOUT:
        return 0
    formula = FORMULAS.get(kind)
    return formula(settings, shape) if formula and shape else None


def _whole(value: object) -> int:
    """Return a size that is safe to multiply with: a string or a number of a million digits is not. Raises ValueError."""
    if not isinstance(value, int) or not 0 <= value < LARGEST_SIZE:
        raise ValueError("not a size")
    return int(value)


def _kernel(settings: dict[str, Any]) -> int:
    sizes = settings["kernel_size"]
    if not isinstance(sizes, list) or len(sizes) > LARGEST_RANK:
        raise ValueError("not a kernel")
    return math.prod(_whole(size) for size in sizes)


def _channels(settings: dict[str, Any], shape: tuple[int, ...]) -> int:
    return _whole(shape[1 if settings.get("data_format") == "channels_first" else -1])


def _biases(settings: dict[str, Any], count: int) -> int:
    return count if settings["use_bias"] else 0


def _dense(settings: dict[str, Any], shape: tuple[int, ...]) -> int:
    units = _whole(settings["units"])
    return _whole(shape[-1]) * units + _biases(settings, units)


def _conv(settings: dict[str, Any], shape: tuple[int, ...]) -> int:
    filters, inside = _whole(settings["filters"]), _channels(settings, shape) // _whole(settings.get("groups", 1))
    return _kernel(settings) * inside * filters + _biases(settings, filters)


def _depthwise(settings: dict[str, Any], shape: tuple[int, ...]) -> int:
    given = _channels(settings, shape) * _whole(settings["depth_multiplier"])
    return _kernel(settings) * given + _biases(settings, given)


def _separable(settings: dict[str, Any], shape: tuple[int, ...]) -> int:
    between, filters = _channels(settings, shape) * _whole(settings["depth_multiplier"]), _whole(settings["filters"])
    return _kernel(settings) * between + between * filters + _biases(settings, filters)


def _normalisation(kept: int) -> Callable[[dict[str, Any], tuple[int, ...]], int]:
    """`kept`: the moving averages that stay beside scale and offset."""

    def formula(settings: dict[str, Any], shape: tuple[int, ...]) -> int:
        axes = settings["axis"] if isinstance(settings["axis"], list) else [settings["axis"]]
        if len(axes) > LARGEST_RANK:
            raise ValueError("not a list of axes")
        return math.prod(_whole(shape[axis]) for axis in axes) * (kept + bool(settings["center"]) + bool(settings["scale"]))

    return formula


def _recurrent(gates: int) -> Callable[[dict[str, Any], tuple[int, ...]], int]:
    def formula(settings: dict[str, Any], shape: tuple[int, ...]) -> int:
        units = _whole(settings["units"])
        twice = 2 if settings.get("reset_after") else 1  # a GRU's recurrent part then has a bias of its own
        return gates * units * (_whole(shape[-1]) + units) + _biases(settings, gates * units * twice)

    return formula


def _both_ways(settings: dict[str, Any], shape: tuple[int, ...]) -> int:
    layer = settings["layer"]
    return 2 * RECURRENT[layer["class_name"]](layer["config"], shape)


RECURRENT = {"SimpleRNN": _recurrent(1), "GRU": _recurrent(3), "LSTM": _recurrent(4)}
FORMULAS: dict[str, Callable[[dict[str, Any], tuple[int, ...]], int]] = {
    "Dense": _dense,
    **{f"Conv{n}D": _conv for n in (1, 2, 3)},
    **{f"Conv{n}DTranspose": _conv for n in (1, 2, 3)},
    **{f"DepthwiseConv{n}D": _depthwise for n in (1, 2)},
    **{f"SeparableConv{n}D": _separable for n in (1, 2)},
    "BatchNormalization": _normalisation(2),
    "LayerNormalization": _normalisation(0),
    "GroupNormalization": _normalisation(0),
    "Embedding": lambda settings, shape: _whole(settings["input_dim"]) * _whole(settings["output_dim"]),
    **RECURRENT,
    "Bidirectional": _both_ways,
}
