"""`edgepipe inspect` and `edgepipe diff` as a user runs them."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.inspect_large import measure
from benchmarks.mutated_models import mutate, structure
from benchmarks.synthetic import convolution
from edgepipe.cli import main_inner
from edgepipe.errors import ModelFileError


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """The same convolution in float and with int8 weights, one of them under an evil name."""
    a, b = tmp_path / "a.tflite", tmp_path / "b[red]|x.tflite"
    a.write_bytes(convolution(side=8, channels=16))
    b.write_bytes(convolution(side=8, channels=16, dtype="int8"))
    return a, b


def test_inspect_is_readable_at_80_columns(edgepipe: Any, kws: Path) -> None:
    done = edgepipe("inspect", kws, COLUMNS="80")

    assert done.code == 0, done.err
    assert max(map(len, done.out.splitlines())) <= 80
    for told in ("2,656,768, 100.0 % of them in integers", "DEPTHWISE_CONV_2D", "depthwise_conv2d_3", "×64 axis 3", "64×10×4×1"):
        assert told in done.out


def test_inspect_json_has_every_tensor_under_its_whole_name(edgepipe: Any, kws: Path) -> None:
    document = edgepipe("inspect", kws, "--json").json

    assert document["totals"]["macs"] == 2_656_768
    assert len(document["tensors"]) == document["totals"]["tensors"] == 35
    assert sum(len(tensor["name"]) > 100 for tensor in document["tensors"]) > 10
    weights = [tensor for tensor in document["tensors"] if tensor["role"] == "weight"]
    assert sum(tensor["size_bytes"] for tensor in weights) == document["totals"]["weights"] == 22_016


def test_inspect_markdown_is_tables(edgepipe: Any, kws: Path) -> None:
    lines = edgepipe("inspect", kws, "--markdown").out.splitlines()
    tables = [line for line in lines if line.startswith("|")]

    assert "**Operators**" in lines
    assert any("| CONV\\_2D | 3 | conv2d | 320,000 |" in line for line in tables)
    assert not [line for line in lines if line and not line.startswith(("|", "**"))]


def test_inspect_of_a_keras_file_lists_its_layers(edgepipe: Any, zoo: Path) -> None:
    done = edgepipe("inspect", zoo / "keras2.keras", COLUMNS="80")

    assert done.code == 0, done.err
    assert "written by tf_keras" in done.out
    assert "separable  SeparableConv2D" in done.out


def test_inspect_of_code_in_a_keras_file_is_a_refusal(edgepipe: Any, zoo: Path) -> None:
    done = edgepipe("inspect", zoo / "lambda.keras")

    assert (done.code, done.out) == (2, "")
    assert "Lambda" in done.err


COUNT_IMPORTS = """
import json, sys
from edgepipe.cli import main_inner
codes = [main_inner(["inspect", model, "--json"]) for model in sys.argv[1:]]
heavy = ("tensorflow", "pandas", "keras", "tf_keras", "h5py", "sqlalchemy", "ai_edge_litert.interpreter")
sys.stderr.write(json.dumps([codes, [name for name in heavy if name in sys.modules]]))
"""


def test_inspect_needs_nothing_heavy(pair: tuple[Path, Path], zoo: Path) -> None:
    command = [sys.executable, "-c", COUNT_IMPORTS, str(pair[0]), str(zoo / "keras3.keras")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert json.loads(done.stderr) == [[0, 0], []]


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_inspect_holds_the_file_once_and_little_besides(tmp_path: Path, dtype: str) -> None:
    """A slice of benchmarks/inspect_large.py: twice the model costs its own bytes and not a copy more."""
    peaks = []
    for channels in (500, 1500):
        model = tmp_path / f"{channels}.tflite"
        model.write_bytes(convolution(side=2, channels=channels * (1 if dtype == "float32" else 2), dtype=dtype))
        found = measure(model, 1)
        peaks.append((found["model_bytes"], found["peak_bytes_max"]))
    (small, low), (large, high) = peaks

    assert large - small > 70_000_000
    # Blocks of 16 MB are copied, sorted and compared beside the file.
    assert high - low < (large - small) + 60_000_000


def test_diff_of_equal_files_is_empty_in_every_form(edgepipe: Any, pair: tuple[Path, Path]) -> None:
    a, _ = pair
    copy = a.with_name("copy.tflite")
    copy.write_bytes(a.read_bytes())

    for form in ([], ["--markdown"], ["--exit-code"]):
        done = edgepipe("diff", a, copy, *form)
        assert (done.code, done.out, done.err) == (0, "", "")
    document = edgepipe("diff", a, copy, "--json").json
    assert (document["equal"], document["layers"]) == (True, [])


def test_diff_of_different_files_shows_the_layer_and_the_totals(edgepipe: Any, pair: tuple[Path, Path]) -> None:
    done = edgepipe("diff", *pair, COLUMNS="80")
    lines = done.out.splitlines()

    assert done.code == 0, done.err
    assert max(map(len, lines)) <= 80
    assert "b[red]|x.tflite" in done.out
    rows = [line.split() for line in lines]
    assert ["−", "output", "9,280", "float32", "147,456", "0.0", "%", "144"] in rows
    assert any(row[:3] == ["+", "2,368", "int8,"] for row in rows)
    assert rows.index(["weights", "2,304", "2,304"]) > lines.index("Totals") > 0


def test_diff_ends_with_1_only_where_asked(edgepipe: Any, pair: tuple[Path, Path]) -> None:
    plain, asked = edgepipe("diff", *pair, "--json"), edgepipe("diff", *pair, "--json", "--exit-code")

    assert (plain.code, asked.code) == (0, 1)
    assert plain.out == asked.out
    (layer,) = plain.json["layers"]
    assert {"bytes", "dtypes", "values"} <= set(layer["changed"])
    assert (layer["a"]["macs"], layer["b"]["macs"]) == (147_456, 147_456)
    assert plain.json["totals_a"]["stored_bytes"] - plain.json["totals_b"]["stored_bytes"] == 3 * 2304


def test_diff_markdown_escapes_what_would_break_a_table(edgepipe: Any, pair: tuple[Path, Path]) -> None:
    shown = edgepipe("diff", *pair, "--markdown").out

    assert "b\\[red\\]\\|x.tflite" in shown
    assert "| − | output | 9,280 | float32 |" in shown


@pytest.mark.parametrize("verb", ["inspect", "diff"])
@pytest.mark.parametrize("content", [None, b"", b"not a model at all", "cut", "folder"])
def test_what_is_no_model_is_exit_code_2_and_one_message(edgepipe: Any, tmp_path: Path, verb: str, content: Any) -> None:
    whole = convolution(side=4, channels=8)
    path = tmp_path / "model.tflite"
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(whole[:999] if content == "cut" else content)
    (tmp_path / "good.tflite").write_bytes(whole)
    done = edgepipe(verb, "model.tflite", *(["good.tflite"] if verb == "diff" else []))

    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("edgepipe: ")
    assert "Traceback" not in done.err


def test_damaged_models_are_shown_or_refused(kws: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A slice of what benchmarks/mutated_models.py does, through both commands."""
    content = kws.read_bytes()
    where, rng = structure(content), random.Random(5)
    outcomes = []
    for _ in range(150):
        path = tmp_path / "mutated.tflite"
        path.write_bytes(mutate(content, where, rng))
        try:
            outcomes.append(main_inner(["inspect", str(path)]) or main_inner(["diff", str(kws), str(path), "--markdown"]))
        except ModelFileError:
            outcomes.append("refused")
        shown = capsys.readouterr().out
        assert not any(0x7F <= ord(each) < 0xA0 or (ord(each) < 0x20 and each != "\n") for each in shown)

    assert set(outcomes) == {0, "refused"}
