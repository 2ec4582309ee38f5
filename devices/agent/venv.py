"""The Python that runs models: that of the provisioned venv where it has the runtime, else the one that runs the agent.

<home>/runtime -> venvs/<digest>, switched by one rename; a venv counts once its stamp.json is written, which is last.
"""

import glob
import importlib.machinery
import json
import os
import sys
from typing import Any, Dict, List, NamedTuple, Optional

STAMP = "stamp.json"


class Place(NamedTuple):
    """A Python, and where it looks for modules."""

    python: str
    folders: List[str]


def places(folder: str) -> List[Place]:
    """Return the Pythons that may run models, the provisioned one first; `folder` is the agent's home."""
    own = Place(sys.executable, sys.path)
    current = os.path.join(folder, "runtime")
    if stamp(folder) is None:
        return [own]
    folders = glob.glob(os.path.join(glob.escape(current), "lib", "python3.*", "site-packages"))
    with open(os.path.join(current, "pyvenv.cfg")) as settings:
        if "include-system-site-packages = true" in settings.read():
            folders += ["/usr/lib/python3/dist-packages", "/usr/local/lib/python3/dist-packages"]
    return [Place(os.path.join(current, "bin", "python"), folders), own]


def place_with(module: str, folder: str) -> Optional[Place]:
    """Return the first that has the module, None where none has it; nothing is imported."""
    for place in places(folder):
        if importlib.machinery.PathFinder.find_spec(module, place.folders):
            return place
    return None


def stamp(folder: str) -> Optional[Dict[str, Any]]:
    """Return what was provisioned, None for nothing; a venv whose Python has gone (a system upgrade) is nothing."""
    current = os.path.join(folder, "runtime")
    try:
        with open(os.path.join(current, STAMP)) as file:
            found = json.load(file)
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and os.access(os.path.join(current, "bin", "python"), os.X_OK) else None
