"""Runs edgepipe as a user does, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EDGEPIPE = [sys.executable, "-c", "from edgepipe.cli import main; main()"]


@dataclass(frozen=True)
class Finished:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its standard output as JSON: fails where anything else was printed."""
        return json.loads(self.out)


class Command:
    """Runs edgepipe as a user does, in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: object, **environment: str) -> Finished:
        done = subprocess.run(
            [*EDGEPIPE, *map(str, arguments)],
            cwd=self.folder,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
        return Finished(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class Demo:
    """What `edgepipe demo` left behind: its JSON, the folder with its results and its cache, what it wrote to stderr."""

    document: dict[str, Any]
    folder: Path
    err: str

    @property
    def results(self) -> Path:
        """Its results folder."""
        return self.folder / "results"

    @property
    def model(self) -> Path:
        """The trained Keras model."""
        return self.results / "demo" / "digits.keras"

    def tflite(self, recipe: int, artefact: int) -> Path:
        """The .tflite of one artefact of one of the two recipes."""
        return Path(self.document["compressions"][recipe]["artefacts"][artefact]["folder"]) / "model.tflite"
