"""What a host must know to fetch packages for this board's Debian: which are installed, and where apt looks for others.

`root` is "/" on a board; tests give the tree of another one.
"""

import glob
import os
import re
from base64 import b64encode
from typing import Any, Dict, Iterator, Tuple

SOURCES = ("etc/apt/sources.list", "etc/apt/sources.list.d/*.list", "etc/apt/sources.list.d/*.sources")
KEYS = ("etc/apt/trusted.gpg.d/*", "etc/apt/keyrings/*", "usr/share/keyrings/*")
SECRET = re.compile(r"://[^/\s@]*@")
MOST_BYTES = 400000  # of keys: an answer is one line of at most 1 MiB


def describe(root: str = "/") -> Dict[str, Any]:
    """Return its architecture, installed packages by name, sources as texts and keys in base64 by path; no names and passwords."""
    packages = {fields["Package"]: fields for fields in _stanzas(root) if fields.get("Status", "").endswith(" installed")}
    keys, size = {}, 0
    for path, content in _files(root, KEYS):
        size += len(content)
        if size <= MOST_BYTES:
            keys[path] = b64encode(content).decode()
    return {
        "arch": packages.get("dpkg", {}).get("Architecture"),
        "installed": {name: fields.get("Version", "") for name, fields in packages.items()},
        "sources": {path: SECRET.sub("://", content.decode(errors="replace")) for path, content in _files(root, SOURCES)},
        "keys": keys,
    }


def _stanzas(root: str) -> Iterator[Dict[str, str]]:
    try:
        with open(os.path.join(root, "var/lib/dpkg/status"), errors="replace") as file:
            text = file.read()
    except OSError:
        return
    for entry in text.split("\n\n"):
        fields = dict(line.partition(": ")[::2] for line in entry.splitlines() if not line.startswith(" "))
        if "Package" in fields:
            yield fields


def _files(root: str, patterns: Tuple[str, ...]) -> Iterator[Tuple[str, bytes]]:
    for pattern in patterns:
        for path in sorted(glob.glob(os.path.join(glob.escape(root), pattern))):
            try:
                with open(path, "rb") as file:
                    yield os.path.relpath(path, root), file.read()
            except OSError:
                continue
