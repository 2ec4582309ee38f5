"""The C sources that are given away: the built-in engine, and the program around it for a board."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable

from edgepipe.devices.firmware_build import FirmwarePort

CORTEX_M = ("startup.c", "systick.c", "systick.h", "memory.ld")


def engine_sources() -> dict[str, str]:
    """Return the sources of the built-in engine by file name."""
    return {file.name: _text(file) for file in _sorted(_firmware() / "engine") if file.name.endswith((".c", ".h"))}


def tflm_sources() -> dict[str, str]:
    """Return TensorFlow Lite Micro behind the engine's header, by path; which operators are linked is not among it."""
    paths = ("engine/engine.h", "engine_tflm/engine_tflm.cc")
    return {path: _text(_firmware() / path) for path in paths}


def project_sources(port: FirmwarePort) -> dict[str, str]:
    """Return a program that runs golden inputs, and what the board needs, by path; it includes `model.h` and `engine/engine.h`."""
    project, cortex_m = _firmware() / "project", _firmware() / "port" / "cortex_m"
    emulated = "cortex_m" in port.folders
    return {
        "main.c": _text(project / "main.c"),
        "board.h": _text(project / "board.h"),
        "board.c": _text(project / ("board_qemu.c" if emulated else "board_host.c")),
        **({f"port/cortex_m/{name}": _text(cortex_m / name) for name in CORTEX_M} if emulated else {}),
    }


def _firmware() -> Traversable:
    return resources.files("edgepipe.devices") / "firmware"


def _sorted(folder: Traversable) -> Iterator[Traversable]:
    yield from sorted(folder.iterdir(), key=lambda file: file.name)


def _text(file: Traversable) -> str:
    return file.read_text(encoding="utf-8")
