"""Standalone C: a model without interpreter and file answers what TFLite Micro answers, wherever a C99 compiler is."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tests.firmware import tflm
from tests.firmware.bare_board import Kind, run
from tests.firmware.random_models import MAKERS, random_model
from tests.firmware.standalone_library import NAME, STRICT, Standalone, write
from tests.real_models import SHAPES, real_model
from tests.repacked import repacked

CORTEX = {core: ("arm-none-eabi-gcc", "-mthumb", f"-mcpu=cortex-{core}") for core in ("m0", "m4", "m55")}
COMPILERS = {"gcc": ("gcc",), "clang": ("clang",), **CORTEX}

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs a C compiler: apt-get install gcc")


def real(name: str) -> bytes:
    return real_model(name).read_bytes()


@pytest.mark.parametrize("flags", [("-O2",), ("-O2", "-DENGINE_PAIRS")], ids=["plain", "in pairs"])
@pytest.mark.parametrize("name", SHAPES)
def test_a_real_model_answers_as_tflite_micro_bit_for_bit(name: str, flags: tuple[str, ...], tmp_path: Path) -> None:
    pytest.importorskip("tflite_micro", reason="pip install 'edgepipe[micro]' (x86-64 Linux only)")
    random = np.random.default_rng(11)
    rows = tuple((np.clip(random.normal(0, 40, SHAPES[name]), -128, 127).astype(np.int8),) for _ in range(20))
    case = tflm.Case(model=real(name), rows=rows)
    (expected,) = tflm.answers([case])
    assert expected is not None
    alone = Standalone(case.model, tmp_path / "net", flags=flags)
    assert [alone.answer(row, [len(expected[0][0])]) for row in rows] == expected
    assert len({bytes(row[0]) for row in expected}) > 10
    assert alone.past_the_last(1, 1) == (None, None)


@pytest.fixture(scope="module")
def expected() -> dict[str, list[list[bytes]] | None]:
    """What TFLite Micro answers to a random model of each kind, all asked in one go."""
    pytest.importorskip("tflite_micro", reason="pip install 'edgepipe[micro]' (x86-64 Linux only)")
    cases = [tflm.Case(model=model, rows=rows) for model, rows in (random_model(name, 7) for name in MAKERS)]
    return dict(zip(MAKERS, tflm.answers(cases), strict=True))


@pytest.mark.parametrize("name", MAKERS)
def test_random_models_answer_as_tflite_micro_bit_for_bit(
    name: str, expected: dict[str, list[list[bytes]] | None], tmp_path: Path
) -> None:
    model, rows = random_model(name, 7)
    answers = expected[name]
    assert answers is not None
    alone = Standalone(model, tmp_path / "net")
    assert [alone.answer(row, [len(output) for output in answers[0]]) for row in rows] == answers


@pytest.mark.parametrize("compiler", COMPILERS)
def test_c99_compilers_take_it_without_a_warning(compiler: str, tmp_path: Path) -> None:
    command = COMPILERS[compiler]
    if shutil.which(command[0]) is None:
        pytest.skip(f"needs {command[0]}")
    sources = write(real("kws_ref_model"), tmp_path / "net")
    ran = subprocess.run(
        [*command, *STRICT, "-O1", "-c", *map(str, sources)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr


def test_its_header_and_quantize_input_are_for_c_and_cpp(tmp_path: Path) -> None:
    write(real("kws_ref_model"), tmp_path / "net")
    program = (
        f'#include "net.h"\nvoid feed(const float *real) {{ {NAME}_quantize_input(real, {NAME}_input(0)); {NAME}_invoke(); }}\n'
    )
    for suffix, compiler in ((".c", ("gcc", "-std=c99")), (".cc", ("g++", "-std=c++11"))):
        path = tmp_path / "net" / f"use{suffix}"
        path.write_text(program)
        if shutil.which(compiler[0]):
            subprocess.run([*compiler, *STRICT[1:], "-fsyntax-only", str(path)], check=True, capture_output=True)


def test_names_of_layers_that_would_be_code_are_not(tmp_path: Path) -> None:
    def rename(model: schema.ModelT) -> None:
        for number, tensor in enumerate(model.subgraphs[0].tensors):
            tensor.name = f"{number} */ #error \\\n#error"

    sources = write(repacked(real("ad01_int8"), rename), tmp_path / "net")
    subprocess.run(["gcc", *STRICT, "-fsyntax-only", *map(str, sources)], check=True, capture_output=True)


def test_nothing_of_loading_and_no_other_operator_is_in_it(tmp_path: Path) -> None:
    sources = write(real("ad01_int8"), tmp_path / "net")
    text = "\n".join(
        path.read_text() for folder in (tmp_path / "net", tmp_path / "net" / "kernels") for path in folder.glob("*.[ch]")
    )
    assert {path.stem for path in sources} == {NAME, "fully_connected", "channels", "dot", "numbers", "running"}
    for word in ("ENGINE_STANDALONE", "flat_", "prepare", "claim", "malloc", "TFL3"):
        assert word not in text, word
    assert len(re.findall(r"run_FULLY_CONNECTED\(&step_\d+\);", text)) == 10


@pytest.mark.parametrize("name", SHAPES)
def test_on_a_cortex_m4_it_answers_alike_with_less_flash_less_memory_and_no_more_ticks_than_the_interpreter(
    name: str, tmp_path: Path
) -> None:
    pytest.importorskip("tflite_micro", reason="pip install 'edgepipe[micro]' (x86-64 Linux only)")
    for program in ("arm-none-eabi-gcc", "qemu-system-arm"):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}: make system")
    random = np.random.default_rng(5)
    rows = [random.integers(-128, 128, SHAPES[name], np.int8) for _ in range(2)]
    model = real(name)
    (expected,) = tflm.answers([tflm.Case(model=model, rows=tuple((row,) for row in rows))])
    assert expected is not None
    told = {
        kind: run(kind, model, rows, len(expected[0][0]), tmp_path / kind, "mps2-an386") for kind in (Kind.TRIMMED, Kind.STANDALONE)
    }
    interpreter, alone = told[Kind.TRIMMED], told[Kind.STANDALONE]
    assert alone.outputs == interpreter.outputs == [output for (output,) in expected]
    assert alone.flash_bytes < interpreter.flash_bytes
    assert alone.ram_bytes < interpreter.ram_bytes
    assert all(ours <= theirs for ours, theirs in zip(alone.ticks, interpreter.ticks, strict=True))
