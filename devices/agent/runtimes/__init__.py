"""What can run a model: one file a runtime, one line in RUNTIMES. A runtime's module has

- `PACKAGE`: the distribution whose version is reported; `MODULE`: what must be installed; `IMPORTS`: what loads it;
- `DELEGATES`: the names it takes; `THREADED`: whether it can use more than one thread;
- `load(path, delegate, threads, attached)`, called in a child process only: a `runtimes.model.Model`; `attached` is a delegate
  that was loaded from a library of its own, or None.
"""

import glob
import os
import sys
from types import ModuleType
from typing import Dict, List, NamedTuple, Optional

from ..venv import place_with
from . import litert, tflite, tflm

RUNTIMES: Dict[str, ModuleType] = {"litert": litert, "tflite": tflite, "tflm": tflm}


class Unknown(Exception):
    """Nobody can run models that way: a name that is not in the tables."""


class Unavailable(Exception):
    """This board cannot run models that way."""


class Choice(NamedTuple):
    """What would run a model, and the Python that would."""

    name: str
    version: str
    delegate: str
    threads: int
    python: str


def choose(name: str, delegate: str, threads: int, folder: str) -> Choice:
    """Return what really runs under these wishes, without importing it; `folder` is the agent's home.

    Raises Unknown and Unavailable.
    """
    if name not in RUNTIMES:
        raise Unknown("there is no runtime %r; known are %s" % (name, ", ".join(sorted(RUNTIMES))))
    runtime = RUNTIMES[name]
    place = place_with(runtime.MODULE, folder)
    if place is None:
        raise Unavailable(_missing(name, folder))
    if len(runtime.DELEGATES) == 1:
        delegate = runtime.DELEGATES[0]
    if delegate not in runtime.DELEGATES:
        raise Unknown("%s has no delegate %r; known are %s" % (name, delegate, ", ".join(runtime.DELEGATES)))
    if threads < 1:
        raise Unknown("a model needs at least one thread")
    version = _version(runtime.PACKAGE, place.folders) or "unknown"
    return Choice(name, version, delegate, threads if runtime.THREADED else 1, place.python)


def _missing(name: str, folder: str) -> str:
    """Say how to get a runtime, or which one is there instead."""
    others = [other for other, runtime in RUNTIMES.items() if other != name and place_with(runtime.MODULE, folder)]
    if "tflite" in others:
        return "the runtime %s is not installed, but tflite is: use --runtime tflite" % name
    package = RUNTIMES[name].PACKAGE
    return "the runtime %s is not installed; by hand: %s -m pip install %s" % (name, sys.executable, package)


def _version(package: str, folders: List[str]) -> Optional[str]:
    """The version of an installed distribution; importlib.metadata does not exist in Python 3.7."""
    prefix = package.replace("-", "_")
    for folder in folders:
        for found in glob.glob(os.path.join(glob.escape(folder), prefix + "-*.dist-info")):
            return os.path.basename(found)[len(prefix) + 1 : -len(".dist-info")]
    return None
