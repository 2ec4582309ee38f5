"""A Keras 3 model built again in Keras 2, with proof that it computes the same. Runs in the worker only.

TF-MOT fails on Keras 3 models, partly in silence. So the graph is walked node by node, each layer, activation and operation is
replaced by its twin (`keras_twins`), the weights are copied, and both models are run on random inputs.
"""

from __future__ import annotations

import inspect
from typing import Any

from edgepipe.errors import UnsupportedModel
from edgepipe.events import Emit, Note
from edgepipe.pipeline import keras_twins
from edgepipe.pipeline.keras_twins import NoTwin, Twin
from edgepipe.pipeline.precision import in_float32

TOLERANCE = 1e-5  # max|a - b| <= TOLERANCE * max(1, max|a|)
PROBES = 16
RAW = 0.1  # a Rescaling by less takes raw values, 0..255; Rescaling(2.0, -1.0) takes 0..1


def rebuild(model: Any, emit: Emit) -> Any:
    """Return a tf_keras copy of a functional or sequential Keras 3 model, not compiled, after proving that both compute the same.

    What was trained in mixed precision is compared as it computes in float32.
    Raises UnsupportedModel that lists every layer and operation without a twin in Keras 2, or the difference found.
    """
    import keras

    if not isinstance(model, keras.Sequential) and type(model).__name__ != "Functional":
        raise subclassed(model.name, type(model).__name__)
    model = in_float32(model, emit)
    problems: list[str] = []
    copy = _copy_graph(model, problems)
    if copy is None:
        raise UnsupportedModel(
            f'"{model.name}" has parts that Keras 2, and so TF-MOT, does not know',
            problems=problems,
            todo="Replace these by older ones; keras.layers lists alternatives.",
        )
    copy_weights(model, copy)
    if (found := largest_difference(model, copy)) is None:
        emit(Note(warning=True, text="the model gives the same answer to 16 random inputs: rebuilding it could not be proved"))
    elif not found <= TOLERANCE:
        raise UnsupportedModel(
            f'"{model.name}" computes something else after rebuilding it for TF-MOT (relative difference {found:.3g})',
            cause="a layer that means something else in Keras 2",
            todo="Please report it with the model's summary().",
        )
    return copy


def subclassed(source: str, kind: str) -> UnsupportedModel:
    """Return the error for a model whose forward pass is code."""
    return UnsupportedModel(
        f"{source} is a subclassed model ({kind})",
        cause="its forward pass is Python code, which cannot be rebuilt, pruned or clustered layer by layer",
        todo="Build it with the functional API: keras.Model(inputs, outputs).",
    )


def _copy_graph(model: Any, problems: list[str]) -> Any:
    """Return a tf_keras model with the same parts joined in the same way, its weights still fresh; None where a twin is missing."""
    import keras
    import tf_keras

    graph = model._functional if isinstance(model, keras.Sequential) else model
    nodes = [node for depth in sorted(graph._nodes_by_depth, reverse=True) for node in graph._nodes_by_depth[depth]]
    twins: dict[int, Twin | None] = {id(node.operation): None for node in nodes}
    for part in {id(node.operation): node.operation for node in nodes if not node.is_input}.values():
        twins[id(part)] = _twin(part, problems)
    if problems:
        return None
    inputs = [tf_keras.Input(batch_shape=tuple(tensor.shape), dtype=tensor.dtype, name=_name(tensor)) for tensor in model.inputs]
    tensors = {id(old): new for old, new in zip(model.inputs, inputs, strict=True)}

    def mapped(value: Any) -> Any:
        return tensors[id(value)] if isinstance(value, keras.KerasTensor) else value

    for node in nodes:
        twin = twins[id(node.operation)]
        if twin is None:
            continue
        given = keras.tree.map_structure(mapped, _asked_for(node))
        results = twin(*keras.tree.map_structure(mapped, list(node.arguments.args)), **given)
        for old, new in zip(node.outputs, keras.tree.flatten(results), strict=True):
            tensors[id(old)] = new
    outputs = [tensors[id(tensor)] for tensor in model.outputs]
    return tf_keras.Model(_one_or_all(inputs), _one_or_all(outputs), name=model.name)


def _asked_for(node: Any) -> dict[str, Any]:
    """Return the keywords that a layer was called with.

    Keras 3 notes the default of `training` as well, which would hold for good in Keras 2: dropout that never drops,
    augmentation that never ends. Only a False that the layer's own default is not, a part kept frozen, was asked for.
    """
    given = {key: value for key, value in node.arguments.kwargs.items() if value is not None}
    if "training" in given:
        usual = inspect.signature(node.operation.call).parameters.get("training")
        if given["training"] or usual is None or usual.default is False:
            del given["training"]
    return given


def _name(tensor: Any) -> str:
    history = getattr(tensor, "_keras_history", None)
    return str((history.operation if history else tensor).name)


def _twin(part: Any, problems: list[str]) -> Twin | None:
    import keras

    twin: Twin | None = None
    try:
        if isinstance(part, keras.Model):
            twin = _copy_graph(part, problems)
        elif isinstance(part, keras.layers.Layer):
            twin = keras_twins.layer(part)
        else:
            twin = keras_twins.operation(part)
    except NoTwin as exc:
        problems.append(f'"{part.name}": {exc}')
    return twin


def copy_weights(model: Any, copy: Any) -> None:
    """Copy the weights of each layer of `model` to the layer of the same name in `copy`. Seeds of dropout are no weights."""
    twins = {layer.name: layer for layer in copy.layers}
    for layer in model.layers:
        if layer.name not in twins or not layer.weights:
            continue
        if hasattr(layer, "layers") and hasattr(twins[layer.name], "layers"):
            copy_weights(layer, twins[layer.name])
            continue
        named = zip(layer.weights, layer.get_weights(), strict=True)
        twins[layer.name].set_weights([value for variable, value in named if "seed" not in variable.name])
        if hasattr(twins[layer.name], "finalize_state"):  # Normalization computes with what it derived from its weights
            twins[layer.name].finalize_state()


def largest_difference(model: Any, copy: Any, *, seed: int = 0) -> float | None:
    """Return max|a - b| / max(1, max|a|) over all outputs on 16 random inputs; None where the answers are the same for all.

    Raises UnsupportedModel where the model's own answers are no numbers.
    """
    inputs = probes(model, seed)
    return difference(answers(model, inputs), answers(copy, inputs), name=model.name)


def answers(model: Any, inputs: list[Any]) -> list[Any]:
    """Return a model's outputs as arrays, in order."""
    import numpy as np

    return [np.asarray(output) for output in _flat(model(_one_or_all(inputs), training=False))]


def difference(theirs: list[Any], ours: list[Any], *, name: str) -> float | None:
    """Return max|a - b| / max(1, max|a|) between the answers of the model `name` and of its copy; None as `largest_difference`."""
    import numpy as np

    worst, varied = 0.0, False
    for a, b in zip(theirs, ours, strict=True):
        if not np.isfinite(a).all():  # NaN is larger than nothing: it would pass as no difference
            raise UnsupportedModel(
                f'"{name}" answers random inputs with NaN or infinity',
                cause="its training diverged, and left weights that are no numbers",
                todo="Train it again with a lower learning rate.",
            )
        if a.shape != b.shape:
            return float("inf")
        worst = float(np.maximum(worst, np.max(np.abs(a - b)) / max(1.0, float(np.max(np.abs(a))))))
        varied |= bool(np.max(np.ptp(a, axis=0)) > 0)
    return worst if varied or not worst <= TOLERANCE else None


def probes(model: Any, seed: int) -> list[Any]:
    """Return 16 random samples for each input: normal, 0..255 where the model scales them itself, 0 or 1 where they are indices.

    Values far smaller than a model was made for let its first normalisation blow up rounding errors, which prove nothing.
    """
    import numpy as np

    random = np.random.default_rng(seed)
    words = any(type(layer).__name__ == "Embedding" for layer in model.layers)  # their indices come in as floats by default
    raw = any(type(layer).__name__ == "Rescaling" and np.max(np.abs(layer.scale)) < RAW for layer in model.layers[:4])

    def samples(shape: tuple[int | None, ...], dtype: str) -> Any:
        fixed = (PROBES, *(size or 8 for size in shape[1:]))
        if words or "int" in dtype:
            return random.integers(0, 2, fixed).astype(dtype)
        return (random.uniform(0, 255, fixed) if raw else random.standard_normal(fixed)).astype("float32")

    return [samples(tuple(tensor.shape), str(tensor.dtype)) for tensor in model.inputs]


def _one_or_all(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values


def _flat(outputs: Any) -> list[Any]:
    if isinstance(outputs, dict):
        return list(outputs.values())
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]
