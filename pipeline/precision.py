"""Mixed precision stays in training: what was trained so becomes float32, and a stage that trains so has a twin. Worker only.

bfloat16 and not float16: the worker runs on the processor, which has no fast float16, and bfloat16 needs no scaled loss. The last
layers stay in float32, as Keras's guide to mixed precision asks. TF-MOT's wrappers for pruning and clustering take it; its
simulated quantisation computes in float32 only (FakeQuantWithMinMaxVars has no other kernel).
"""

from __future__ import annotations

from typing import Any

from edgepipe.errors import UnsupportedModel
from edgepipe.events import Emit, Note

POLICY = "mixed_bfloat16"
OTHER_FLOATS = ("float16", "bfloat16", "float64")


def in_float32(model: Any, emit: Emit) -> Any:
    """Return a Keras model, of either Keras, that computes in float32: itself where it does, else built again with its weights.

    It learnt in narrower floats to learn faster; no converter has operators for them, and its weights are float32 most of the time.
    """
    others = [part.compute_dtype for part in model._flatten_layers() if part.compute_dtype in OTHER_FLOATS]
    if not others:
        return model
    emit(Note(text=f"the model computes in {others[0]} as it was trained; from here on it does in float32, with the same weights"))
    widened = type(model).from_config(_widened(model.get_config()))
    widened.set_weights(model.get_weights())
    return widened


def _widened(node: Any) -> Any:
    """Return a model's configuration with float32 for each policy and each input of another float."""
    if isinstance(node, dict):
        return {key: "float32" if key == "dtype" and _is_other(value) else _widened(value) for key, value in node.items()}
    return [_widened(item) for item in node] if isinstance(node, list | tuple) else node


def _is_other(dtype: Any) -> bool:
    name = (dtype.get("config") or {}).get("name") if isinstance(dtype, dict) else dtype
    return isinstance(name, str) and name.removeprefix("mixed_") in OTHER_FLOATS


def mixed_twin(model: Any, stage: str) -> Any:
    """Return a copy of a tf_keras model that computes in bfloat16, its weights in float32 and in the same order.

    Raises UnsupportedModel that names what cannot: simulated quantisation, or a layer whose code wants float32.
    """
    import tensorflow_model_optimization as tfmot
    import tf_keras

    if any("quantize" in type(layer).__module__ for layer in model.layers):
        raise _impossible(stage, "simulated quantisation, whose FakeQuantWithMinMaxVars takes float32 only")
    outputs = {tensor._keras_history.layer.name for tensor in model.outputs}
    try:
        with tfmot.sparsity.keras.prune_scope(), tfmot.clustering.keras.cluster_scope():
            twin = type(model).from_config(_rewritten(model.get_config(), outputs))
        # A layer that cannot is found here and not in the middle of the training.
        twin([tf_keras.backend.zeros([1, *(size or 8 for size in tensor.shape[1:])], tensor.dtype) for tensor in model.inputs])
    except (TypeError, ValueError) as exc:
        raise _impossible(stage, str(exc).strip().splitlines()[0][:200]) from exc
    twin.set_weights(model.get_weights())
    return twin


def _rewritten(node: Any, kept: set[str]) -> Any:
    """Return a model's configuration with the policy in every layer but inputs and those in `kept`."""
    if isinstance(node, dict):
        config = node.get("config")
        if node.get("class_name") == "InputLayer" or (isinstance(config, dict) and config.get("name") in kept):
            return node
        return {key: POLICY if key == "dtype" and value == "float32" else _rewritten(value, kept) for key, value in node.items()}
    return [_rewritten(item, kept) for item in node] if isinstance(node, list) else node


def _impossible(stage: str, reason: str) -> UnsupportedModel:
    return UnsupportedModel(
        f"{stage} cannot train in mixed precision: {reason}",
        todo="Leave train.mixed_precision out; the stages before it come from the cache when theirs is unchanged.",
    )
