"""Compiled models go to boards with an Edge TPU, others never use one; what cannot be is said before a byte is sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.synthetic import convolution, for_edge_tpu
from edgepipe.devices.inventory import DeviceEntry, LocalLink
from edgepipe.devices.protocols import RunOptions
from edgepipe.errors import UnsupportedModel, UsageError
from edgepipe.pipeline.inspect.flatbuffer import read_facts
from edgepipe.workflows.deploy import plan
from edgepipe.workflows.placing import AUTO, place

COMPILED, PLAIN = read_facts(for_edge_tpu()), read_facts(convolution(4, 2))
PI = DeviceEntry(name="pi4", board="linux", target="pi", transport=LocalLink())
CORAL = DeviceEntry(name="coral", board="linux", target="coral", transport=LocalLink())


def test_the_delegate_follows_from_the_file() -> None:
    assert place("m", COMPILED, [CORAL], RunOptions(delegate=AUTO)).delegate == "edgetpu"
    assert place("m", PLAIN, [PI, CORAL], RunOptions(delegate=AUTO)).delegate == "xnnpack"
    assert place("m", PLAIN, [CORAL], RunOptions(delegate="ref")).delegate == "ref"


def test_every_board_without_an_edge_tpu_is_named() -> None:
    other = DeviceEntry(name="pc", board="linux", target="host", transport=LocalLink())
    with pytest.raises(UnsupportedModel) as caught:
        place("m_edgetpu.tflite", COMPILED, [PI, CORAL, other], RunOptions(delegate=AUTO))
    assert caught.value.problems == ('pi4 is for "pi"', 'pc is for "host"')
    assert "target: coral" in caught.value.todo


@pytest.mark.parametrize("options", [RunOptions(), RunOptions(delegate="none"), RunOptions(runtime="tflm", delegate=AUTO)])
def test_a_compiled_model_takes_no_other_delegate(options: RunOptions) -> None:
    with pytest.raises(UsageError, match="--delegate edgetpu"):
        place("m", COMPILED, [CORAL], options)


def test_a_model_that_is_not_compiled_has_nothing_to_do_there() -> None:
    with pytest.raises(UsageError, match="nothing of it would run there"):
        place("m", PLAIN, [CORAL], RunOptions(delegate="edgetpu"))


def test_it_is_not_deployed_to_such_a_board_either(tmp_path: Path) -> None:
    model = tmp_path / "m_edgetpu.tflite"
    model.write_bytes(for_edge_tpu())
    with pytest.raises(UnsupportedModel, match="nothing was sent"):
        plan(str(model), device="local")
