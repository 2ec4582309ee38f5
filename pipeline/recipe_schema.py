"""The JSON Schema of a recipe, for editors: that of its types, with the docstrings of fields and the parameters of every stage."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

from edgepipe.documents import field_docs, json_schema
from edgepipe.pipeline.recipe import DERIVED, Recipe
from edgepipe.pipeline.stages import STAGES
from edgepipe.pipeline.targets import TARGETS

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def recipe_schema() -> dict[str, Any]:
    """Return a schema that accepts what `read_recipe` can read; values that need a second look, such as ranges, it lets pass."""
    whole = _described(Recipe)
    properties, definitions = whole["properties"], whole.setdefault("$defs", {})
    for name in DERIVED:
        del properties[name]
    for stage in STAGES.values():
        made = _described(stage)
        definitions |= made.pop("$defs", {})
        definitions[stage.__name__] = made
    one_of = [
        {
            "type": "object",
            "properties": {name: {"anyOf": [{"$ref": f"#/$defs/{stage.__name__}"}, {"type": "null"}]}},
            "required": [name],
            "additionalProperties": False,
        }
        for name, stage in STAGES.items()
    ]
    properties["stages"] |= {"items": {"oneOf": one_of}, "minItems": 1}
    properties["target"]["enum"] = list(TARGETS)
    return {"$schema": DRAFT, **whole, "title": "edgepipe recipe"}


def _described(kind: type) -> dict[str, Any]:
    """Return the schema of a dataclass, every field of it and of those inside it with its docstring."""
    schema = json_schema(kind)
    for inner in [kind, *_inside(kind)]:
        place = schema if inner is kind else schema.get("$defs", {}).get(inner.__name__, {})
        for name, text in field_docs(inner).items():
            if name in place.get("properties", {}):
                place["properties"][name]["description"] = text
    return schema


def _inside(kind: type) -> list[type]:
    found: list[type] = []
    types = get_type_hints(kind)
    for field in fields(kind):
        for part in (types[field.name], *getattr(types[field.name], "__args__", ())):
            if isinstance(part, type) and is_dataclass(part):
                found += [part, *_inside(part)]
    return found
