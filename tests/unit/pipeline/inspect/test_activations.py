"""The least memory that activations need, on graphs small enough to be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from edgepipe.errors import ModelFileError
from edgepipe.pipeline.inspect.activations import most_live_bytes
from tests.firmware.graph import Graph


def added(graph: Graph, a: int, b: int) -> int:
    total = graph.tensor(graph.shape(a))
    graph.step("ADD", [a, b], [total], of="AddOptions", fusedActivationFunction=0)
    return total


def test_a_tensor_counts_from_where_it_is_written_to_where_it_is_read_last() -> None:
    graph = Graph(np.random.default_rng(0))
    first = graph.input((1, 100))
    second = added(graph, first, first)
    third = added(graph, second, second)  # the input is no longer needed here
    assert most_live_bytes(graph.finish([third])) == 200
    assert most_live_bytes(graph.finish([added(graph, third, first)])) == 300  # now it is, to the end


def test_constants_take_no_arena_and_a_new_shape_no_second_copy() -> None:
    graph = Graph(np.random.default_rng(0))
    first = graph.input((1, 10))
    constant = graph.constant(np.zeros((1, 10), np.int8), scales=[0.1])
    total = added(graph, first, constant)
    reshaped = graph.like(total, (10, 1))
    graph.step("RESHAPE", [total, graph.numbers([10, 1])], [reshaped])
    assert most_live_bytes(graph.finish([added(graph, reshaped, reshaped)])) == 20


def test_a_damaged_file_is_told_as_such() -> None:
    with pytest.raises(ModelFileError):
        most_live_bytes(b"\0\0\0\0TFL3")
