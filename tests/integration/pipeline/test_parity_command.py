"""`edgepipe parity` as a user runs it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest


def asked(*runtimes: str) -> list[str]:
    return [word for runtime in runtimes for word in ("--runtime", runtime)]


@pytest.mark.skipif(find_spec("tflite_micro") is None, reason="needs the tflite-micro wheel: pip install 'edgepipe[micro]'")
def test_real_data_and_a_gate_that_is_missed(edgepipe: Any, kws: Path, tmp_path: Path) -> None:
    values = np.random.default_rng(0).uniform(-100, 20, (24, 49, 10, 1)).astype("float32")
    np.savez(tmp_path / "test.npz", x=values, y=np.arange(24) % 12)
    done = edgepipe(
        "parity", kws, "--data", "test.npz", "-n", 12, "--exact", "mcu", "--runtime", "tflm", "--runtime", "host", "--json"
    )

    assert done.code == 1, done.err
    document = done.json
    assert [report["runtime"] for report in document["runtimes"]] == ["litert-xnnpack", "tflm"]
    assert document["inputs"].startswith("12 of the 24 of ")
    assert document["pairs"][0]["first"]["place"]["layer"] == "conv2d"
    assert document["gate"]["held"] is False
    assert "litert-xnnpack differs on" in document["gate"]["problems"][0]


def test_markdown_and_a_gate_that_is_held(edgepipe: Any, kws: Path) -> None:
    done = edgepipe(
        "parity", kws, "-n", 5, "--runtime", "litert-none", "--runtime", "litert-ref", "--exact", "litert-ref", "--markdown"
    )

    assert done.code == 0, done.err
    assert "| litert-none | litert-ref | 5 of 5 | 0 LSB | 0 |" in done.out


def test_an_unknown_runtime_names_the_known_ones(edgepipe: Any, kws: Path) -> None:
    done = edgepipe("parity", kws, "--runtime", "litert")

    assert done.code == 2
    assert "litert-xnnpack, litert-none, litert-ref, tflm" in done.err


def test_one_runtime_is_no_comparison(edgepipe: Any, kws: Path) -> None:
    done = edgepipe("parity", kws, "--runtime", "tflm")

    assert (done.code, "two runtimes" in done.err) == (2, True)
