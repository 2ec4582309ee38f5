"""Layers chosen by the user, by name or glob."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from edgepipe.documents import suggestion
from edgepipe.errors import RecipeError


def chosen_layers(globs: Sequence[str], names: Sequence[str], *, key: str) -> tuple[str, ...]:
    """Return the layers of the model, `names` in their order, that one of the globs fits; `key` is what the recipe calls them.

    Raises RecipeError that lists every glob which fits no layer.
    """
    if lost := lost_layers(globs, names):
        raise RecipeError(f"{key}: the model has no such layer", problems=list(lost))
    return tuple(name for name in names if any(fnmatchcase(name, glob) for glob in globs))


def lost_layers(globs: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """Return a line for each glob that fits no layer, with the nearest name."""
    return tuple(
        f'"{glob}".{suggestion(glob, list(names))}' for glob in globs if not any(fnmatchcase(name, glob) for name in names)
    )
