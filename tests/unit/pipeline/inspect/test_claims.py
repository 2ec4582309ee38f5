"""A claim holds only where the file shows it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgepipe.facts import Claim, ClaimKind, ModelFacts
from edgepipe.pipeline.inspect.claims import prove
from edgepipe.pipeline.inspect.flatbuffer import read_facts


def two_layers(tiny: Any, sparsities: tuple[float, float] = (0.8, 0.8)) -> ModelFacts:
    """Facts of two dense layers "a" and "b" of 100 x 100 with these shares of zeros."""
    model = tiny()
    rng = np.random.default_rng(3)
    x = first = model.tensor("x", (1, 100), scale=0.1)
    for layer, sparsity in zip("ab", sparsities, strict=True):
        values = rng.integers(1, 9, 10_000).astype(np.int8)
        values[: round(10_000 * sparsity)] = 0
        w = model.tensor(f"model/{layer}/MatMul", (100, 100), data=rng.permutation(values), scale=0.1)
        y = model.tensor(f"model/{layer}/BiasAdd", (1, 100), scale=0.1)
        model.op("FULLY_CONNECTED", [x, w, -1], [y])
        x = y
    model.ports([first], [x])
    return read_facts(model.build(), layers=("a", "b"))


def sparsity(wanted: float, *layers: str) -> Claim:
    return Claim(kind=ClaimKind.SPARSITY, stage="prune", wanted=wanted, layers=layers)


def test_sparsity_is_proved_within_a_point(tiny: Any) -> None:
    (proof,) = prove([sparsity(0.8, "a", "b")], two_layers(tiny, (0.805, 0.795)), stage="prune")

    assert (proof.holds, proof.failing) == (True, ())
    assert proof.measured == pytest.approx(0.8)


@pytest.mark.parametrize("found", [0.5, 0.95])
def test_the_pruning_stage_itself_must_hit_in_every_layer(tiny: Any, found: float) -> None:
    (proof,) = prove([sparsity(0.8, "a", "b")], two_layers(tiny, (0.8, found)), stage="prune")

    assert not proof.holds
    assert [line.split(":")[0] for line in proof.failing] == ["b"]


def test_later_stages_may_add_zeros_and_must_not_lose_them(tiny: Any) -> None:
    (more,) = prove([sparsity(0.8, "a", "b")], two_layers(tiny, (0.9, 0.9)), stage="quantize")
    (fewer,) = prove([sparsity(0.8, "a", "b")], two_layers(tiny, (0.9, 0.7)), stage="quantize")

    assert (more.holds, fewer.holds) == (True, False)


def test_a_layer_that_is_not_in_the_file_fails_its_claim(tiny: Any) -> None:
    (proof,) = prove([sparsity(0.8, "a", "gone")], two_layers(tiny), stage="prune")

    assert (proof.holds, proof.failing) == (False, ("gone: not found in the file",))


def test_a_claim_on_a_model_without_weights_fails(tiny: Any) -> None:
    model = tiny()
    x, y = (model.tensor(name, (1, 4), scale=0.1) for name in "xy")
    model.op("RELU", [x], [y])
    model.ports([x], [y])
    (proof,) = prove([sparsity(0.8)], read_facts(model.build()), stage="prune")

    assert not proof.holds


def test_a_tiny_layer_is_allowed_one_weight(tiny: Any) -> None:
    facts = read_facts(tiny.dense(np.array([[0, 0, 0, 0, 0, 0, 0, 5, 5]], np.int8)))
    (proof,) = prove([sparsity(0.8, "answer")], facts, stage="prune")

    assert proof.holds


def test_clusters_are_held_against_the_fullest_channel(tiny: Any) -> None:
    facts = two_layers(tiny)
    sixteen, eight = (Claim(kind=ClaimKind.CLUSTERS, stage="cluster", wanted=wanted, layers=("a", "b")) for wanted in (16, 8))
    holds, fails = prove([sixteen, eight], facts, stage="cluster")

    assert (holds.holds, holds.measured) == (True, 9)
    assert (fails.holds, len(fails.failing)) == (False, 2)


def test_dtype_claims_read_weights_ports_and_every_tensor(tiny: Any) -> None:
    whole = read_facts(tiny.dense(np.ones((4, 4), np.int8), scale=0.1))
    real = read_facts(tiny.dense(np.ones((4, 4), np.float32), "float32"))

    def holds(wanted: str, facts: ModelFacts) -> bool:
        return prove([Claim(kind=ClaimKind.DTYPE, stage="quantize", wanted=wanted)], facts)[0].holds

    assert [holds(wanted, whole) for wanted in ("int8", "float32", "float16", "dynamic")] == [True, False, False, False]
    assert [holds(wanted, real) for wanted in ("int8", "float32", "float16")] == [False, True, False]


def test_dynamic_range_asks_for_int8_in_large_weights_only(tiny: Any) -> None:
    claim = Claim(kind=ClaimKind.DTYPE, stage="quantize", wanted="dynamic")
    (small,) = prove([claim], read_facts(tiny.dense(np.ones((4, 4), np.float32), "float32")))
    (large,) = prove([claim], read_facts(tiny.dense(np.ones((40, 40), np.float32), "float32")))

    assert (small.holds, large.holds, large.failing) == (True, False, ("answer: stored as float32",))


def test_a_fixed_batch_is_one_without_open_tensors(tiny: Any) -> None:
    model = tiny()
    x = model.tensor("x", (1, 4), scale=0.1, signature=(-1, 4))
    y = model.tensor("y", (1, 4), scale=0.1)
    model.op("RELU", [x], [y])
    model.ports([x], [y])
    claim = Claim(kind=ClaimKind.FIXED_BATCH, stage="convert", wanted="1")
    (proof,) = prove([claim], read_facts(model.build()))

    assert (proof.holds, proof.failing) == (False, ("x",))
