"""`edgepipe verify` as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest


def test_a_fitting_model_is_said_to_fit(edgepipe: Any, kws: Path) -> None:
    done = edgepipe("verify", kws, "--target", "mcu")

    assert done.code == 0, done.err
    assert 'fits "mcu"' in done.out
    assert "2,656,768 multiply-accumulates" in done.out


def test_json_is_one_document_with_every_fact(edgepipe: Any, kws: Path) -> None:
    document = edgepipe("verify", kws, "--target", "mcu", "--json").json

    assert (document["fits"], document["target"], document["problems"]) == (True, "mcu", [])
    assert document["facts"]["size_bytes"] == 53_936
    assert document["requirements"]["ops"]["CONV_2D"] == 3


def test_limits_that_are_missed_are_all_listed_with_exit_code_1(edgepipe: Any, kws: Path) -> None:
    pytest.importorskip("tflite_micro", reason="needs the tflite-micro wheel: pip install 'edgepipe[micro]'")
    too_big = edgepipe("verify", kws, "--target", "mcu", "--flash-bytes", 50_000)
    too_hungry = edgepipe("verify", kws, "--target", "mcu", "--arena-bytes", 24_271)
    fits = edgepipe("verify", kws, "--target", "mcu", "--arena-bytes", 24_272)

    assert (too_big.code, too_hungry.code, fits.code) == (1, 1, 0)
    assert "3,936 more than the 50,000 allowed" in too_big.err
    assert "arena: 24,272 bytes, 1 more than" in too_hungry.err
    assert "Traceback" not in too_big.err + too_hungry.err


def test_json_of_a_failing_model_is_still_one_document(edgepipe: Any, kws: Path) -> None:
    done = edgepipe("verify", kws, "--target", "mcu", "--flash-bytes", 1, "--json")

    assert done.code == 1
    assert [problem["where"] for problem in done.json["problems"]] == ["flash"]


def test_real_data_on_another_scale_is_warned_of(edgepipe: Any, kws: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "small.npz", x=np.random.default_rng(1).uniform(-0.4, 0.1, (20, 49, 10, 1)))
    done = edgepipe("verify", kws, "--target", "mcu", "--data", tmp_path / "small.npz")

    assert done.code == 0
    assert "of 256 levels" in " ".join(done.out.split())


@pytest.mark.parametrize("content", [None, b"", b"not a model at all", "cut"])
def test_what_is_no_model_is_exit_code_2_and_one_message(edgepipe: Any, kws: Path, tmp_path: Path, content: Any) -> None:
    if content is not None:
        (tmp_path / "model.tflite").write_bytes(kws.read_bytes()[:9999] if content == "cut" else content)
    done = edgepipe("verify", "model.tflite", "--target", "mcu")

    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("edgepipe: ")
    assert "Traceback" not in done.err


def test_an_unknown_target_is_told_the_known_ones(edgepipe: Any, kws: Path) -> None:
    done = edgepipe("verify", kws, "--target", "toaster")

    assert done.code == 2
    assert "host, pi, coral, mcu" in done.err


def test_an_arena_is_asked_of_no_target_without_one(edgepipe: Any, kws: Path) -> None:
    done = edgepipe("verify", kws, "--target", "host", "--arena-bytes", "1000")

    assert done.code == 2
    assert "has no arena" in done.err


COUNT_IMPORTS = """
import json, sys
from edgepipe.cli import main_inner
code = main_inner(["verify", sys.argv[1], "--target", "mcu", "--json"])
heavy = ("tensorflow", "pandas", "tf_keras", "ai_edge_litert.interpreter")
print(json.dumps([code, [name for name in heavy if name in sys.modules]]))
"""


def test_it_imports_neither_tensorflow_nor_pandas_nor_an_interpreter(kws: Path) -> None:
    done = subprocess.run([sys.executable, "-c", COUNT_IMPORTS, str(kws)], capture_output=True, text=True, check=True)

    assert json.loads(done.stdout.splitlines()[-1]) == [0, []]
