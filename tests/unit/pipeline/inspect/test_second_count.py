"""Totals of two real networks against a second count, made by LiteRT's interpreter and by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.second_count import Count, first, second
from edgepipe.pipeline.inspect.flatbuffer import inspect_model


@pytest.fixture(params=["kws", "ad01"])
def path(request: pytest.FixtureRequest) -> Path:
    return Path(request.getfixturevalue(request.param))


def test_operators_and_multiply_accumulates(path: Path) -> None:
    count, facts = Count(path), inspect_model(path).facts

    assert [op.op for op in facts.ops] == [op["op_name"] for op in count.ops]
    assert [op.macs for op in facts.ops] == list(count.macs())
    assert facts.macs == sum(count.macs()) > 0


def test_the_totals_that_are_kept(path: Path) -> None:
    assert first(path) == second(path)


def test_bytes_of_every_constant_and_of_all(path: Path) -> None:
    count, found = Count(path), inspect_model(path)
    used = {tensor.index: tensor.size_bytes for tensor in found.tensors if tensor.sha256 and tensor.role != "unused"}

    assert used == count.constant_bytes()
    assert sum(tensor.size_bytes or 0 for tensor in found.tensors if tensor.role == "weight") == sum(
        weight.size_bytes for weight in found.facts.weights
    )
    assert found.facts.size_bytes == path.stat().st_size > found.stored_bytes


def test_dtypes_shapes_and_quantisation_of_every_tensor(path: Path) -> None:
    count, found = Count(path), inspect_model(path)

    for tensor in found.tensors:
        details = count.tensors[tensor.index]
        parameters = details["quantization_parameters"]
        scales, zeros = parameters["scales"], parameters["zero_points"]
        assert tensor.dtype == np.dtype(details["dtype"]).name
        assert [abs(size) for size in tensor.shape] == count.shape(tensor.index)
        assert (tensor.quantisation.channels if tensor.quantisation else 0) == len(scales)
        if tensor.quantisation:
            assert (tensor.quantisation.scale_min, tensor.quantisation.scale_max) == (min(scales), max(scales))
            assert (tensor.quantisation.zero_point_min, tensor.quantisation.zero_point_max) == (min(zeros), max(zeros))


def test_zeros_and_values_of_every_weight(path: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    for tensor in inspect_model(path).tensors:
        if tensor.role == "weight":
            values = interpreter.get_tensor(tensor.index)
            assert tensor.nonzero == int(np.sum(values != 0))
            assert (tensor.clusters or 0) <= np.unique(values).size
