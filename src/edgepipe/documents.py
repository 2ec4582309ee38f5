"""A document becomes a frozen dataclass, or one error that lists everything wrong with it.

YAML comes from users (recipes, inventories), JSON from ourselves (records, manifests); the dataclass's own types check both.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from edgepipe.errors import EdgepipeError, UsageError
from edgepipe.places import regular
from edgepipe.records import SCHEMA_VERSION

T = TypeVar("T")
LARGEST_YAML_BYTES = 1 << 20
DEEPEST_YAML = 50


def read_yaml(path: Path, error: type[UsageError] = UsageError) -> dict[str, Any]:
    """Return the mapping in a YAML file.

    Raises `error` where the file is missing, over 1 MiB, not UTF-8, not YAML, uses aliases, repeats a key, nests too deep, or holds
    no mapping.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError
    from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent

    try:
        with regular(path).open("rb") as file:
            content = file.read(LARGEST_YAML_BYTES + 1)
        if len(content) > LARGEST_YAML_BYTES:
            raise error(f"{path} is larger than 1 MiB", cause="this is not the file that was meant")
        text = content.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise error(f"{path} is not a text file (byte {exc.start} is not UTF-8)") from exc
    except OSError as exc:
        raise error(f"cannot read {path}: {exc.strerror}", todo="Check the path; it is relative to the current folder.") from exc
    try:
        depth = 0
        for event in YAML(typ="safe", pure=True).parse(text):
            if isinstance(event, AliasEvent):
                raise error(f"{path} uses an alias (*name)", todo="Write the value out; aliases are not read.")
            depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
            if depth > DEEPEST_YAML:  # the parser's time grows with the square of it
                raise error(f"{path} nests its values over {DEEPEST_YAML} deep", cause="this is not the file that was meant")
        document = YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError, RecursionError) as exc:
        raise error(f"{path} is not valid YAML: {_one_line(exc)}") from exc
    if not isinstance(document, dict):
        raise error(f"{path} holds no keys", cause="the file is empty or a list")
    return document


def _one_line(exc: BaseException) -> str:
    mark = getattr(exc, "problem_mark", None)
    where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
    problem = getattr(exc, "problem", None) or str(exc).splitlines()[0]
    return f"{problem.partition(' with value')[0]}{where}"  # ruamel shows the value of a duplicate key, as it is inside


def _adapter(kind: Any) -> Any:
    from pydantic import ConfigDict, TypeAdapter, with_config

    return TypeAdapter(with_config(ConfigDict(extra="forbid"))(kind))


def parse(kind: type[T], content: Any, *, source: str, error: type[EdgepipeError] = UsageError) -> T:
    """Return `content` as the dataclass `kind`. Raises `error` with every problem, each with its key and a suggestion."""
    from pydantic import ValidationError

    try:
        value: T = _adapter(kind).validate_python(content)
    except ValidationError as exc:
        problems = _problems(kind, content, exc.errors())
        count = "one problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise error(f"{source} has {count}", problems=problems) from exc
    return value


def parse_json(kind: type[T], text: str | bytes, *, source: str, error: type[EdgepipeError] = UsageError) -> T:
    """Return a JSON text of ours as the dataclass `kind`. Raises `error` for damage, and for a newer schema than ours."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise error(f"{source} is damaged: {exc}", cause="it was cut short or edited") from exc
    version = content.get("schema_version") if isinstance(content, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise error(
            f"{source} was written by a newer edgepipe (schema {version}; this one reads up to {SCHEMA_VERSION})",
            todo="Upgrade edgepipe.",
        )
    return parse(kind, content, source=source, error=error)


def suggestion(word: str, known: list[str]) -> str:
    """Return ' Perhaps you meant "x"?' for a near miss, else the list of what is known."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f' Perhaps you meant "{near[0]}"?' if near else f" Known here: {', '.join(sorted(known))}."


def json_schema(kind: type) -> dict[str, Any]:
    """Return the JSON Schema of what `parse` takes for the dataclass `kind`: unknown keys are refused at every level."""
    schema: dict[str, Any] = _adapter(kind).json_schema()
    for place in (schema, *schema.get("$defs", {}).values()):
        if "properties" in place:
            place["additionalProperties"] = False
    return schema


def field_docs(kind: type) -> dict[str, str]:
    """Return the docstring under each field of a dataclass, on one line, read from its source. Raises OSError without it."""
    import ast
    import inspect
    from textwrap import dedent

    (node,) = ast.parse(dedent(inspect.getsource(kind))).body
    assert isinstance(node, ast.ClassDef)
    return {
        field.target.id: " ".join(below.value.value.split())
        for field, below in pairwise(node.body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str)
    }


def _problems(kind: type, content: Any, errors: Sequence[Any]) -> list[str]:
    """Return a line for each problem. Of a map where a text would do as well, only what is wrong in the map is told."""
    paths = [_path(error["loc"], content, missing=error["type"] == "missing") for error in errors]
    return [
        _describe(kind, path, error)
        for path, error in zip(paths, errors, strict=True)
        if not (isinstance(error["input"], dict) and any(len(o) > len(path) and o[: len(path)] == path for o in paths))
        or error["type"] == "missing"
    ]


def _path(parts: Sequence[str | int], content: Any, *, missing: bool) -> list[str]:
    """Return the keys down to a problem, without the names of types that pydantic puts between them where several are taken."""
    path = []
    for number, part in enumerate(parts):
        last = missing and number == len(parts) - 1
        numbered = isinstance(content, list | tuple) and isinstance(part, int)
        if numbered or (isinstance(content, dict) and part in content):
            content = content[part]
        elif not last:
            continue
        path.append(str(part))
    return path


def _describe(kind: type, path: list[str], problem: Any) -> str:
    key = ".".join(path)
    if problem["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f'unknown key "{key}".{suggestion(path[-1], _fields_at(kind, path[:-1]))}'
    if problem["type"] == "missing":
        return f'"{key}" is missing'
    given = problem["input"]
    shown = f" (given: {given!r:.60})" if isinstance(given, str | int | float | bool) else ""
    message = (
        problem["msg"]
        .removeprefix("Value error, ")
        .replace("a valid dictionary", "a map of keys")
        .replace("a valid tuple", "a list")
    )
    where = f'"{key}": ' if key else ""  # a whole entry may be what is wrong
    return f"{where}{message[:1].lower()}{message[1:]}{shown}"


def _fields_at(kind: Any, path: list[str]) -> list[str]:
    """Return the keys that the JSON Schema of `kind` knows at `path`."""
    schema = _adapter(kind).json_schema()
    node = schema
    for part in path:
        node = _resolve(node, schema)
        node = node.get("properties", {}).get(part) or node.get("additionalProperties") or node.get("items") or {}
    return list(_resolve(node, schema).get("properties", {}))


def _resolve(node: Any, schema: Any) -> Any:
    if not isinstance(node, dict):
        return {}
    for option in node.get("anyOf", []):
        if "$ref" in option:
            node = option
    if "$ref" in node:
        return schema["$defs"][node["$ref"].rsplit("/", 1)[1]]
    return node
