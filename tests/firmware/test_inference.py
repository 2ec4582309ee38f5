"""Inference by the text protocol, and what a fuzzer makes of the line."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.firmware import fuzzing
from tests.firmware.host_board import HostBoard, push
from tests.firmware.tflm import Case, answers

BYTES_A_LINE = 31
LAP = re.compile(r"m-lap-us-\d+")


@pytest.fixture
def board(program: Path) -> Iterator[HostBoard]:
    started = HostBoard(program)
    started.lines()
    yield started
    started.close()


def load(board: HostBoard, sample: bytes) -> None:
    """Send one input as the benchmark's runner does: 31 bytes a line."""
    assert board.says(f"db load {len(sample)}%") == [f"m-[Expecting {len(sample)} bytes]", "m-ready"]
    for start in range(0, len(sample), BYTES_A_LINE):
        last = start + BYTES_A_LINE >= len(sample)
        said = board.says(f"db {sample[start : start + BYTES_A_LINE].hex()}%")
        assert said == (["m-load-done", "m-ready"] if last else ["m-ready"])


def inferred(board: HostBoard, command: str, runs: int, warmup: int) -> str:
    """Have it infer, and return what stands in the brackets of the results."""
    *said, results, ready = board.says(command)
    steps = [LAP.sub("lap", line) for line in said]
    start = [f"m-warmup-start-{warmup}", "m-warmup-done", f"m-infer-start-{runs}"]
    assert (steps, ready) == ([*start, "lap", "lap", "m-infer-done"], "m-ready")
    (scores,) = re.findall(r"^m-results-\[(.*)\]$", results)
    return str(scores)


def test_keywords_are_scored_to_three_decimals_as_tflite_micro_scores_them(board: HostBoard, kws: Path) -> None:
    pytest.importorskip("tflite_micro", reason="pip install 'edgepipe[micro]' (x86-64 Linux only)")
    content = kws.read_bytes()
    sample = np.random.default_rng(3).integers(-128, 128, size=(1, 49, 10, 1), dtype=np.int8)
    (rows,) = answers([Case(model=content, rows=((sample,),))])
    assert rows is not None
    scores = (np.frombuffer(rows[0][0], np.int8).astype(np.float32) + 128) / 256  # the scale and zero point of every SOFTMAX
    push(board, content, "kws01", 0)
    assert board.says("profile%")[1] == "m-model-[kws01]"
    load(board, sample.tobytes())
    expected = ",".join(f"{score:.3f}" for score in scores)
    assert inferred(board, "infer 2 1%", 2, 1) == expected
    assert inferred(board, "infer%", 1, 10) == expected
    assert inferred(board, "infer 3%", 3, 10) == expected
    assert inferred(board, "infer 1 0 surplus%", 1, 0) == expected
    assert board.says("results%") == [f"m-results-[{expected}]", "m-ready"]


def test_an_anomaly_is_scored_by_one_number_from_floats_or_from_the_models_own_bytes(board: HostBoard, ad01: Path) -> None:
    quantised = np.random.default_rng(4).integers(-128, 128, size=(1, 640), dtype=np.int8)
    push(board, ad01.read_bytes(), "ad01", 1)
    load(board, quantised.tobytes())
    score = inferred(board, "infer 1 0%", 1, 0)
    assert re.fullmatch(r"\d+\.\d{3}", score)
    assert float(score) > 0
    load(board, bytes(10))
    assert board.says("infer 1 0%") == ["e-[The input takes 640 bytes]", "m-ready"]


def test_a_file_that_is_no_model_is_an_error_of_one_line(board: HostBoard) -> None:
    push(board, hashlib.sha256(b"").digest() * 4, "kws01", 0)
    reason, ready = board.says("infer%")
    assert re.fullmatch(r"e-\[.+\]", reason)
    assert ready == "m-ready"


def test_a_short_fuzz_of_the_line_finds_nothing(tmp_path: Path) -> None:
    built = fuzzing.build(tmp_path)
    if built is None:
        pytest.skip("the fuzzer needs clang with libFuzzer: apt-get install clang")
    executions, finding = fuzzing.run(built, tmp_path, executions=20_000, longest_s=20)
    assert finding == ""
    assert executions > 1000
