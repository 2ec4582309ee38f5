"""The real models, each with one input and what TFLite Micro answers to it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.firmware.tflm import Case, answers
from tests.real_models import SHAPES, real_model


@dataclass(frozen=True)
class Real:
    """A trained model, one input and what TFLite Micro answers to it."""

    path: Path
    sha256: str
    sample: bytes
    answer: bytes


def answered() -> dict[str, Real]:
    """Return them by name, asked in one go. Skips the test where a model or TFLite Micro is missing."""
    pytest.importorskip("tflite_micro", reason="pip install 'edgepipe[micro]' (x86-64 Linux only)")
    paths, source = [real_model(name) for name in SHAPES], np.random.default_rng(7)
    rows = [source.integers(-128, 128, size=shape, dtype=np.int8) for shape in SHAPES.values()]
    found = answers([Case(model=path.read_bytes(), rows=((row,),)) for path, row in zip(paths, rows, strict=True)])
    reals = {}
    for path, row, answer in zip(paths, rows, found, strict=True):
        assert answer is not None
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        reals[path.stem] = Real(path=path, sha256=sha256, sample=row.tobytes(), answer=answer[0][0])
    return reals
