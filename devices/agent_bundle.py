"""The agent as one file: a zipapp whose bytes depend on its sources alone, so that its hash says which agent a board runs."""

from __future__ import annotations

import hashlib
import io
import tempfile
import zipfile
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from edgepipe.devices.protocols import Transport

PACKAGE = "edgepipe_agent"
START = f"from {PACKAGE}.__main__ import main\n\nmain()\n"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip file can say


@dataclass(frozen=True, kw_only=True)
class AgentBundle:
    """The agent's bytes and their hash."""

    content: bytes
    sha256: str


def build() -> AgentBundle:
    """Return the agent: Python sources in order, stored with fixed times and modes."""
    members = {"__main__.py": START.encode()}
    members.update(_sources(resources.files("edgepipe.devices.agent"), PACKAGE))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as bundle:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, EPOCH)
            info.create_system = 3
            info.external_attr = 0o644 << 16
            bundle.writestr(info, members[name], zipfile.ZIP_STORED)
    content = stream.getvalue()
    return AgentBundle(content=content, sha256=hashlib.sha256(content).hexdigest())


def bring(transport: Transport, *, deadline_s: float) -> tuple[str, str]:
    """Copy the agent to where an open transport leads; returns its path there and its hash."""
    bundle = build()
    with tempfile.NamedTemporaryFile(prefix="edgepipe-agent-") as file:
        file.write(bundle.content)
        file.flush()
        return transport.put(Path(file.name), f"agent-{bundle.sha256[:16]}.pyz", deadline_s=deadline_s), bundle.sha256


def _sources(folder: Traversable, name: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for entry in folder.iterdir():
        if entry.is_dir() and entry.name != "__pycache__":
            found.update(_sources(entry, f"{name}/{entry.name}"))
        elif entry.name.endswith(".py"):
            found[f"{name}/{entry.name}"] = entry.read_bytes()
    return found
