"""`edgepipe export --as project` as a user runs it: a folder that builds with `make`, and says PASS or FAIL on a board."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

STAND_IN = Path(__file__).resolve().parents[2] / "firmware" / "stand_ins" / "tflite-micro"
NEEDS = {"host": ("make", "gcc"), "mps2-an386": ("make", "arm-none-eabi-gcc", "qemu-system-arm")}
RUN_S = 120


@pytest.fixture(autouse=True)
def tflite_micro() -> None:
    """Whose answers are the golden ones."""
    pytest.importorskip("tflite_micro", reason="needs the tflite-micro wheel: pip install 'edgepipe[micro]'")


def make(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run make there, four compilations at a time."""
    command = ["make", "-s", "-j4", "-C", str(folder), "OPTIMISE=-O0", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=RUN_S)


@pytest.mark.parametrize("board", NEEDS)
def test_it_builds_and_passes_on_a_board_and_fails_where_a_golden_output_is_damaged(
    edgepipe: Any, kws: Path, tmp_path: Path, board: str
) -> None:
    for program in NEEDS[board]:
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}: make system")
    done = edgepipe("export", kws, "--to", "there", "--as", "project", "--board", board, "--name", "kws", "--json")
    assert done.code == 0, done.err
    folder, golden = tmp_path / "there", done.json["golden"]
    passed = make(folder, "run")
    assert passed.returncode == 0, passed.stderr
    assert passed.stdout.splitlines() == [*(f"kws, golden input {number}: pass" for number in range(golden)), "PASS"]

    damage(folder / "kws_golden.c", sample=2)
    failed = make(folder, "run")
    assert failed.returncode != 0
    lines = failed.stdout.splitlines()
    assert [line for line in lines if line.endswith("fail")] == ["kws, golden input 2: fail"]
    assert lines[-1] == "FAIL" and "PASS" not in lines


def damage(source: Path, *, sample: int) -> None:
    """Make one number of a sample's golden output another one."""
    before, head, rows = source.read_text().partition("g_kws_golden_output_0")
    parts = re.split(r"(?<=\{\n)", rows)
    part = parts[sample + 2]
    first = re.search(r"-?\d+", part)
    assert first is not None
    parts[sample + 2] = part.replace(first[0], str(int(first[0]) ^ 1), 1)
    source.write_text(before + head + "".join(parts))


def test_the_arena_is_the_smallest_and_one_byte_less_fails(edgepipe: Any, kws: Path, tmp_path: Path) -> None:
    if shutil.which("gcc") is None or shutil.which("make") is None:
        pytest.skip("needs gcc and make: make system")
    done = edgepipe("export", kws, "--to", "there", "--as", "project", "--name", "kws")
    assert done.code == 0, done.err
    model = tmp_path / "there" / "model.h"
    arena = re.search(r"#define MODEL_ARENA_BYTES (\d+)u", model.read_text())
    assert arena is not None and f"arena {int(arena[1]):,} bytes" in done.out
    model.write_text(model.read_text().replace(arena[0], f"#define MODEL_ARENA_BYTES {int(arena[1]) - 1}u"))
    failed = make(tmp_path / "there", "run")
    assert failed.returncode != 0
    assert failed.stdout == "kws is refused: the arena is too small\nFAIL\n"


def test_a_board_without_a_project_is_refused_before_anything_is_written(edgepipe: Any, kws: Path, tmp_path: Path) -> None:
    done = edgepipe("export", kws, "--to", "there", "--as", "project", "--board", "nucleo-l4r5zi")
    assert done.code == 2
    assert "mps2-an386" in done.err and "host" in done.err
    assert not (tmp_path / "there").exists()


def test_with_tflm_it_links_the_users_library_with_the_operators_of_the_model(edgepipe: Any, kws: Path, tmp_path: Path) -> None:
    """Against a stand-in of the library, which takes no real model for one: as far as this machine can go."""
    if shutil.which("g++") is None or shutil.which("make") is None:
        pytest.skip("needs g++ and make: make system")
    done = edgepipe("export", kws, "--to", "there", "--as", "project", "--engine", "tflm", "--name", "kws")
    assert done.code == 0, done.err
    folder = tmp_path / "there"
    operators = re.findall(r"OPERATOR\((\w+), (\w+)\)", (folder / "engine_tflm" / "operators.h").read_text())
    assert operators[:2] == [("AVERAGE_POOL_2D", "AddAveragePool2D"), ("CONV_2D", "AddConv2D")] and len(operators) == 6

    without = make(folder, "run", f"TFLM={STAND_IN}")
    assert without.returncode != 0 and "AllocateTensors" in without.stderr, "there is no library"
    library = tmp_path / "stand_in.o"
    compiled = [
        "g++",
        "-std=c++17",
        "-DTF_LITE_STATIC_MEMORY",
        f"-I{STAND_IN}",
        "-c",
        str(STAND_IN / "stand_in.cc"),
        "-o",
        str(library),
    ]
    subprocess.run(compiled, check=True, capture_output=True)
    ran = make(folder, "run", f"TFLM={STAND_IN}", f"LIBRARY={library}")
    assert ran.returncode != 0
    assert ran.stdout.startswith("kws is refused: ") and ran.stdout.endswith("FAIL\n")


def test_an_engine_is_chosen_for_projects_only(edgepipe: Any, kws: Path, tmp_path: Path) -> None:
    done = edgepipe("export", kws, "--to", "c", "--engine", "tflm")
    assert done.code == 2 and "--as project" in done.err
    assert not (tmp_path / "kws_ref_model-c").exists()


def test_without_tflite_micro_the_golden_answers_are_the_engines_and_the_same(edgepipe: Any, kws: Path, tmp_path: Path) -> None:
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "sitecustomize.py").write_text('import sys\nsys.modules["tflite_micro"] = None\n')
    words = ("export", kws, "--as", "project", "--name", "kws")
    alone = edgepipe(*words, "--to", "alone", PYTHONPATH=str(tmp_path / "hidden"))
    assert alone.code == 0, alone.err
    assert "golden answers are this machine's build of the engine's own: tflite-micro is not installed" in alone.err
    assert edgepipe(*words, "--to", "beside").code == 0
    for name in ("kws_golden.c", "kws_golden.h"):
        assert (tmp_path / "alone" / name).read_text() == (tmp_path / "beside" / name).read_text()
