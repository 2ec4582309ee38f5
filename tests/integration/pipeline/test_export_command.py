"""`edgepipe export` as a user runs it: all files or none."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ai_edge_litert import schema_py_generated as schema
from repacked import repacked

FILES = ["kws_model_data.cc", "kws_model_data.h", "kws_op_resolver.h"]


@pytest.fixture
def kws_in_float(kws: Path, tmp_path: Path) -> Path:
    """The same network with an input that claims to be float."""

    def claim(model: schema.ModelT) -> None:
        model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]].type = schema.TensorType.FLOAT32

    path = tmp_path / "float.tflite"
    path.write_bytes(repacked(kws.read_bytes(), claim))
    return path


def test_three_files_that_a_compiler_takes(edgepipe: Any, kws: Path, tmp_path: Path) -> None:
    done = edgepipe("export", kws, "--to", "out", "--name", "kws", "--json")
    folder = tmp_path / "out"

    assert done.code == 0, done.err
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert [Path(name).name for name in done.json["files"]] == [FILES[1], FILES[0], FILES[2]]
    assert "MicroMutableOpResolver<k_kws_op_count>" in (folder / FILES[2]).read_text()
    assert "k_kws_op_count = 6;" in (folder / FILES[2]).read_text()
    if shutil.which("g++"):
        command = ["g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-c", str(folder / FILES[0]), "-o", str(tmp_path / "kws.o")]
        subprocess.run(command, check=True, capture_output=True)


def test_the_arena_is_in_the_header(edgepipe: Any, kws: Path, tmp_path: Path) -> None:
    pytest.importorskip("tflite_micro", reason="needs the tflite-micro wheel: pip install 'edgepipe[micro]'")
    done = edgepipe("export", kws, "--to", "out", "--name", "kws", "--json")

    assert f"#define KWS_ARENA_SIZE {done.json['arena']['smallest_bytes']}u" in (tmp_path / "out" / FILES[1]).read_text()


def test_twice_gives_the_same_bytes(edgepipe: Any, kws: Path, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        assert edgepipe("export", kws, "--to", folder, "--name", "kws", "-q").code == 0

    for name in FILES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_model_that_does_not_fit_leaves_nothing_and_harms_nothing(
    edgepipe: Any, kws: Path, kws_in_float: Path, tmp_path: Path
) -> None:
    assert edgepipe("export", kws, "--to", "out", "--name", "kws", "-q").code == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    done = edgepipe("export", kws_in_float, "--to", "out", "--name", "kws")

    assert done.code == 1
    assert 'input "input_1": is float32, not int8' in done.err
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert edgepipe("export", kws_in_float, "--to", "elsewhere").code == 1
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs Linux's /proc, in which nobody makes folders")
def test_a_folder_that_cannot_be_written_is_exit_code_4(edgepipe: Any, kws: Path) -> None:
    done = edgepipe("export", kws, "--to", "/proc/out")

    assert done.code == 4
    assert "Traceback" not in done.err


def test_a_file_where_the_folder_should_be_is_a_mistake_of_the_command(edgepipe: Any, kws: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("in the way")
    done = edgepipe("export", kws, "--to", "out")

    assert done.code == 2
    assert "Traceback" not in done.err
