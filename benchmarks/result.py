"""A result is a JSON file: the figures, the command that made them, and where and with what they were made."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from edgepipe.devices.firmware_build import PORTS, PortStatus
from edgepipe.places import write_whole

FOLDER = Path(__file__).parent / "results"
NAMED_VERSIONS = (
    "edgepipe",
    "ai-edge-litert",
    "flatbuffers",
    "numpy",
    "paramiko",
    "tensorflow",
    "tensorflow-model-optimization",
    "tf-keras",
    "tflite-micro",
)


def write(name: str, command: str, figures: Mapping[str, Any]) -> Path:
    """Write benchmarks/results/<name>.json whole or not at all and return its path.

    Raises ValueError for NaN, and for a figure of a board whose port of the firmware was never run.
    """
    _refuse_untried(figures)
    path = FOLDER / f"{name}.json"
    document = {
        "command": command,
        "made_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": versions(),
        "figures": dict(figures),
    }
    write_whole(path, json.dumps(document, indent=2, allow_nan=False) + "\n")
    return path


def _refuse_untried(figures: Any) -> None:
    """Raise ValueError where the name of such a port or board stands in the figures, as a key or as a value."""
    if isinstance(figures, Mapping):
        for key, value in figures.items():
            _refuse_untried(key)
            _refuse_untried(value)
    elif isinstance(figures, list | tuple):
        for value in figures:
            _refuse_untried(value)
    for port in PORTS.values():
        if figures in (port.name, port.board) and port.status is not PortStatus.RUN:
            raise ValueError(f"the port {port.name} is {port.status}: nobody ran it, so it has no figures")


def machine() -> dict[str, str | int | None]:
    """Return what the figures depend on and what does not name the host."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "arch": platform.machine(),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
    }


def versions() -> dict[str, str]:
    """Return the installed versions of Python and of every package that a figure may depend on."""
    installed = {"python": platform.python_version()}
    for package in NAMED_VERSIONS:
        try:
            installed[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return installed


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())
