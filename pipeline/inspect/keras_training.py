"""What a model file says of its training: data that is taken out before Keras sees the file, so that nothing of it is ever built.

A class or function of the user's own there is harmless: it is left out, with a warning. What no honest model says is refused.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any

from edgepipe.errors import ModelFileError
from edgepipe.pipeline.inspect.keras_classes import DEEPEST_CONFIG, REFUSED_LAYERS, printable

KEY = "compile_config"
OWNER = "what it was compiled with"
# Where Keras keeps what a model is compiled with, behind "keras." or "tf_keras.".
PLACES = re.compile(r"(src\.)?(losses|metrics|optimizers|mixed_precision|dtype_policies)(\.\w+)*")
# Base64 of a marshalled code object (0xE3 and the number of arguments in four bytes), or of a pickle since protocol 4.
PACKED_CODE = re.compile(r"4w[AEIMQUYcgkosw048]AAA|gA[SW]V")


def take_training(config: dict[str, Any]) -> tuple[object, list[object]]:
    """Remove every compile_config from a model's configuration, at any depth; return (the model's own, those of models in it).

    Keras itself builds those of inner models even where it is told not to compile.
    """
    own = config.pop(KEY, None)
    inner: list[object] = []
    pending: list[object] = [config]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            if KEY in node:
                inner.append(node.pop(KEY))
            pending += node.values()
        elif isinstance(node, list):
            pending += node
    return own, inner


def training_objections(training: object) -> Iterator[str]:
    """Yield one line for each thing that cannot be told from an attack. Raises ModelFileError for what is nested too deep."""
    pending: list[tuple[object, int]] = [(training, 0)]
    while pending:
        node, depth = pending.pop()
        if depth > DEEPEST_CONFIG:
            raise ModelFileError(f"{OWNER} is nested more than {DEEPEST_CONFIG} deep", cause="it is not Keras's own")
        if isinstance(node, str) and PACKED_CODE.match(node):
            yield f"{OWNER}: a text holds compiled Python code"
        elif isinstance(node, dict):
            if "class_name" in node and (reason := _attack(node)):
                yield printable(f"{OWNER}: {reason}")
            pending += ((value, depth + 1) for value in reversed(node.values()))
        elif isinstance(node, list):
            pending += ((value, depth + 1) for value in reversed(node))


def _attack(node: dict[str, Any]) -> str:
    """Return why no honest model is compiled with this object, or nothing."""
    kind, module = node["class_name"], node.get("module")
    if not isinstance(kind, str) or not isinstance(module, str | None):
        return f"its class is {kind!r:.80} of {module!r:.80}, which are not names"
    if kind in REFUSED_LAYERS:
        return REFUSED_LAYERS[kind]
    root, _, rest = (module or "").partition(".")
    if root in ("keras", "tf_keras"):
        return "" if PLACES.fullmatch(rest) else f"{module:.80}.{kind:.80} is nothing that a model is compiled with"
    if root in sys.stdlib_module_names and (module, kind) != ("builtins", "function"):
        return f"{kind:.80} comes from the module {module!r:.80}"
    return ""
