"""TensorFlow Lite Micro behind engine.h, against a stand-in for its library: it shows that ours keeps both sides' contracts.

It proves nothing of the real library, which is not at hand: see tests/firmware/stand_ins/tflite-micro.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgepipe.devices.boards.mcu import McuBoard
from edgepipe.devices.firmware_tflm import build_with_tflm
from edgepipe.devices.protocols import RunOptions
from edgepipe.errors import ModelRejected, UsageError
from edgepipe.pipeline.export.tflm_ops import TFLM_OPS
from tests.firmware.host_board import HostBoard, HostTransport

FIRMWARE = Path(__file__).resolve().parents[2] / "devices" / "firmware"
STAND_IN = Path(__file__).parent / "stand_ins" / "tflite-micro"
LINKED = dict(re.findall(r"OPERATOR\((\w+), (\w+)\)", (FIRMWARE / "engine_tflm" / "operators.h").read_text()))
ADD, AVERAGE_POOL_2D, CONCATENATION, CONV_2D, NOBODYS = 0, 1, 2, 3, 200


def model(*operators: int) -> bytes:
    """A model in the stand-in's format."""
    return b"TFL3" + bytes((len(operators), *operators))


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of tflite-micro with its library built, as it were."""
    if shutil.which("g++") is None:
        pytest.skip("needs a C++ compiler: apt-get install g++")
    tree = tmp_path_factory.mktemp("tflm") / "tflite-micro"
    shutil.copytree(STAND_IN, tree)
    built = tree / "gen" / "linux_x86_64_default_gcc" / "lib"
    built.mkdir(parents=True)
    compiled = ["g++", "-std=c++17", "-O1", "-DTF_LITE_STATIC_MEMORY", f"-I{tree}", "-c", tree / "stand_in.cc", "-o", built / "s.o"]
    subprocess.run(compiled, check=True)
    subprocess.run(["ar", "rcs", built / "libtensorflow-microlite.a", built / "s.o"], check=True)
    return tree


@pytest.fixture(scope="module")
def program(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_with_tflm("host", tree, folder=tmp_path_factory.mktemp("firmware")).path


@pytest.fixture
def board(program: Path, tmp_path: Path) -> Iterator[McuBoard]:
    process = HostBoard(program)
    board = McuBoard("m4", HostTransport(process, "tflm"), lock_folder=tmp_path)
    board.open()
    yield board
    board.close()
    process.close()


def push(board: McuBoard, folder: Path, content: bytes) -> str:
    path = folder / "model.tflite"
    path.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    board.push(path, sha256)
    return sha256


def test_the_board_says_that_it_is_tflite_micro_with_these_operators(board: McuBoard) -> None:
    assert board.runtime(RunOptions()).name == "tflite-micro"
    assert set(board.capabilities().ops or {}) == set(LINKED)


def test_a_model_runs_and_each_operator_has_its_ticks(board: McuBoard, tmp_path: Path) -> None:
    """AVERAGE_POOL_2D tells of something inside it, which is no operator of its own."""
    sha256 = push(board, tmp_path, model(ADD, AVERAGE_POOL_2D, CONV_2D))
    for sample in (bytes((1, 2, 3, 4)), bytes((0, 250, 9, 127))):
        (prediction,) = board.predict(sha256, iter([(sample,)]), RunOptions())
        assert prediction.outputs == (bytes((value + 3) % 256 for value in sample),)
        assert [step.builtin for step in board.steps()] == [ADD, AVERAGE_POOL_2D, CONV_2D]
        assert all(0 < step.ticks < 1_000_000_000 for step in board.steps())


def test_what_cannot_run_is_refused_at_loading_with_its_reason(board: McuBoard, tmp_path: Path) -> None:
    for content, reason in (
        (model(ADD, NOBODYS), r"operator 1 \(builtin 200, version 1\): this firmware was linked without the operator"),
        (model(ADD, CONCATENATION), "TFLite Micro refuses it as it runs"),
        (model(ADD)[:-1], "no .tflite file of one graph, or it is cut"),
        (b"nothing", "no .tflite file of one graph, or it is cut"),
    ):
        with pytest.raises(ModelRejected, match=reason):
            push(board, tmp_path, content)
    push(board, tmp_path, model(ADD))  # the next one runs


def test_an_arena_that_is_too_small_is_refused(tree: Path, tmp_path: Path) -> None:
    """Under AddressSanitizer, through engine.h itself: see arena.cc."""
    folder = FIRMWARE / "engine_tflm"
    flags = ["-std=c++17", "-g", "-fsanitize=address,undefined", "-DTF_LITE_STATIC_MEMORY", f"-I{tree}", f"-I{FIRMWARE}"]
    parts = [STAND_IN.parent / "arena.cc", folder / "engine_tflm.cc", tree / "stand_in.cc"]
    subprocess.run(["g++", *flags, *parts, "-o", tmp_path / "arena"], check=True)
    assert subprocess.run([tmp_path / "arena"], check=False).returncode == 0


def test_the_operators_have_the_names_that_export_gives_them_and_are_no_fewer_than_the_built_in_engines() -> None:
    assert {op: TFLM_OPS[op] for op in LINKED} == LINKED
    built_in = set(re.findall(r"&([A-Z0-9_]+)", (FIRMWARE / "engine" / "kernels.c").read_text()))
    assert len(built_in) > 30
    assert built_in - set(LINKED) == set()


def test_a_library_is_found_by_the_ports_processor(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no library of TFLite Micro for cortex-m4") as told:
        build_with_tflm("mps2-an386", tmp_path)
    assert "TARGET_ARCH=cortex-m4 " in told.value.todo
    for name in ("cortex_m_generic_cortex-m33_default_gcc", "cortex_m_generic_cortex-m4+fp_default_gcc", "a_cortex-m4_b"):
        (tmp_path / "gen" / name / "lib").mkdir(parents=True)
        (tmp_path / "gen" / name / "lib" / "libtensorflow-microlite.a").touch()
    with pytest.raises(UsageError, match="2 libraries") as told:
        build_with_tflm("stm32l4", tmp_path)
    assert len(told.value.problems) == 2
    with pytest.raises(UsageError, match="no library of TFLite Micro for cortex-m3\n"):
        build_with_tflm("mps2-an385", tmp_path)
