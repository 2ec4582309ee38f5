"""What can run a model: one file a runtime, one line in RUNTIMES. A runtime's module has

- `PACKAGE`: the distribution whose version is reported; `MODULE`: what must be installed; `IMPORTS`: what loads it;
- `DELEGATES`: the names it takes; `THREADED`: whether it can use more than one thread;
- `load(path, delegate, threads)`, called in a child process only: a `runtimes.model.Model`.
"""

import glob
import importlib.util
import os
import sys
from types import ModuleType
from typing import Dict, NamedTuple, Optional

from . import litert, tflm

RUNTIMES: Dict[str, ModuleType] = {"litert": litert, "tflm": tflm}


class Unknown(Exception):
    """Nobody can run models that way: a name that is not in the tables."""


class Unavailable(Exception):
    """This board cannot run models that way."""


class Choice(NamedTuple):
    """What would run a model."""

    name: str
    version: str
    delegate: str
    threads: int


def choose(name: str, delegate: str, threads: int) -> Choice:
    """Return what really runs under these wishes, without importing it. Raises Unknown and Unavailable."""
    if name not in RUNTIMES:
        raise Unknown("there is no runtime %r; known are %s" % (name, ", ".join(sorted(RUNTIMES))))
    runtime = RUNTIMES[name]
    if not importlib.util.find_spec(runtime.MODULE):
        raise Unavailable("the runtime %s is not installed: %s -m pip install %s" % (name, sys.executable, runtime.PACKAGE))
    if len(runtime.DELEGATES) == 1:
        delegate = runtime.DELEGATES[0]
    if delegate not in runtime.DELEGATES:
        raise Unknown("%s has no delegate %r; known are %s" % (name, delegate, ", ".join(runtime.DELEGATES)))
    if threads < 1:
        raise Unknown("a model needs at least one thread")
    return Choice(name, _version(runtime.PACKAGE) or "unknown", delegate, threads if runtime.THREADED else 1)


def _version(package: str) -> Optional[str]:
    """The version of an installed distribution; importlib.metadata does not exist in Python 3.7."""
    prefix = package.replace("-", "_")
    for folder in sys.path:
        for found in glob.glob(os.path.join(glob.escape(folder), prefix + "-*.dist-info")):
            return os.path.basename(found)[len(prefix) + 1 : -len(".dist-info")]
    return None
