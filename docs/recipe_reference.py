"""Writes the tables of docs/recipe.md from the types that read a recipe: python docs/recipe_reference.py

A table stands between `<!-- table: NAME -->` and `<!-- end -->`; NAME is `recipe`, `augment` or a stage. The rest is by hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import get_type_hints

from edgepipe.documents import field_docs
from edgepipe.pipeline.augment import Augmentation
from edgepipe.pipeline.recipe import DERIVED, Recipe
from edgepipe.pipeline.stages import STAGES

PAGE = Path(__file__).with_name("recipe.md")
KINDS: dict[str, type] = {"recipe": Recipe, "augment": Augmentation, **STAGES}
MARKED = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def brought_up_to_date(page: str) -> str:
    """Return the page with every table made again. Raises KeyError for a NAME that means nothing."""
    return MARKED.sub(lambda found: f"{found[1]}{table(KINDS[found[2]])}{found[3]}", page)


def table(kind: type) -> str:
    """Return the Markdown table of a dataclass: keys of inner ones joined by a dot, defaults, docstrings."""
    return "".join(f"{line}\n" for line in ("| key | default | means |", "|---|---|---|", *_rows(kind, "")))


def _rows(kind: type, prefix: str) -> Iterator[str]:
    types, docs = get_type_hints(kind), field_docs(kind)
    for field in fields(kind):
        inner = [part for part in (types[field.name], *getattr(types[field.name], "__args__", ())) if is_dataclass(part)]
        if kind is Recipe and field.name in DERIVED:
            continue
        if inner and inner[0] is not Augmentation:
            yield from _rows(inner[0], f"{prefix}{field.name}.")  # type: ignore[arg-type]
        else:
            means = docs[field.name].replace("|", "\\|")
            yield f"| `{prefix}{field.name}` | {_default(field)} | {means} |"


def _default(field: Field[object]) -> str:
    value = field.default
    if value is MISSING:
        return ""
    if value is None or value == () or value == {}:
        return "none"
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    PAGE.write_text(brought_up_to_date(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
