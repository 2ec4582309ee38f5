"""`edgepipe doctor` as a user runs it: exit codes, JSON, Markdown, narrow terminals, other sources, and a real conversion."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commandline import Command

from edgepipe.pipeline.inspect.doctor import CODES


def test_a_healthy_model_passes_in_either_keras(edgepipe: Command, zoo: Path) -> None:
    both = [edgepipe("doctor", zoo / f"keras{number}.keras", "--board", "rp2040-pico", "--json") for number in (2, 3)]
    assert [done.code for done in both] == [0, 0]
    two, three = (done.json for done in both)
    assert two["fits"] and three["fits"]
    assert two["layers"] == three["layers"]
    assert two["budget"] == three["budget"]
    assert two["budget"]["board"] == "rp2040-pico"


def test_what_stands_in_the_way_is_exit_code_6(edgepipe: Command, zoo: Path) -> None:
    done = edgepipe("doctor", zoo / "open.keras", "--target", "mcu")
    assert done.code == 6
    assert "EP103" in done.out and "✗ 1 thing stands between open.keras and" in done.out


def test_code_of_its_own_is_told_with_everything_else_and_never_run(edgepipe: Command, zoo: Path) -> None:
    done = edgepipe("doctor", zoo / "lambda.keras", "--json")
    assert done.code == 6
    assert [each["code"] for each in done.json["findings"] if each["severity"] == "error"] == ["EP101"]
    assert [row["kind"] for row in done.json["layers"]] == ["Lambda", "Dense"]


def test_a_subclassed_model_says_what_to_do(edgepipe: Command, zoo: Path) -> None:
    done = edgepipe("doctor", zoo / "subclassed.keras")
    assert done.code == 6
    assert "EP102" in done.out and "functional API" in done.out


def test_words_as_floats_are_warned_of(edgepipe: Command, zoo: Path) -> None:
    assert "EP504" in {each["code"] for each in edgepipe("doctor", zoo / "words.keras", "--json").json["findings"]}


def test_data_of_another_shape_is_a_finding(edgepipe: Command, zoo: Path) -> None:
    done = edgepipe("doctor", zoo / "one_hot.keras", "--data", zoo / "digits_like.npz", "--json")
    assert done.code == 6
    assert "EP503" in {each["code"] for each in done.json["findings"]}


def test_raw_pixels_are_warned_of_only_where_the_network_is_known_not_to_scale_them(
    edgepipe: Command, zoo: Path, tmp_path: Path
) -> None:
    np.savez(tmp_path / "raw.npz", x=np.random.default_rng(0).integers(0, 256, (64, 4)).astype(np.uint8), y=np.arange(64) % 3)
    done = edgepipe("doctor", zoo / "normalised.keras", "--data", tmp_path / "raw.npz", "--json")
    assert done.code == 0
    assert "EP503" not in {each["code"] for each in done.json["findings"]}


@pytest.mark.parametrize("code", CODES)
def test_every_code_is_explained(code: str) -> None:
    from edgepipe.cli import main_inner

    assert main_inner(["doctor", "--explain", code]) == 0


def test_mistakes_are_the_users(edgepipe: Command, zoo: Path) -> None:
    for arguments in (
        [],
        ["--explain", "EP9"],
        ["none.keras"],
        [zoo / "keras3.keras", "--target", "moon"],
        [zoo / "keras3.keras", "--board", "x"],
    ):
        done = edgepipe("doctor", *arguments)
        assert (done.code, "Traceback" in done.err) == (2, False), arguments


def test_markdown_and_narrow_terminals_show_the_findings(edgepipe: Command, zoo: Path) -> None:
    assert "| EP103 |" in edgepipe("doctor", zoo / "open.keras", "--markdown").out
    narrow = edgepipe("doctor", zoo / "open.keras", COLUMNS="50").out
    assert "EP103" in narrow and max(map(len, narrow.splitlines())) <= 50


def test_nothing_of_tensorflow_is_imported(zoo: Path) -> None:
    program = "import sys; from edgepipe.cli import main_inner; main_inner(sys.argv[1:]); sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", program, "doctor", str(zoo / "keras3.keras")], check=True, capture_output=True)


def test_a_saved_model_is_described_by_a_worker(edgepipe: Command, zoo: Path) -> None:
    done = edgepipe("doctor", zoo / "saved_model", "--json")
    assert done.code == 0, done.err
    assert done.json["source"] == "worker"
    assert [row["kind"] for row in done.json["layers"]][:3] == ["Conv2D", "BatchNormalization", "ReLU"]


def test_deep_converts_for_real_and_finds_what_was_said(edgepipe: Command, zoo: Path) -> None:
    done = edgepipe("doctor", zoo / "keras3.keras", "--target", "mcu", "--deep", "--data", zoo / "digits_like.npz", "--json")
    assert done.code == 0, done.err
    codes = {each["code"] for each in done.json["findings"]}
    assert "EP703" in codes
    assert not {"EP701", "EP702"} & codes
