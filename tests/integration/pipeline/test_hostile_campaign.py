"""A small slice of the campaign against `.keras` files: benchmarks/hostile_archives.py runs it 10,000 times."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[3]
PROGRAM = "import json; from benchmarks.hostile_archives import measure; print(json.dumps(measure(42, 3)))"


def test_no_mutated_archive_runs_code_hangs_or_takes_this_process_along() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=PROJECT, capture_output=True, check=True, timeout=500)
    figures = json.loads(done.stdout)
    assert figures["canary_sings_without_the_scan"], "else its silence proves nothing"
    assert figures["code_executed"] == 0
    assert figures["hangs"] == 0
    outcomes = figures["outcomes"]
    assert sum(outcomes.values()) == 42
    assert outcomes["refused: model-file"] and outcomes["refused: unsupported-model"] and outcomes["passes, loads"], outcomes
