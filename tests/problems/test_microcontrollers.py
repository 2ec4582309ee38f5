"""What goes wrong on the way onto a chip: the usual way has it, ours has not. Each test is a page of docs/problems."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commandline import Command, Demo
from problems.conftest import Naive

from edgepipe.errors import ModelRejected
from edgepipe.pipeline.export.arena import find_arena, has_tflm
from edgepipe.pipeline.inspect.flatbuffer import read_model

pytestmark = pytest.mark.skipif(not has_tflm(), reason="needs the tflite-micro wheel: pip install 'edgepipe[micro]'")


def test_didnt_find_op_on_the_microcontroller(naive: Naive, ours: Path, edgepipe: Command) -> None:
    assert naive.facts("missing_op.tflite").float_tensors == (), "int8 throughout, and yet"
    with pytest.raises(ModelRejected, match="refused by TFLite Micro"):
        find_arena(naive / "missing_op.tflite")
    told = edgepipe("verify", naive / "missing_op.tflite", "--target", "mcu")
    assert told.code == 1 and 'GELU of layer "bend"' in told.err
    exported = edgepipe("export", ours, "--to", "firmware")
    assert exported.code == 0, exported.err
    resolver = (edgepipe.folder / "firmware" / "ours_op_resolver.h").read_text()
    assert len(set(re.findall(r"\.Add\w+\(", resolver))) == len({op.op for op in read_model(ours)[1].ops})


def test_arena_by_trial_and_error(ours: Path) -> None:
    """A guess is too small or wasteful: what was bisected runs, and 16 bytes less do not."""
    smallest = find_arena(ours).smallest_bytes
    assert invokes(ours, smallest) and not invokes(ours, smallest - 16)
    assert 10 * ours.stat().st_size > 2 * smallest, "the wheel's own default, ten times the file, wastes more than half"
    assert not invokes(ours, sum(np.prod(port.shape) for port in read_model(ours)[1].inputs)), "inputs alone are no measure"


def test_different_answers_on_pc_and_device(demo: Demo, edgepipe: Command) -> None:
    """The PC's fast kernels are no prophets; TFLite Micro's are, and it is they that judge a file for `mcu`."""
    done = edgepipe("parity", demo.tflite(0, -1), "--data", "digits", "--json", "--runtime", "litert-xnnpack", "--runtime", "tflm")
    assert done.code == 0, done.err
    (pair,) = done.json["pairs"]
    assert pair["distance"]["exact"] < pair["distance"]["samples"], "the usual way reports the one for the other"
    assert pair["first"]["place"]["layer"], "and ours names the layer where they part"
    assert demo.document["compressions"][0]["rows"][-1]["accuracy_engine"] == "tflm"


def test_compiled_edge_tpu_models_with_nothing_on_the_tpu(naive: Naive, ours: Path, edgepipe: Command) -> None:
    """Google's compiler calls it a success when all is left to the CPU; a script in its place prints what it prints."""
    left_out = naive / "full_integer.tflite"
    compiler = edgepipe.folder / "bin" / "edgetpu_compiler"
    compiler.parent.mkdir()
    compiler.write_text(f'#!/bin/sh\necho "Model compiled successfully in 1 ms."\ncp {left_out} "$5/model_edgetpu.tflite"\n')
    compiler.chmod(0o755)
    path = f"{compiler.parent}:{os.environ['PATH']}"
    usual = subprocess.run([compiler, "-s", "-d", "-t", "9", edgepipe.folder], capture_output=True, text=True, check=False)
    assert "successfully" in usual.stdout
    assert edgepipe("edgetpu", ours, "--min-mapped", "90").code == 0, "the network itself could go there"
    told = edgepipe("edgetpu", ours, "--compile", "--to", "build", "--min-mapped", "90", PATH=path)
    assert told.code == 1 and "90 %" in told.err, "nothing is believed that the compiled file does not show"
    assert edgepipe("edgetpu", naive / "hybrid.tflite", "--min-mapped", "90").code == 1, "and for this one no compiler is needed"


def test_flash_overflow_only_at_link_time(ours: Path, edgepipe: Command) -> None:
    """The compiler takes an array of any size; only the linker of the firmware counts. `verify` counts first."""
    exported = edgepipe("export", ours, "--to", "firmware")
    assert exported.code == 0, exported.err
    firmware = edgepipe.folder / "firmware"
    (firmware / "board.ld").write_text(
        "MEMORY { FLASH (rx) : ORIGIN = 0, LENGTH = 4K }\nSECTIONS { .text : { *(.rodata*) *(.text*) } > FLASH }\n"
    )
    build: dict[str, Any] = {"cwd": firmware, "capture_output": True, "text": True, "check": False}
    compiled = subprocess.run(["c++", "-c", "-o", "model.o", "ours_model_data.cc"], **build)
    assert compiled.returncode == 0, "nothing is said here"
    linked = subprocess.run(["ld", "-T", "board.ld", "-o", "app", "model.o"], **build)
    assert linked.returncode != 0 and "FLASH" in linked.stderr
    told = edgepipe("verify", ours, "--target", "mcu", "--flash-bytes", "4096")
    assert told.code == 1 and "flash" in told.err


def invokes(model: Path, arena_bytes: int) -> bool:
    """Whether TFLite Micro runs the model in this arena, in a process of its own since a small one can crash it."""
    program = (
        "import sys, numpy as np; from tflite_micro.python.tflite_micro import runtime\n"
        "run = runtime.Interpreter.from_file(sys.argv[1], arena_size=int(sys.argv[2]))\n"
        "run.set_input(np.zeros(run.get_input_details(0)['shape'], np.int8), 0); run.invoke()"
    )
    done = subprocess.run([sys.executable, "-c", program, str(model), str(arena_bytes)], capture_output=True, check=False)
    return done.returncode == 0
