"""quantize_input() and dequantize_output(): C, Python and NumPy give the same bits for every number there is a doubt about."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgepipe.facts import INTEGER_RANGES, TensorPort
from edgepipe.pipeline.export.bundle import quantize
from edgepipe.pipeline.scoring import encode

WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wconversion", "-pedantic", "-O2")
# What C leaves undefined (NaN to an integer) happens to come out right on a PC and not on a board: it ends the program here.
CHECKED = ("-fsanitize=undefined,float-cast-overflow", "-fno-sanitize-recover=all")
COMPILERS = {"C11": ("gcc", "-x", "c", "-std=c11"), "C++11": ("g++", "-x", "c++", "-std=c++11")}
needs_compilers = pytest.mark.skipif(
    not (shutil.which("gcc") and shutil.which("g++")), reason="needs gcc and g++: apt-get install g++"
)

PROGRAM = """
#include <stdio.h>
#include "kws_quantize.h"
#include "kws_quantize.h"
int main(void) {
  float real;
  CODE code;
  while (fread(&real, sizeof real, 1, stdin) == 1) {
    code = kws_quantize_input_value(real);
    fwrite(&code, sizeof code, 1, stdout);
    real = kws_dequantize_output_value(code);
    fwrite(&real, sizeof real, 1, stdout);
  }
  return 0;
}
"""
IN_PYTHON = """
import json, runpy, struct, sys
module = runpy.run_path(sys.argv[1])
values = [each[0] for each in struct.iter_unpack("<f", sys.stdin.buffer.read())]
codes = module["quantize_input"](values)
print(json.dumps([codes, [struct.unpack("<I", struct.pack("<f", real))[0] for real in module["dequantize_output"](codes)]]))
"""
PORTS = [
    ("int8", 0.5847029089927673, 83),
    ("int8", 0.00390625, -128),
    ("int8", 1e-30, 0),
    ("int8", 3e30, 127),
    ("uint8", 1 / 255, 0),
    ("uint8", 0.1, 200),
    ("int16", 3.0517578125e-05, 0),
    ("int16", 0.7, -32768),
]


def port(dtype: str, scale: float | None, zero_point: int | None, name: str = "x") -> TensorPort:
    real = None if scale is None else float(np.float32(scale))
    return TensorPort(name=name, shape=(1, 3), dtype=dtype, scale=real, zero_point=zero_point)


def doubtful(given: TensorPort) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Every code's value, all halves between codes and their neighbours, what saturates, NaN, and 20,000 random floats."""
    assert given.scale is not None
    assert given.zero_point is not None
    low, high = INTEGER_RANGES[given.dtype]
    steps = np.arange(low, high + 1, 1 if given.dtype != "int16" else 37, np.float64) - given.zero_point
    edges = np.concatenate([steps, steps + 0.5, steps - 0.5]).astype(np.float64) * given.scale
    with np.errstate(over="ignore", invalid="ignore"):
        values = edges.astype(np.float32)
        near = [values, np.nextafter(values, np.float32(np.inf)), np.nextafter(values, np.float32(-np.inf))]
    odd = np.array([0, -0.0, np.inf, -np.inf, np.nan, -np.nan, 3.4e38, -3.4e38, 1e-45, -1e-45, 1.1754944e-38], np.float32)
    bits = np.random.default_rng(5).integers(0, 1 << 32, 20_000, np.uint32).view(np.float32)
    return np.concatenate([*near, odd, bits])


def in_numpy(values: np.ndarray[Any, Any], given: TensorPort) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The codes as the rest of edgepipe computes them, NaN apart; and their real values in 32-bit floats."""
    with np.errstate(all="ignore"):
        codes = encode(np.where(np.isnan(values), np.float32(0), values), given)
        codes = np.where(np.isnan(values), np.array(given.zero_point, codes.dtype), codes)
        real = np.float32(given.scale) * (codes.astype(np.int32) - np.int32(given.zero_point or 0)).astype(np.float32)
    return codes, real


@needs_compilers
@pytest.mark.parametrize("language", COMPILERS)
@pytest.mark.parametrize(("dtype", "scale", "zero_point"), PORTS)
def test_c_gives_the_bits_of_numpy(dtype: str, scale: float, zero_point: int, language: str, tmp_path: Path) -> None:
    given = port(dtype, scale, zero_point)
    (tmp_path / "kws_quantize.h").write_text(quantize.quantize_header("kws", [given], [given]))
    (tmp_path / "main.c").write_text(PROGRAM.replace("CODE", f"{dtype}_t"))
    subprocess.run([*COMPILERS[language], *WARNINGS, *CHECKED, "main.c", "-o", "main"], cwd=tmp_path, check=True)
    values = doubtful(given)
    said = subprocess.run([tmp_path / "main"], input=values.tobytes(), capture_output=True, check=True).stdout

    rows = np.frombuffer(said, np.dtype([("code", dtype), ("real", "<f4")]))
    codes, real = in_numpy(values, given)
    np.testing.assert_array_equal(rows["code"], codes)
    np.testing.assert_array_equal(rows["real"].copy().view(np.uint32), real.view(np.uint32))


@pytest.mark.parametrize(("dtype", "scale", "zero_point"), PORTS)
def test_python_gives_the_bits_of_numpy_and_needs_nothing_installed(
    dtype: str, scale: float, zero_point: int, tmp_path: Path
) -> None:
    given = port(dtype, scale, zero_point)
    (tmp_path / "kws_quantize.py").write_text(quantize.quantize_module("kws", [given], [given]))
    values = doubtful(given)
    command = [sys.executable, "-I", "-S", "-c", IN_PYTHON, str(tmp_path / "kws_quantize.py")]
    said = subprocess.run(command, input=values.tobytes(), capture_output=True, check=True).stdout

    codes, real = in_numpy(values, given)
    assert json.loads(said) == [codes.tolist(), real.view(np.uint32).tolist()]


@needs_compilers
def test_ports_without_a_scale_are_copied_and_several_are_numbered(tmp_path: Path) -> None:
    inputs = [port("float32", None, None), port("int32", None, None)]
    header = quantize.quantize_header("kws", inputs, [port("float32", None, None)])
    (tmp_path / "kws_quantize.h").write_text(header)
    (tmp_path / "main.c").write_text(
        '#include <stdio.h>\n#include "kws_quantize.h"\n'
        "int main(void) { const float a[3] = {1.5f, 2.0f, 3.0f}; float b[3]; const int32_t c[3] = {4, 5, 6}; int32_t d[3];\n"
        "kws_quantize_input_0(a, b); kws_quantize_input_1(c, d); kws_dequantize_output(b, b);\n"
        'printf("%g %g %d", (double)b[0], (double)b[2], (int)d[1]); return 0; }\n'
    )
    subprocess.run([*COMPILERS["C11"], *WARNINGS, "main.c", "-o", "main"], cwd=tmp_path, check=True)

    assert subprocess.run([tmp_path / "main"], capture_output=True, check=True).stdout == b"1.5 3 5"


@needs_compilers
def test_a_name_cannot_leave_its_comment_or_its_string(tmp_path: Path) -> None:
    evil = port("int8", 0.1, 0, name='*/ int evil; /* \\\n"""\n__import__("os").abort() #??/')
    header = quantize.quantize_header("kws", [evil], [evil])
    module = quantize.quantize_module("kws", [evil], [evil])
    (tmp_path / "kws_quantize.h").write_text(header)
    (tmp_path / "main.c").write_text(PROGRAM.replace("CODE", "int8_t"))
    subprocess.run([*COMPILERS["C11"], *WARNINGS, "main.c", "-o", "main"], cwd=tmp_path, check=True)
    (tmp_path / "kws_quantize.py").write_text(module)
    done = subprocess.run(
        [sys.executable, "-c", IN_PYTHON, str(tmp_path / "kws_quantize.py")], input=b"\0\0\0\0", capture_output=True, check=True
    )

    assert json.loads(done.stdout) == [[0], [0]]
    assert header.count("*/") == header.count("/*")


@pytest.mark.parametrize(("dtype", "scale", "zero_point"), PORTS)
def test_what_is_written_is_read_back_without_running_it(dtype: str, scale: float, zero_point: int) -> None:
    ports = [port(dtype, scale, zero_point), port("float32", None, None)]
    wanted = quantize.expected(ports, ports[:1])

    assert quantize.read_header(quantize.quantize_header("kws", ports, ports[:1])) == wanted
    assert quantize.read_module(quantize.quantize_module("kws", ports, ports[:1])) == wanted
    with pytest.raises(ValueError, match="no generated module"):
        quantize.read_module("INPUTS: tuple[Port, ...] = exit()\n")
