"""The child process of `function`: calls module:function and writes the arrays it returns.

    python -P -m edgepipe.pipeline.data.call module:function FOLDER

The result stands in FOLDER/result.npz, whole or not at all. Whatever the function prints is the parent's to keep.
"""

from __future__ import annotations

import importlib
import sys
import traceback
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

import numpy as np

from edgepipe.documents import suggestion
from edgepipe.pipeline.data.dataset import Array

RESULT = "result.npz"


def main(spec: str, folder: Path) -> None:
    """Call the function of `spec`, found in the current folder, and write its arrays into `folder`."""
    sys.path.insert(0, str(Path.cwd()))
    arrays = _arrays(_called(_function(spec)), spec)
    part = folder / "result.part"
    with zipfile.ZipFile(part, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    part.replace(folder / RESULT)


def _function(spec: str) -> Callable[[], object]:
    module_name, _, name = spec.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as exc:
        if exc.name is None or not f"{module_name}.".startswith(f"{exc.name}."):
            raise
        _stop(f"there is no module {exc.name} in {Path.cwd()}, nor is it installed")
    function = getattr(module, name, None)
    if function is None:
        known = [other for other, value in vars(module).items() if callable(value) and not other.startswith("_")]
        _stop(f'{module_name} has no function "{name}".{suggestion(name, known)}')
    if not callable(function):
        _stop(f"{spec} is a {type(function).__name__}, not a function")
    found: Callable[[], object] = function
    return found


def _called(function: Callable[[], object]) -> object:
    try:
        return function()
    except Exception as exc:  # noqa: BLE001  the process boundary: the traceback begins in the user's own code
        traceback.print_exception(type(exc), exc, exc.__traceback__.tb_next if exc.__traceback__ else None)
        sys.exit(1)


def _arrays(result: object, spec: str) -> dict[str, Array]:
    inputs, labels = result if isinstance(result, tuple) and len(result) == 2 else (result, None)
    named = dict(inputs) if isinstance(inputs, Mapping) else {"x": inputs}
    if labels is not None:
        named["y"] = labels
    arrays = {}
    for name, value in named.items():
        try:
            array = np.asarray(value)
        except ValueError as exc:
            _stop(f'{spec} returned "{name}", whose rows differ in length ({exc})')
        if not isinstance(name, str) or array.dtype.hasobject or not array.ndim:
            _stop(f"{spec} must return (x, y) or a dict of arrays by name; {name!r:.40} is a {type(value).__name__}")
        arrays[name] = array
    return arrays


def _stop(message: str) -> NoReturn:
    sys.stderr.write(message + "\n")
    sys.exit(2)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
