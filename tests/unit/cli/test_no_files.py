"""A pipe nobody writes to, or a device without an end, is refused before it is read: no command may wait for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from commandline import EDGEPIPE

DEVICE = "/dev/zero"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("pipe.tflite", "pipe.keras", "pipe.npz", "pipe.yaml", "pipe.json"):
        os.mkfifo(tmp_path / name)
    return tmp_path


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/zero and its like: Linux")
@pytest.mark.parametrize(
    "arguments",
    [
        "verify pipe.tflite",
        f"verify {DEVICE}",
        "export pipe.tflite --to firmware",
        "bench pipe.tflite",
        f"bench {DEVICE}",
        "eval pipe.tflite --data pipe.npz",
        "compare pipe.tflite latest",
        "compare pipe.json latest",
        "compress pipe.yaml",
        f"compress {DEVICE}",
    ],
)
def test_it_is_called_no_file_with_exit_code_2(folder: Path, arguments: str) -> None:
    done = subprocess.run([*EDGEPIPE, *arguments.split()], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2, done.stderr
    assert "not a file" in done.stderr
    assert "Traceback" not in done.stderr
