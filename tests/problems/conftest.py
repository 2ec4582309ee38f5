"""What the usual ways leave behind, made once a session."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from commandline import Command
from once import made_once, shared

from edgepipe.facts import ModelFacts
from edgepipe.pipeline.inspect.flatbuffer import read_model

NAIVE = Path(__file__).parent / "naive.py"


@dataclass(frozen=True)
class Naive:
    """The files in `folder`, and what each attempt was told; tests/problems/naive.py makes them."""

    folder: Path
    said: dict[str, Any]

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    def facts(self, name: str) -> ModelFacts:
        """Return what one of its .tflite files holds."""
        return read_model(self.folder / name)[1]


@pytest.fixture(scope="session")
def naive(zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Naive:
    """The usual ways, each tried once, in one TensorFlow process."""

    def make(folder: Path) -> None:
        subprocess.run([sys.executable, str(NAIVE), str(zoo), str(folder)], check=True, capture_output=True, timeout=300)

    folder = made_once(shared(tmp_path_factory) / "naive", make)
    return Naive(folder, json.loads((folder / "outcomes.json").read_text()))


@pytest.fixture(scope="session")
def ours(naive: Naive, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small network of the usual ways as edgepipe makes it for a microcontroller."""
    command = Command(tmp_path_factory.mktemp("ours"))
    done = command(
        "quantize", naive / "small.keras", "--data", naive / "pixels.npz", "--target", "mcu", "--to", "ours.tflite", "--quiet"
    )
    assert done.code == 0, done.err
    return command.folder / "ours.tflite"
