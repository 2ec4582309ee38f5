"""`edgepipe edgetpu` as a user runs it: a real network, one that stops half way, a script in the compiler's place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ai_edge_litert import schema_py_generated as schema
from repacked import repacked


@pytest.fixture
def half(kws: Path, tmp_path: Path) -> Path:
    """The same network with its fifth operator turned into one that the Edge TPU does not have."""

    def turn(model: schema.ModelT) -> None:
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.LEAKY_RELU
        code.version = 2
        model.operatorCodes.append(code)
        op = model.subgraphs[0].operators[4]
        op.opcodeIndex, op.builtinOptions, op.builtinOptionsType = len(model.operatorCodes) - 1, None, 0

    path = tmp_path / "half.tflite"
    path.write_bytes(repacked(kws.read_bytes(), turn))
    return path


def test_a_network_that_goes_there_whole_passes_its_gate(edgepipe: Any, kws: Path) -> None:
    done = edgepipe("edgetpu", kws, "--min-mapped", "100", "--json")
    assert done.code == 0, done.err
    assert (done.json["mapped_percent"], done.json["fits"], done.json["compiled"]) == (100.0, True, None)
    assert {op["on_tpu"] for op in done.json["foretold"]["ops"]} == {True}


def test_one_that_stops_half_way_says_where_and_why_and_misses_its_gate(edgepipe: Any, half: Path) -> None:
    done = edgepipe("edgetpu", half, "--min-mapped", "90")
    assert done.code == 1
    assert "4 of 13 operators" in done.out
    assert "operator 4 LEAKY_RELU" in done.out
    assert "PReLU" in done.out
    assert "fewer than the 90 %" in done.err

    plain = edgepipe("edgetpu", half, "--min-mapped", "90", "--json")
    assert plain.code == 1
    assert 0 < plain.json["mapped_percent"] < 90
    assert sum(op["follows"] for op in plain.json["foretold"]["ops"]) == 8


def test_verify_warns_of_what_stays_on_the_cpu_and_lets_it_pass(edgepipe: Any, half: Path) -> None:
    done = edgepipe("verify", half, "--target", "coral")
    assert done.code == 0, done.err
    assert "runs on the CPU" in done.out
    assert "8 operators with" in done.out


def test_without_the_compiler_the_way_to_it_is_told(edgepipe: Any, kws: Path, tmp_path: Path) -> None:
    done = edgepipe("edgetpu", kws, "--compile", "--to", tmp_path, PATH=str(tmp_path))
    assert done.code == 2
    assert "apt-get install edgetpu-compiler" in done.err


def test_a_compiled_file_is_written_and_its_shares_are_those_of_the_file(edgepipe: Any, half: Path, tmp_path: Path) -> None:
    """The stand-in leaves everything outside, whatever it says: nothing is believed that the file does not show."""
    program = tmp_path / "bin" / "edgetpu_compiler"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "Edge TPU Compiler version 16.0.384591198"\ncp {half} "$5/model_edgetpu.tflite"\n')
    program.chmod(0o755)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    done = edgepipe("edgetpu", half, "--compile", "--to", tmp_path / "out", "--min-mapped", "1", "--json", PATH=path)

    assert done.code == 1, done.err
    assert done.json["mapped_percent"] == 0
    assert (tmp_path / "out" / "half_edgetpu.tflite").read_bytes() == half.read_bytes()
    assert done.json["compiled"]["report"]["on_chip_used_bytes"] is None


def test_there_is_nothing_to_write_without_compiling(edgepipe: Any, kws: Path, tmp_path: Path) -> None:
    done = edgepipe("edgetpu", kws, "--to", tmp_path)
    assert done.code == 2
    assert "--compile" in done.err


def test_a_recipe_for_a_coral_board_has_a_gate_on_what_stays_on_the_cpu(edgepipe: Any, zoo: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "coral.yaml"
    text = f"""
schema: 1
model: {{path: {zoo / "keras2.keras"}}}
data: {{train: {zoo / "digits_like.npz"}}}
target: coral
stages: [quantize: {{mode: int8}}]
gates: {{cpu_mac_percent: 10}}
"""
    recipe.write_text(text)
    done = edgepipe("compress", recipe, "--json")
    assert done.code == 0, done.err
    gates = {gate["gate"]: (gate["measured"], gate["verdict"]) for gate in done.json["gates"]}
    assert gates == {"target_problems": (0, "pass"), "cpu_mac_percent": (0.0, "pass")}
