"""What TF-MOT takes, layer by layer, and that what it refuses comes out as integers all the same: a slice of the whole table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[3]
GOLDEN = json.loads((PROJECT / "benchmarks" / "results" / "layer_table.json").read_text())["figures"]["table"]
SLICE = ["Conv2D relu", "Conv1D", "Rescaling", "Multiply", "GRU", "MultiHeadAttention", "Dense elu"]


@pytest.fixture(scope="module")
def rows() -> dict[str, dict[str, object]]:
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    program = "import sys; from benchmarks.layer_table import try_these; try_these(sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", program, *SLICE], env=environment, capture_output=True, text=True, timeout=300, check=True
    )
    return dict(json.loads(line) for line in done.stdout.splitlines() if line.startswith("["))


@pytest.mark.parametrize("name", SLICE)
def test_the_installed_tf_mot_does_what_the_table_says(rows: dict[str, dict[str, object]], name: str) -> None:
    for column in ("qat_by_tfmot", "prune_by_tfmot", "cluster_by_tfmot", "skipped", "float_tensors"):
        assert rows[name][column] == GOLDEN[name][column], column


def test_in_the_whole_table_what_is_not_integer_says_why() -> None:
    assert len(GOLDEN) >= 40
    for name, row in GOLDEN.items():
        assert row["float_tensors"] == 0 or row["message"], name
