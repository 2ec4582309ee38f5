"""The C sources compile as C11 and C++17 with every warning an error, and hold what they say."""

from __future__ import annotations

import hashlib
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edgepipe.errors import UnsupportedModel
from edgepipe.pipeline.export.arena import Arena
from edgepipe.pipeline.export.micro_arrays import identifier, model_header, model_source, resolver_header
from edgepipe.pipeline.export.tflm_ops import TFLM_CUSTOM_OPS, TFLM_OPS

CONTENT = random.Random(4).randbytes(5003)
ARENA = Arena(recorded_bytes=24_000, smallest_bytes=24_272, tool_version="tflite-micro 1")
WARNINGS = ("-Wall", "-Wextra", "-Werror", "-pedantic")
C11, CPP11, CPP17 = ("gcc", "-x", "c", "-std=c11"), ("g++", "-x", "c++", "-std=c++11"), ("g++", "-x", "c++", "-std=c++17")

needs_compilers = pytest.mark.skipif(
    not (shutil.which("gcc") and shutil.which("g++")), reason="needs gcc and g++: apt-get install g++"
)

# Usable from C and C++: says the array's address modulo 16, its size, its hash and its bytes.
PROGRAM = """
#include <stdint.h>
#include <stdio.h>
#include "kws_model_data.h"
#include "kws_model_data.h"
int main(void) {
  unsigned int i;
  printf("%u %u %u %s ", (unsigned int)((uintptr_t)g_kws_model_data % 16u), g_kws_model_data_size,
         (unsigned int)KWS_ARENA_SIZE, g_kws_model_data_sha256);
  for (i = 0; i < g_kws_model_data_size; i++) printf("%02x", g_kws_model_data[i]);
  return 0;
}
"""


def compiled(folder: Path, compiler: tuple[str, ...], source: str) -> str:
    """Compile one file into an object and return its path."""
    target = folder / f"{source}.{len(list(folder.iterdir()))}.o"
    subprocess.run(
        [*compiler, *WARNINGS, "-c", str(folder / source), "-o", str(target)], check=True, capture_output=True, text=True
    )
    return str(target)


@needs_compilers
@pytest.mark.parametrize("array_in", [C11, CPP11, CPP17], ids=["C11", "C++11", "C++17"])
@pytest.mark.parametrize("program_in", [C11, CPP17], ids=["used from C11", "used from C++17"])
def test_the_array_compiles_links_and_holds_the_model(
    tmp_path: Path, array_in: tuple[str, ...], program_in: tuple[str, ...]
) -> None:
    (tmp_path / "kws_model_data.h").write_text(model_header("kws", CONTENT, ARENA))
    (tmp_path / "kws_model_data.cc").write_text(model_source("kws", CONTENT))
    (tmp_path / "main.c").write_text(PROGRAM)
    objects = [compiled(tmp_path, array_in, "kws_model_data.cc"), compiled(tmp_path, program_in, "main.c")]
    subprocess.run(["g++", *objects, "-o", str(tmp_path / "main")], check=True, capture_output=True)
    said = subprocess.run([str(tmp_path / "main")], check=True, capture_output=True, text=True).stdout.split()

    assert said == ["0", "5003", "24272", hashlib.sha256(CONTENT).hexdigest(), CONTENT.hex()]


@needs_compilers
def test_the_array_stays_out_of_ram(tmp_path: Path) -> None:
    (tmp_path / "kws_model_data.h").write_text(model_header("kws", CONTENT, None))
    (tmp_path / "kws_model_data.cc").write_text(model_source("kws", CONTENT))
    symbols = subprocess.run(
        ["nm", compiled(tmp_path, CPP17, "kws_model_data.cc")], check=True, capture_output=True, text=True
    ).stdout

    assert {line.split()[-1]: line.split()[-2] for line in symbols.splitlines()} == {
        "g_kws_model_data": "R",
        "g_kws_model_data_size": "R",
        "g_kws_model_data_sha256": "R",
    }


def stub_of_the_resolver(folder: Path) -> None:
    """Write a stand-in for TFLite Micro's header that counts what is registered."""
    methods = "\n".join(
        f"  TfLiteStatus {method}() {{ return ++count > kOps ? kTfLiteError : kTfLiteOk; }}"
        for method in (*TFLM_OPS.values(), *TFLM_CUSTOM_OPS.values())
    )
    path = folder / "tensorflow" / "lite" / "micro" / "micro_mutable_op_resolver.h"
    path.parent.mkdir(parents=True)
    path.write_text(
        "#pragma once\nenum TfLiteStatus { kTfLiteOk, kTfLiteError };\nnamespace tflite {\n"
        f"template <unsigned int kOps> struct MicroMutableOpResolver {{\n  unsigned int count = 0;\n{methods}\n}};\n}}\n"
    )


@needs_compilers
def test_the_resolver_registers_every_operator_once_and_its_size_is_exact(tmp_path: Path) -> None:
    ops = [*TFLM_OPS, *TFLM_CUSTOM_OPS]
    stub_of_the_resolver(tmp_path)
    (tmp_path / "all_op_resolver.h").write_text(resolver_header("all", [*ops, *ops]))
    (tmp_path / "main.cc").write_text(
        '#include "all_op_resolver.h"\nint main() { all_op_resolver_t r;\n'
        f"  return all_register_ops(r) == kTfLiteOk && r.count == {len(ops)} && k_all_op_count == {len(ops)} ? 0 : 1; }}\n"
    )
    command = ["g++", "-std=c++17", *WARNINGS, "-I", str(tmp_path), str(tmp_path / "main.cc"), "-o", str(tmp_path / "main")]
    subprocess.run(command, check=True, capture_output=True, text=True)

    assert subprocess.run([str(tmp_path / "main")], check=False).returncode == 0


def test_every_operator_that_tflm_lacks_is_named() -> None:
    with pytest.raises(UnsupportedModel) as caught:
        resolver_header("model", ["CONV_2D", "GELU", "FlexErf"])

    assert caught.value.problems == ("FlexErf", "GELU")


def test_the_same_model_gives_the_same_sources() -> None:
    assert model_source("kws", CONTENT) == model_source("kws", CONTENT)
    assert resolver_header("kws", ["SOFTMAX", "CONV_2D"]) == resolver_header("kws", ["CONV_2D", "SOFTMAX", "CONV_2D"])


def test_without_a_measured_arena_there_is_no_macro() -> None:
    assert "ARENA" not in model_header("kws", CONTENT, None)


@pytest.mark.parametrize(
    "name", ["kws.v2", "1st model", "class", "Ünï", "", "__", "a-b c/d", "int", "модель", 'x"; system("rm"); //', "main", "new"]
)
def test_any_file_name_becomes_an_identifier(name: str) -> None:
    label = identifier(name)

    assert re.fullmatch(r"[a-z][a-z0-9_]*", label)
    assert label not in ("class", "int", "new")
