"""Exported standalone C as a shared library on this machine, built as a user would and driven through its own functions."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgepipe.devices.engine_plan import plan_of
from edgepipe.devices.firmware_sources import engine_sources
from edgepipe.pipeline.export.standalone import standalone
from edgepipe.pipeline.inspect.flatbuffer import read_model
from edgepipe.workflows.export import write_sources

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")
NAME = "net"


def write(model: bytes, folder: Path) -> list[Path]:
    """Export a model into `folder` and return its C files. Raises AssertionError where the engine refuses it."""
    path = folder.with_suffix(".tflite")
    path.write_bytes(model)
    content, facts = read_model(path)
    plan = plan_of(content).plan
    assert plan is not None
    files = write_sources(folder, standalone(NAME, plan, content, facts, engine_sources()))
    return [file for file in files if file.suffix == ".c"]


class Standalone:
    """The library, loaded."""

    def __init__(self, model: bytes, folder: Path, *, flags: Sequence[str] = ("-O0",)) -> None:
        library = folder / "net.so"
        command = [
            "gcc",
            *STRICT,
            *flags,
            "-ffp-contract=off",
            "-fPIC",
            "-shared",
            *map(str, write(model, folder)),
            "-o",
            str(library),
        ]
        built = subprocess.run(command, check=False, capture_output=True, text=True)
        assert built.returncode == 0, built.stderr
        self._library = ctypes.CDLL(str(library))
        for name in ("input", "output"):
            function = getattr(self._library, f"{NAME}_{name}")
            function.restype, function.argtypes = ctypes.c_void_p, [ctypes.c_uint32]

    def answer(self, inputs: Sequence[npt.NDArray[np.generic]], output_bytes: Sequence[int]) -> list[bytes]:
        """Run once and return the outputs' bytes."""
        for index, array in enumerate(inputs):
            ctypes.memmove(self._library.net_input(index), array.tobytes(), array.nbytes)
        self._library.net_invoke()
        return [ctypes.string_at(self._library.net_output(index), size) for index, size in enumerate(output_bytes)]

    def past_the_last(self, inputs: int, outputs: int) -> tuple[int | None, int | None]:
        """Return what the functions say of the ports that are not there."""
        return self._library.net_input(inputs), self._library.net_output(outputs)
