"""Nested models become one graph: their layers stand in the outer model, named `outer/inner`."""

from __future__ import annotations

from typing import Any

from edgepipe.pipeline.rewrites.graph import Layer, Unmovable, is_nested, rebuilt, take_weights, twin


def flattened(model: Any) -> tuple[Any, tuple[str, ...]]:
    """Return (the model without models in it, one line for each that was); the model itself where there is none.

    A nested model that is used twice becomes layers that are used twice.
    """
    nested = [layer for layer in model.layers if is_nested(layer)]
    if not nested:
        return model, ()
    pairs: list[tuple[Layer, Layer]] = []

    def make(layer: Layer, name: str) -> Layer:
        pairs.append((twin(layer, name), layer))
        return pairs[-1][0]

    try:
        new = rebuilt(model, make)
    except Unmovable:
        return model, ()
    for fresh, old in pairs:
        take_weights(fresh, old)
    inner = sum(1 for fresh, _ in pairs if "/" in fresh.name)
    names = ", ".join(f'"{layer.name}"' for layer in nested)
    return new, (f"{names}: models within the model, now {inner} layer{'' if inner == 1 else 's'} of it, named {nested[0].name}/…",)
