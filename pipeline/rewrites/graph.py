"""A functional tf_keras model built again, layer by layer, so that some can be named, replaced or left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

Layer: TypeAlias = Any  # tf_keras.layers.Layer
Tensor: TypeAlias = Any  # a KerasTensor

Make: TypeAlias = Callable[[Layer, str], Layer | None]  # a layer and its new name -> the new layer, None leaves it out


class Unmovable(Exception):
    """A part of the graph that cannot be built again, such as a nested model that is called with more than its inputs."""


def rebuilt(model: Any, make: Make) -> Any:
    """Return a model of new layers joined as in `model`, their weights still fresh; layers that were shared are shared again.

    Layers of nested models stand in the new one by themselves, named `outer/inner`. Raises Unmovable.
    """
    import tensorflow as tf
    import tf_keras

    inputs = [
        tf_keras.Input(batch_shape=tuple(tensor.shape), dtype=tensor.dtype, name=name)
        for tensor, name in zip(model.inputs, model.input_names, strict=True)
    ]
    outputs = _run(model, inputs, "", make, {})
    as_before = tf.nest.pack_sequence_as
    return tf_keras.Model(as_before(model._nested_inputs, inputs), as_before(model._nested_outputs, outputs), name=model.name)


def is_nested(layer: Layer) -> bool:
    """Whether a layer is a model whose graph is known."""
    import tf_keras

    return isinstance(layer, tf_keras.Model) and bool(layer._is_graph_network)


def _run(graph: Any, given: list[Tensor], prefix: str, make: Make, made: dict[int, Layer | None]) -> list[Tensor]:
    """Return the outputs of `graph` for these inputs, computed by new layers; `made` holds those that exist already, by the old."""
    import tensorflow as tf

    tensors = {str(id(old)): _Again(new) for old, new in zip(graph.inputs, given, strict=True)}
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            if node.is_input or any(each not in tensors for each in node.flat_input_ids):
                continue
            arguments, keywords = node.map_arguments(tensors)
            results = tf.nest.flatten(_call(node.layer, arguments, keywords, prefix, make, made))
            tensors |= {str(each): _Again(result) for each, result in zip(node.flat_output_ids, results, strict=True)}
    return [tensors[str(id(old))].pop() for old in graph.outputs]


def _call(layer: Layer, arguments: Any, keywords: dict[str, Any], prefix: str, make: Make, made: dict[int, Layer | None]) -> Any:
    if is_nested(layer):
        if len(arguments) != 1 or any(value is not None for value in keywords.values()):
            raise Unmovable(f'"{layer.name}" is called with more than its inputs')
        return _run(layer, layer._flatten_to_reference_inputs(arguments[0]), f"{prefix}{layer.name}/", make, made)
    if id(layer) not in made:
        made[id(layer)] = make(layer, prefix + layer.name)
    twin = made[id(layer)]
    return arguments[0] if twin is None else twin(*arguments, **keywords)


class _Again:
    """A tensor in the place of a list of as many copies as will be asked for, which is what a node's `map_arguments` pops from."""

    def __init__(self, tensor: Tensor) -> None:
        self._tensor = tensor

    def pop(self) -> Tensor:
        return self._tensor


def twin(layer: Layer, name: str, **changes: Any) -> Layer:
    """Return a new layer of the same settings, except for its name and these changes."""
    return type(layer).from_config({**layer.get_config(), "name": name, **changes})


def take_weights(new: Layer, old: Layer) -> None:
    """Copy the weights of one layer to another, built one."""
    new.set_weights(old.get_weights())
    if hasattr(new, "finalize_state"):  # Normalization computes with what it derived from its weights
        new.finalize_state()
