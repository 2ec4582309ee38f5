"""The trained models of ../shared/data, beside the checkout; what needs one that is not there is skipped."""

from __future__ import annotations

from pathlib import Path

import pytest

MODELS = Path(__file__).resolve().parents[2] / "shared" / "data" / "models"
SHAPES = {"kws_ref_model": (1, 49, 10, 1), "ad01_int8": (1, 640)}  # of the one int8 input of each


def real_model(name: str) -> Path:
    """Return where the model `name` stands. Skips the test where it does not."""
    path = MODELS / f"{name}.tflite"
    if not path.exists():
        pytest.skip(f"needs {path} (../shared/data beside the checkout)")
    return path
