"""Any Keras model becomes a tf_keras model that TF-MOT accepts, with proof that it computes the same. Runs in the worker only.

TF-MOT fails on Keras 3 models, partly in silence. So a Keras 3 model is built again layer by layer from its configuration, its
weights are copied, and both are run on random inputs.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from edgepipe.errors import ModelFileError, UnsupportedModel
from edgepipe.events import Emit, Note
from edgepipe.pipeline.inspect.keras_archive import read_archive, refuse_hdf5

TOLERANCE = 1e-5  # max|a - b| <= TOLERANCE * max(1, max|a|)
PROBES = 16

# Keys of a Keras 3 layer configuration that Keras 2 does not know.
NEW_KEYS = (
    "optional",
    "quantization_config",
    "autocast",
    "registered_name",
    "synchronized",
    "renorm",
    "renorm_clipping",
    "renorm_momentum",
)


def load_model(source: str, base: Path, emit: Emit) -> Any:
    """Return the tf_keras model behind a `.keras` file, a SavedModel folder or `module:function`.

    Raises ModelFileError, or UnsupportedModel naming the layers; also where the rebuilt model computes something else.
    """
    path = base / source
    refuse_hdf5(path)
    if path.is_dir():
        return _saved_model(path)
    if ":" in source and not path.exists():
        return _from_function(source, base, emit)
    return _from_archive(path, emit)


def _from_archive(path: Path, emit: Emit) -> Any:
    import tf_keras

    archive = read_archive(path)
    try:
        if not archive.is_keras_3:
            return tf_keras.models.load_model(path)
        import keras

        return rebuild(keras.models.load_model(path, safe_mode=True), emit)
    except (ValueError, TypeError, KeyError, OSError, AttributeError, IndexError) as exc:
        raise ModelFileError(
            f"{path} cannot be loaded: {_first_line(exc)}", cause="the file is damaged, or needs code it does not carry"
        ) from exc


def _saved_model(path: Path) -> Any:
    import tf_keras

    if not (path / "saved_model.pb").is_file():
        raise ModelFileError(f"{path} is a folder without a saved_model.pb", cause="this is not a SavedModel")
    try:
        model = tf_keras.models.load_model(path)
    except (ValueError, TypeError, OSError, AttributeError, KeyError) as exc:
        raise ModelFileError(
            f"{path} cannot be loaded: {_first_line(exc)}", cause="the SavedModel is damaged or incomplete"
        ) from exc
    if not hasattr(model, "layers") or not model.inputs:
        raise UnsupportedModel(
            f"{path} holds no Keras layers",
            cause="it was exported for serving only",
            todo="Save the Keras model itself: model.save('model.keras').",
        )
    return model


def _from_function(source: str, base: Path, emit: Emit) -> Any:
    module_name, _, function_name = source.partition(":")
    sys.path.insert(0, str(base))
    try:
        model = getattr(importlib.import_module(module_name), function_name)()
    except Exception as exc:  # the user's own code may raise anything
        raise ModelFileError(
            f"{source} failed: {type(exc).__name__}: {_first_line(exc)}", todo="Run it by itself to see where."
        ) from exc
    finally:
        sys.path.remove(str(base))
    return adopt(model, source, emit)


def adopt(model: Any, source: str, emit: Emit) -> Any:
    """Return a Keras model in hand as a functional tf_keras model. Raises UnsupportedModel for anything else."""
    import keras
    import tf_keras

    if isinstance(model, tf_keras.Model):
        if type(model).__name__ not in ("Functional", "Sequential") or not model.inputs:
            raise _subclassed(source, type(model).__name__)
        return model
    if isinstance(model, keras.Model):
        return rebuild(model, emit)
    raise ModelFileError(f"{source} gave a {type(model).__name__}, not a Keras model", todo="Return the model itself.")


def rebuild(model: Any, emit: Emit) -> Any:
    """Return a tf_keras copy of a functional or sequential Keras 3 model, after proving that both compute the same.

    Raises UnsupportedModel that lists every layer which Keras 2 does not have, or the difference found.
    """
    import keras

    if not isinstance(model, keras.Sequential) and type(model).__name__ != "Functional":
        raise _subclassed(model.name, type(model).__name__)
    copy = _copy_graph(model)
    _copy_weights(model, copy)
    _prove_equal(model, copy, emit)
    if getattr(model, "compiled", False) and isinstance(getattr(model, "loss", None), str):
        rate = float(model.optimizer.learning_rate) if model.optimizer is not None else 1e-3
        copy.compile(loss=model.loss, optimizer=_adam(rate))
    return copy


def _adam(rate: float) -> Any:
    import tf_keras

    return tf_keras.optimizers.Adam(rate)


def _subclassed(source: str, kind: str) -> UnsupportedModel:
    return UnsupportedModel(
        f"{source} is a subclassed model ({kind})",
        cause="its forward pass is Python code, which cannot be rebuilt, pruned or clustered layer by layer",
        todo="Build it with the functional API: keras.Model(inputs, outputs).",
    )


def _copy_graph(model: Any) -> Any:
    """Return a tf_keras model with the same layers, joined in the same way, its weights still fresh."""
    import keras
    import tf_keras

    problems: list[str] = []
    layers = {layer.name: _copy_layer(layer, problems) for layer in model.layers if type(layer).__name__ != "InputLayer"}
    tensors: dict[int, Any] = {}
    inputs = []
    for tensor in model.inputs:
        name = getattr(getattr(tensor, "_keras_history", None), "operation", tensor).name
        made = tf_keras.Input(batch_shape=tuple(tensor.shape), dtype=tensor.dtype, name=name)
        tensors[id(tensor)] = made
        inputs.append(made)
    if problems:
        raise UnsupportedModel(
            f'"{model.name}" has layers that TF-MOT\'s Keras 2 does not know',
            problems=problems,
            todo="Replace these layers by older ones.",
        )

    def mapped(value: Any) -> Any:
        return tensors[id(value)] if isinstance(value, keras.KerasTensor) else value

    functional = model._functional if isinstance(model, keras.Sequential) else model
    for depth in sorted(functional._nodes_by_depth, reverse=True):
        for node in functional._nodes_by_depth[depth]:
            if node.is_input or node.operation.name not in layers:
                continue
            arguments = keras.tree.map_structure(mapped, list(node.arguments.args))
            keywords = {
                key: keras.tree.map_structure(mapped, value) for key, value in node.arguments.kwargs.items() if value is not None
            }
            results = layers[node.operation.name](*arguments, **keywords)
            for old, new in zip(node.outputs, keras.tree.flatten(results), strict=True):
                tensors[id(old)] = new
    outputs = [tensors[id(tensor)] for tensor in model.outputs]
    return tf_keras.Model(_one_or_all(inputs), _one_or_all(outputs), name=model.name)


def _copy_layer(layer: Any, problems: list[str]) -> Any:
    import keras
    import tf_keras

    if isinstance(layer, keras.Model):
        return _copy_graph(layer)
    kind = type(layer).__name__
    twin = getattr(tf_keras.layers, kind, None)
    if twin is None or not type(layer).__module__.startswith("keras."):
        problems.append(f'"{layer.name}" ({kind})')
        return None
    try:
        return twin.from_config(_older(layer.get_config()))
    except (TypeError, ValueError, KeyError) as exc:
        problems.append(f'"{layer.name}" ({kind}): {_first_line(exc)}')
        return None


def _older(config: dict[str, Any]) -> dict[str, Any]:
    """Return a layer's Keras 3 configuration in the words of Keras 2. Initialisers become zeros, since weights are copied."""
    old: dict[str, Any] = {}
    for key, value in config.items():
        if key in NEW_KEYS:
            continue
        if key == "dtype" and isinstance(value, dict):
            old[key] = value["config"]["name"]
        elif key == "batch_shape":
            old["batch_input_shape"] = value
        elif key.endswith("_initializer"):
            old[key] = "zeros"
        elif key.endswith(("_regularizer", "_constraint")):
            old[key] = None
        elif isinstance(value, dict) and "class_name" in value and isinstance(value.get("config"), dict):
            old[key] = {"class_name": value["class_name"], "config": _older(value["config"])}
        else:
            old[key] = value
    return old


def _copy_weights(model: Any, copy: Any) -> None:
    twins = {layer.name: layer for layer in copy.layers}
    for layer in model.layers:
        if layer.name in twins and layer.weights:
            if hasattr(layer, "layers") and hasattr(twins[layer.name], "layers"):
                _copy_weights(layer, twins[layer.name])
            else:
                weights = [
                    value for variable, value in zip(layer.weights, layer.get_weights(), strict=True) if "seed" not in variable.name
                ]
                twins[layer.name].set_weights(weights)


def _prove_equal(model: Any, copy: Any, emit: Emit) -> None:
    """Run both models on the same random inputs. Raises UnsupportedModel where the outputs differ."""
    import numpy as np

    random = np.random.default_rng(0)
    probes = [_probe(random, tuple(tensor.shape), str(tensor.dtype)) for tensor in model.inputs]
    ours = copy(_one_or_all(probes), training=False)
    theirs = model(_one_or_all(probes), training=False)
    varied = False
    for new, old in zip(_flat(ours), _flat(theirs), strict=True):
        a, b = np.asarray(old), np.asarray(new)
        difference = float(np.max(np.abs(a - b)))
        if not difference <= TOLERANCE * max(1.0, float(np.max(np.abs(a)))):
            raise UnsupportedModel(
                f'"{model.name}" computes something else after rebuilding it for TF-MOT (largest difference {difference:.3g})',
                cause="a layer that means something else in Keras 2",
                todo="Please report it with the model's summary().",
            )
        varied |= bool(np.max(np.ptp(a, axis=0)) > 0)
    if not varied:
        emit(Note(warning=True, text="the model gives the same answer to 16 random inputs: rebuilding it could not be proved"))


def _probe(random: Any, shape: tuple[int | None, ...], dtype: str) -> Any:
    fixed = (PROBES, *(size or 8 for size in shape[1:]))
    if "int" in dtype:
        return random.integers(0, 2, fixed).astype(dtype)
    return random.standard_normal(fixed).astype("float32")


def _one_or_all(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values


def _flat(outputs: Any) -> list[Any]:
    if isinstance(outputs, dict):
        return list(outputs.values())
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]


def _first_line(exc: BaseException) -> str:
    return (str(exc).strip().splitlines() or [type(exc).__name__])[0][:300]
