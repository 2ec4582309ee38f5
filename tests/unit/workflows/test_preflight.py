"""A model is held against the very board before a byte of it is sent."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgepipe.devices.engine_plan import plan_of
from edgepipe.devices.inventory import DeviceEntry, LocalLink, QemuLink
from edgepipe.errors import ModelRejected
from edgepipe.pipeline.inspect.flatbuffer import read_model
from edgepipe.records import Capabilities
from edgepipe.workflows.preflight import BUILT_IN_ENGINE, check_fit, fits
from tests.firmware.graph import FLOAT32, INT32, Graph

needs_gcc = pytest.mark.skipif(
    shutil.which("gcc") is None, reason="the engine is asked in a build for this machine: apt-get install gcc"
)
BOARD = DeviceEntry(name="m4", board="mcu", target="mcu", transport=QemuLink(machine="mps2-an386"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Two layers of which the widest moment holds 3,000 bytes."""
    graph = Graph(np.random.default_rng(0))
    source, wide = graph.input((1, 1000)), graph.tensor((1, 1000))
    graph.step("ADD", [source, source], [wide], version=2, of="AddOptions", fusedActivationFunction=0)
    total = graph.like(wide, (1, 1000))
    graph.step("MUL", [wide, source], [total], version=2, of="MulOptions", fusedActivationFunction=0)
    path = tmp_path / "model.tflite"
    path.write_bytes(graph.finish([total]))
    return path


def problems(model: Path, offered: Capabilities, *, in_flash: bool = False, entry: DeviceEntry = BOARD) -> Sequence[str]:
    _, facts = read_model(model)
    try:
        if in_flash:
            check_fit(model.name, model.read_bytes(), facts, entry, offered)
        else:
            fits(model, facts, entry)(offered)
    except ModelRejected as exc:
        assert exc.what == f"model.tflite does not fit {entry.name}, and nothing was sent"
        return exc.problems
    return ()


OPS = {"ADD": 3, "MUL": 3}


def test_a_board_with_room_and_operators_takes_it(model: Path) -> None:
    assert problems(model, Capabilities(ops=OPS, model_bytes=10_000, arena_bytes=3000, open_shapes=False)) == ()


def test_everything_that_is_missing_is_told_at_once_with_layer_and_bytes(model: Path) -> None:
    size = model.stat().st_size
    found = problems(model, Capabilities(ops={"ADD": 1}, model_bytes=size - 7, arena_bytes=2990, open_shapes=False))
    assert len(found) == 4
    assert found[0].startswith('operator 0 ADD of layer "t1": version 2; the runtime there knows up to 1')
    assert found[1].startswith('operator 1 MUL of layer "t2": the runtime there does not have it')
    assert f"RAM for the file: {size:,} bytes, 7 more than the {size - 7:,} allowed" in found[2]
    assert "arena: 3,000 bytes, 10 more than the 2,990 allowed" in found[3]


@needs_gcc
def test_a_board_with_the_built_in_engine_needs_what_that_says_to_the_byte(model: Path) -> None:
    plan = plan_of(model.read_bytes()).plan
    assert plan is not None and plan.arena_bytes > 3000
    offered = Capabilities(ops=OPS, arena_bytes=plan.arena_bytes, open_shapes=False, engine=BUILT_IN_ENGINE)
    assert problems(model, offered) == ()
    found = problems(model, replace(offered, arena_bytes=plan.arena_bytes - 1))
    assert len(found) == 1 and ", 1 more than the" in found[0]


@needs_gcc
def test_an_operator_that_the_engine_has_and_does_not_know_in_this_way_is_told_with_its_layer(tmp_path: Path) -> None:
    graph = Graph(np.random.default_rng(0))
    source, total = graph.input((1, 4)), graph.tensor((1, 4), scales=[0.1])
    wide = graph.tensor((1, 4), dtype=INT32)
    graph.step("ADD", [source, wide], [total], version=1, of="AddOptions", fusedActivationFunction=0)
    path = tmp_path / "model.tflite"
    path.write_bytes(graph.finish([total]))
    found = problems(path, Capabilities(ops=OPS, arena_bytes=100_000, open_shapes=False, engine=BUILT_IN_ENGINE))
    assert len(found) == 1 and found[0].startswith('operator 0 ADD of layer "t1": ')


@needs_gcc
def test_every_operator_of_a_float_model_is_told_and_not_only_the_first(tmp_path: Path) -> None:
    graph = Graph(np.random.default_rng(0))
    source, wide, total = (graph.tensor((1, 4), dtype=FLOAT32) for _ in range(3))
    graph.inputs.append(source)
    graph.step("ADD", [source, source], [wide], version=1, of="AddOptions", fusedActivationFunction=0)
    graph.step("MUL", [wide, source], [total], version=1, of="MulOptions", fusedActivationFunction=0)
    path = tmp_path / "model.tflite"
    path.write_bytes(graph.finish([total]))
    found = problems(path, Capabilities(ops=OPS, arena_bytes=100_000, open_shapes=False, engine=BUILT_IN_ENGINE))
    places = [line.split(":")[0].split(" of ")[0] for line in found]
    assert places == ['input "t0"', 'output "t2"', "operator 0 ADD", "operator 1 MUL"]


def test_a_slot_of_flash_counts_only_for_what_goes_there(model: Path) -> None:
    small = Capabilities(ops=OPS, flash_bytes=100, model_bytes=10_000, arena_bytes=3000, open_shapes=False)
    assert problems(model, small) == ()
    assert "flash:" in problems(model, small, in_flash=True)[0]


def test_a_board_with_an_operating_system_is_not_asked(model: Path) -> None:
    entry = DeviceEntry(name="pi4", board="linux", target="pi", transport=LocalLink())
    assert problems(model, Capabilities(ops={}), entry=entry) == ()
