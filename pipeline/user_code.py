"""`module:function`: code of the user's that takes part in training, looked up beside the recipe first, run in the worker only.

The user names it in the recipe, so it is trusted as the recipe is; no model file can name any.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import re
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

from edgepipe.documents import suggestion
from edgepipe.errors import RecipeError

_SPEC = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def is_code(setting: object) -> bool:
    """Whether a setting reads like module:function."""
    return isinstance(setting, str) and _SPEC.fullmatch(setting) is not None


def code_problems(key: str, spec: str, base: Path) -> list[str]:
    """Return what keeps `spec`, the value of `key`, from being called, as far as reading its module tells. Nothing is run."""
    if not is_code(spec):
        return [f'"{key}" is {spec!r:.60}; it must be module:function']
    module, _, name = spec.partition(":")
    found = _find(module, base)
    if found is None:
        return [f'"{key}": there is no module {module} in {base}, nor is it installed']
    names = _names_in(found)
    return [] if names is None or name in names else [f'"{key}": {module} has no function "{name}".{suggestion(name, names)}']


def code_sha256(specs: Sequence[str], base: Path) -> str:
    """Return a hash of the sources behind `specs`: each module, or the whole package that it is in; '' for none.

    With a module beside the recipe go all other modules there, since it may import them.
    """
    if not specs:
        return ""
    files: set[Path] = set()
    for module in {spec.partition(":")[0].partition(".")[0] for spec in specs}:
        found = _find(module, base)
        for folder in (found.submodule_search_locations or ()) if found else ():
            files |= set(Path(folder).rglob("*.py"))
        if found and found.origin and Path(found.origin).is_file():
            origin = Path(found.origin)
            files |= set(origin.parent.glob("*.py")) if origin.parent.resolve() == base.resolve() else {origin}
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def load_code(spec: str, base: Path) -> Any:
    """Return what `spec` names, imported from `base` or from what is installed. Raises RecipeError. For the worker only."""
    module_name, _, name = spec.partition(":")
    sys.path.insert(0, str(base))
    try:
        return getattr(importlib.import_module(module_name), name)
    except Exception as exc:  # the user's own code may raise anything when it is imported
        raise failed(spec, exc) from exc
    finally:
        sys.path.remove(str(base))


@contextmanager
def importable(base: Path) -> Iterator[None]:
    """Let functions import modules of `base` while they run; after everything else, so that none of these hides a library's."""
    sys.path.append(str(base))
    try:
        yield
    finally:
        sys.path.remove(str(base))


def culprit(specs: Iterable[str], exc: BaseException) -> str | None:
    """Return the one of `specs` whose module an error came through, None where it came through none of them."""
    passed = {Path(frame.filename).name for frame in traceback.extract_tb(exc.__traceback__)}
    # TensorFlow rewrites functions before it runs them, and then tells the file in its message only.
    return next((spec for spec in specs if _source(spec) in passed or f'{_source(spec)}"' in str(exc)), None)


def failed(spec: str, exc: BaseException) -> RecipeError:
    """Return the error for user code that raised, with the line of it that did."""
    source = _source(spec)
    lines = [frame.lineno for frame in traceback.extract_tb(exc.__traceback__) if Path(frame.filename).name == source]
    first = next((line.strip() for line in str(exc).splitlines() if line.strip()), "no reason given")
    where = f" ({source}, line {lines[-1]})" if lines else ""
    return RecipeError(f"{spec} failed: {type(exc).__name__}: {first[:300]}{where}", todo="Run it by itself to see where.")


def _source(spec: str) -> str:
    return f"{spec.partition(':')[0].rpartition('.')[2]}.py"


def _find(module: str, base: Path) -> ModuleSpec | None:
    """Return where a module would come from, found as Python finds it but without running the packages above it."""
    places: Sequence[str] | None = [str(base), *sys.path]
    found: ModuleSpec | None = None
    for part in module.split("."):  # by its last name: a whole one makes Python look for the packages above among the imported
        found = PathFinder.find_spec(part, list(places)) if places is not None else None
        if found is None:
            return None
        places = found.submodule_search_locations
    return found


def _names_in(found: ModuleSpec) -> list[str] | None:
    """Return the names that a module's source defines or imports; None where that cannot be told."""
    if not found.origin or not found.origin.endswith(".py"):
        return None
    try:
        tree = ast.parse(Path(found.origin).read_bytes())
    except (SyntaxError, ValueError, OSError):
        return None  # importing it will say what is wrong, and where
    names: list[str] = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, ast.ImportFrom | ast.Import):
            names += [alias.asname or alias.name for alias in node.names]
        elif isinstance(node, ast.Assign):
            names += [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.If | ast.Try | ast.With):
            return None
    return None if "*" in names else names
