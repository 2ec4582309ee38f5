"""What of a compiled file runs on the Edge TPU is told where it can be known, and never guessed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.synthetic import convolution, for_edge_tpu
from edgepipe.pipeline.export.edgetpu_log import COMPILED_OP
from edgepipe.pipeline.inspect.edgetpu_share import compiled_from, mac_share
from edgepipe.pipeline.inspect.flatbuffer import read_model


def share_of(path: Path) -> float | None:
    return mac_share(path, read_model(path)[1])


@pytest.fixture
def compiled(tmp_path: Path) -> Path:
    path = tmp_path / "model_edgetpu.tflite"
    path.write_bytes(for_edge_tpu())
    return path


def test_the_file_beside_it_tells_the_share(compiled: Path) -> None:
    original = compiled.with_name("model.tflite")
    original.write_bytes(for_edge_tpu(compiled=False))
    assert share_of(compiled) == 0.5
    found = compiled_from(compiled, read_model(compiled)[1])
    assert found is not None
    assert found[0] == original.read_bytes()


def test_without_that_file_it_is_not_known(compiled: Path) -> None:
    assert share_of(compiled) is None


@pytest.mark.parametrize("content", [for_edge_tpu(side=5, compiled=False), convolution(4, 2), for_edge_tpu(), b"no model"])
def test_another_model_of_that_name_tells_nothing(compiled: Path, content: bytes) -> None:
    compiled.with_name("model.tflite").write_bytes(content)
    assert share_of(compiled) is None


def test_another_name_finds_nothing(compiled: Path) -> None:
    compiled.with_name("model.tflite").write_bytes(for_edge_tpu(compiled=False))
    assert share_of(compiled.rename(compiled.with_name("renamed.tflite"))) is None


def test_a_file_that_leaves_nothing_to_multiply_is_there_whole(tiny: Any, tmp_path: Path) -> None:
    model = tiny()
    x, y, z = (model.tensor(name, (1, 4), scale=0.1) for name in "xyz")
    model.op("CUSTOM", [x], [y], custom=COMPILED_OP)
    model.op("LEAKY_RELU", [y], [z])
    model.ports([x], [z])
    path = tmp_path / "any-name.tflite"
    path.write_bytes(model.build())
    assert share_of(path) == 1.0


def test_a_file_that_is_not_compiled_has_no_share(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(convolution(4, 2))
    assert share_of(path) is None
