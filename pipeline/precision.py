"""Training in bfloat16 where the model stays one of float32: a twin computes, the weights go back. Runs in the worker only.

bfloat16 and not float16: the worker runs on the processor, which has no fast float16, and bfloat16 needs no scaled loss. The last
layers stay in float32, as Keras's guide to mixed precision asks. TF-MOT's wrappers for pruning and clustering take it; its
simulated quantisation computes in float32 only (FakeQuantWithMinMaxVars has no other kernel).
"""

from __future__ import annotations

from typing import Any

from edgepipe.errors import UnsupportedModel

POLICY = "mixed_bfloat16"


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
