"""Verification lists everything at once, each with place, reason and cure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgepipe.pipeline.inspect.flatbuffer import read_facts
from edgepipe.pipeline.inspect.verify import requirements, verify
from edgepipe.pipeline.targets import TARGETS

MCU, HOST = TARGETS["mcu"], TARGETS["host"]


def test_the_published_networks_fit_a_microcontroller(kws: Path, ad01: Path) -> None:
    for path in (kws, ad01):
        verification = verify(read_facts(path.read_bytes()), MCU)
        assert verification.problems == ()
        assert verification.fits
        assert any("stored 1" in str(warning) for warning in verification.warnings)


def test_a_float_model_fits_the_host_and_not_the_microcontroller(tiny: Any) -> None:
    facts = read_facts(tiny.dense(np.ones((4, 4), np.float32), "float32"))

    assert verify(facts, HOST).fits
    where = [problem.where for problem in verify(facts, MCU).problems]
    assert where == ['input "x"', 'output "model/answer/BiasAdd"', 'operator 0 FULLY_CONNECTED of layer "answer"']


def test_everything_is_said_at_once(tiny: Any) -> None:
    model = tiny()
    x = model.tensor("x", (1, 4), "float32", signature=(-1, 4))
    shape = model.tensor("shape", (2,), "int32")
    y, z, out = (model.tensor(name, (1, 4), "float32") for name in ("y", "z", "out"))
    model.op("SHAPE", [x], [shape])
    model.op("RESHAPE", [x, shape], [y])
    model.op("CUSTOM", [y], [z], custom="FlexErf")
    model.op("GELU", [z], [out])
    model.ports([x], [out])
    facts = read_facts(model.build())
    offered = replace(MCU.capabilities, flash_bytes=10, arena_bytes=1000)
    problems = [str(problem) for problem in verify(facts, MCU, capabilities=offered, arena_bytes=1016).problems]

    for expected in (
        "Flex",
        "operator 3 GELU",
        'input "x"',
        'output "out"',
        "computed at run time",
        "flash",
        "16 more than the 1,000",
    ):
        assert any(expected in problem for problem in problems), expected


def test_a_hybrid_operator_is_called_by_its_name(tiny: Any) -> None:
    model = tiny()
    x, y = model.tensor("x", (1, 4), "float32"), model.tensor("y", (1, 4), "float32")
    w = model.tensor("w", (4, 4), data=np.ones((4, 4), np.int8), scale=0.1)
    model.op("FULLY_CONNECTED", [x, w, -1], [y])
    model.ports([x], [y])

    assert any("hybrid" in problem.reason for problem in verify(read_facts(model.build()), MCU).problems)


def test_a_board_with_an_older_runtime_refuses_a_newer_operator(tiny: Any) -> None:
    model = tiny()
    x, y = (model.tensor(name, (1, 4), scale=0.1) for name in "xy")
    model.op("RELU", [x], [y], version=3)
    model.ports([x], [y])
    facts = read_facts(model.build())
    old = replace(HOST.capabilities, ops={"RELU": 2})

    assert [problem.reason for problem in verify(facts, HOST, capabilities=old).problems] == [
        "version 3; the runtime there knows up to 2"
    ]


def test_requirements_name_dtypes_and_newest_versions(kws: Path) -> None:
    needed = requirements(read_facts(kws.read_bytes()), 24_272)

    assert needed.dtypes == ("int32", "int8")
    assert needed.ops["CONV_2D"] == 3
    assert (needed.flash_bytes, needed.arena_bytes, needed.fixed_shapes) == (53_936, 24_272, True)
