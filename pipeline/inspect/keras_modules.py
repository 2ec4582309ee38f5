"""The modules of a user's own that a `.keras` file may name, because the user named them on the command line."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from edgepipe.errors import UnsupportedModel, UsageError

# What can never be meant: Python's own modules run commands and write files; Keras's are judged one object at a time.
LIBRARIES = frozenset({"keras", "tf_keras", "tensorflow", "tensorflow_model_optimization", "numpy", "h5py", "edgepipe"})


def own_modules(names: Iterable[str]) -> frozenset[str]:
    """Return the modules that may be named. Raises UsageError for what is no module's name, or none of a user's own."""
    problems = []
    for name in names:
        root = name.partition(".")[0]
        if not all(part.isidentifier() for part in name.split(".")):
            problems.append(f"{name!r:.80} is not the name of a module, such as mypkg.layers")
        elif root in sys.stdlib_module_names or root in LIBRARIES:
            problems.append(f"{name} is not a module of yours: all that it holds could then be called by the file")
    if problems:
        raise UsageError("--allow-module takes modules with layers of your own", problems=problems)
    return frozenset(names)


def own_reason(kind: str, module: str, config: object, registered: object) -> str:
    """Return why an object of an allowed module is refused all the same, or nothing. Lambdas are refused before."""
    name = config if kind == "function" else kind
    if not isinstance(name, str) or not name.isidentifier() or name.startswith("_"):
        return f"{name!r:.80} of {module} is not the name of a class or function there"
    known = registered in (None, "function", name) or (isinstance(registered, str) and registered.rpartition(">")[2] == name)
    return "" if known else f"{name} of {module} is registered as something else ({registered!r:.80})"


def own_objects(config: object, modules: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield (module, name) of each object of the allowed modules in an admitted configuration."""
    pending = [config]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            if node.get("module") in modules:
                yield node["module"], node["config"] if node["class_name"] == "function" else node["class_name"]
            pending += node.values()
        elif isinstance(node, list):
            pending += node


def check_objects(config: object, modules: frozenset[str]) -> None:
    """Import what the configuration names of the allowed modules and hold it to being theirs. For the worker only.

    What a module merely imported itself, such as `subprocess.Popen`, is none of its own. Raises UnsupportedModel.
    """
    problems = [reason for module, name in dict.fromkeys(own_objects(config, modules)) if (reason := _not_its_own(module, name))]
    if problems:
        raise UnsupportedModel("the model names what is not in the modules that are allowed", problems=problems)


def defined_in(module: str) -> dict[str, Any]:
    """Import a module and return the classes and functions that it defines itself, by name. For the worker only."""
    return {name: found for name, found in vars(importlib.import_module(module)).items() if not _not_its_own(module, name)}


def _not_its_own(module: str, name: str) -> str:
    found: Any = vars(importlib.import_module(module)).get(name)
    if found is None:
        return f"{module} has no {name}"
    if not (inspect.isclass(found) or inspect.isfunction(found)) or found.__module__ != module:
        return f"{name} is not defined in {module}, only used there"
    return ""
