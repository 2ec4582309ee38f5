"""Layers chosen by the user, by name or glob."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TypeVar

from edgepipe.documents import suggestion
from edgepipe.errors import RecipeError

Number = TypeVar("Number", int, float)


def chosen_layers(globs: Sequence[str], names: Sequence[str], *, key: str) -> tuple[str, ...]:
    """Return the layers of the model, `names` in their order, that one of the globs fits; `key` is what the recipe calls them.

    Raises RecipeError that lists every glob which fits no layer.
    """
    if lost := lost_layers(globs, names):
        raise RecipeError(f"{key}: the model has no such layer", problems=list(lost))
    return tuple(name for name in names if any(fnmatchcase(name, glob) for glob in globs))


def per_layer(chosen: Mapping[str, Number], default: Number, names: Sequence[str], *, stage: str) -> dict[str, Number]:
    """Return each layer's own number: that of the first name or glob in `chosen` that fits it, else `default`.

    Raises RecipeError listing the globs that fit no layer at all.
    """
    if lost := lost_layers(list(chosen), names):
        raise RecipeError(
            f"{stage}: no layer that it works on has this name",
            problems=list(lost),
            cause=f"it works on {', '.join(names) or 'no layer of this model'}",
        )
    return {name: next((value for glob, value in chosen.items() if fnmatchcase(name, glob)), default) for name in names}


def lost_layers(globs: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """Return a line for each glob that fits no layer, with the nearest name."""
    return tuple(
        f'"{glob}".{suggestion(glob, list(names))}' for glob in globs if not any(fnmatchcase(name, glob) for name in names)
    )
