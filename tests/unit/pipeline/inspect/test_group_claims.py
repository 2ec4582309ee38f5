"""Blocks and 2:4 are read off the written weights, group by group."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgepipe.errors import ModelFileError
from edgepipe.facts import Claim, ClaimKind, GroupFacts, ModelFacts, Proof
from edgepipe.pipeline.inspect.claims import groups_of, prove
from edgepipe.pipeline.inspect.counting import count_groups
from edgepipe.pipeline.inspect.flatbuffer import read_facts
from edgepipe.pipeline.inspect.graph import read_graph


def pattern(*layers: str) -> Claim:
    return Claim(kind=ClaimKind.PATTERN, stage="prune", wanted="2:4", layers=layers)


def blocks(wanted: float, inputs: int, outputs: int) -> Claim:
    return Claim(kind=ClaimKind.BLOCKS, stage="prune", wanted=wanted, layers=("answer",), shape=(inputs, outputs))


def proved(tiny: Any, weights: Any, claim: Claim) -> Proof:
    """The proof of a claim on a dense layer "answer" with these weights, [out, in]."""
    facts = read_facts(tiny.dense(np.asarray(weights, np.int8), scale=0.1), layers=("answer",), groups=groups_of([claim]))
    (proof,) = prove([claim], facts, stage="prune")
    return proof


def test_two_of_four_along_the_inputs_hold_and_three_do_not(tiny: Any) -> None:
    good = [[0, 5, 0, 5, 5, 5, 0, 0], [0, 0, 0, 0, 5, 0, 0, 5]]
    assert (proved(tiny, good, pattern("answer")).holds, proved(tiny, good, pattern("answer")).measured) == (True, "2:4")
    bad = [[0, 5, 5, 5, 0, 0, 0, 0], [0, 0, 0, 0, 5, 0, 0, 5]]
    assert (proved(tiny, bad, pattern("answer")).holds, proved(tiny, bad, pattern("answer")).failing) == (
        False,
        ("answer: 3 of 4",),
    )


def test_the_pattern_does_not_hold_across_the_outputs(tiny: Any) -> None:
    """Half of all weights are zero, and two of any four down a column: that is not what runs fast."""
    across = np.array([[5] * 4, [0] * 4, [5] * 4, [0] * 4])
    assert not proved(tiny, across, pattern("answer")).holds


def test_groups_begin_anew_in_each_row(tiny: Any) -> None:
    """Rows of six: a group of four, then one of two, never one that reaches into the next row."""
    rows = [[0, 0, 5, 5, 5, 5], [5, 5, 0, 0, 5, 5]]
    assert proved(tiny, rows, pattern("answer")).holds


@pytest.mark.parametrize(("wanted", "holds"), [(0.5, True), (0.75, True), (0.9, False)])
def test_the_share_of_zero_blocks_is_proved(tiny: Any, wanted: float, holds: bool) -> None:
    weights = np.zeros((4, 16), np.int8)
    weights[:2, :4] = 7  # one block of 4 inputs and 2 outputs
    weights[2, 9] = 7  # and a single weight in another
    proof = proved(tiny, weights, blocks(wanted, 4, 2))
    assert (proof.holds, proof.measured) == (holds, 0.75)


def test_as_many_zeros_that_lie_apart_are_no_blocks(tiny: Any) -> None:
    weights = np.tile(np.array([0, 0, 0, 5], np.int8), (8, 8))
    assert proved(tiny, weights, blocks(0.75, 1, 1 + 1)).measured == 0.75  # of two outputs and one input: whole columns
    assert proved(tiny, weights, blocks(0.75, 4, 1)).measured == 0.0


def test_a_layer_that_is_gone_fails(tiny: Any) -> None:
    assert proved(tiny, np.eye(4), pattern("answer", "gone")).failing == ("gone: not found in the file",)


def test_a_file_read_without_counting_groups_is_our_own_mistake(tiny: Any) -> None:
    facts: ModelFacts = read_facts(tiny.dense(np.eye(4, dtype=np.int8), scale=0.1), layers=("answer",))
    with pytest.raises(ValueError, match="without counting"):
        prove([pattern("answer")], facts)


def test_minus_zero_is_zero(tiny: Any) -> None:
    weights = np.array([[-0.0, 0.0, 1.0, 2.0]], np.float32)
    graph = read_graph(tiny.dense(weights, "float32"))[0]
    assert count_groups(graph.tensors[1], 0, (1, 4)).most_nonzero == 2


def test_a_tensor_that_is_stored_sparse_is_refused(tiny: Any) -> None:
    tensor = read_graph(tiny.dense(np.eye(4, dtype=np.int8), scale=0.1))[0].tensors[1]
    with pytest.raises(ModelFileError, match="stored sparse"):
        count_groups(replace(tensor, sparse=True), 0, (1, 4))


def test_counts_equal_those_of_a_loop(tiny: Any) -> None:
    random = np.random.default_rng(11)
    for _ in range(40):
        (rows, columns), (high, wide) = random.integers(1, 10, 2).tolist(), random.integers(1, 6, 2).tolist()
        weights = random.integers(-1, 2, (rows, columns)).astype(np.int8)
        groups = [
            int(np.count_nonzero(weights[top : top + high, left : left + wide]))
            for top in range(0, rows, high)
            for left in range(0, columns, wide)
        ]
        expected = GroupFacts(shape=(high, wide), groups=len(groups), zero=groups.count(0), most_nonzero=max(groups))
        assert count_groups(read_graph(tiny.dense(weights, scale=0.1))[0].tensors[1], 0, (high, wide)) == expected
