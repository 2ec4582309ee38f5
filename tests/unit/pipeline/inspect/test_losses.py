"""Codes, causes in words, and the ladder's rungs: what needs no model to be run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgepipe.pipeline.inspect.graph import Op, Subgraph
from edgepipe.pipeline.inspect.losses.causes import Constants, explain
from edgepipe.pipeline.inspect.losses.pairs import Codes, Pair
from edgepipe.pipeline.inspect.losses.tally import Seen, Tally
from edgepipe.pipeline.targets import TARGETS
from edgepipe.workflows.remedy import LADDER, Situation

INT8 = Codes(dtype="int8", scale=0.5, zero_point=-28)
PAIR = Pair(layer="conv", op="CONV_2D", name="conv/Relu", float_tensor=2, quant_tensor=2, codes=INT8, float_op=0, quant_op=0)
SEEN = Seen(
    signal_power=1.0,
    own_power=0.1,
    own_max=1.0,
    total_power=0.1,
    cosine=0.9,
    low=-50.0,
    high=70.0,
    saturated=0.0,
    peak_ratio=1.0,
    saturation=0.0,
    rounding=0.0,
    arithmetic=0.1,
    effect=0.1,
    flips=0,
)
EMPTY = Subgraph(
    tensors=(), ops=(Op(name="ADD", custom=False, version=1, inputs=(), outputs=(), settings={}),), inputs=(), outputs=()
)


def weights(real: np.ndarray, *, per_channel: bool = True, bias_error: float = 0.0) -> Constants:
    peaks = np.abs(real).max(1) if per_channel else np.full(len(real), np.abs(real).max())
    steps = peaks / 127
    stored = np.rint(real / steps[:, None]) * steps[:, None]
    return Constants(
        real=real, stored=stored, steps=steps, per_channel=per_channel, inputs=np.abs(real).max(0), bias_error=bias_error
    )


def normal() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 1, (8, 100))


def test_codes_round_half_away_from_zero_and_clip_to_what_can_be_stored() -> None:
    values = np.array([0.25, -0.25, 0.2, 1000.0, -1000.0], np.float32)
    assert INT8.encode(values).tolist() == [-27, -29, -28, 127, -128]
    assert INT8.limits == (-50.0, 77.5)
    assert INT8.decode(np.array([-28, 127], np.int8)).tolist() == [0.0, 77.5]


def test_a_tally_splits_an_error_into_what_saturates_what_is_rounded_and_the_rest() -> None:
    random = np.random.default_rng(1)
    x = random.normal(0, 8, (1, 50, 4)).astype(np.float32)
    rounded = INT8.decode(INT8.encode(x))
    parts = {}
    for name, z, y in (
        ("rounding", x, rounded),
        ("saturation", x + 200, INT8.decode(INT8.encode(x + 200))),
        ("arithmetic", x, rounded + 10),
    ):
        tally = Tally(INT8)
        tally.add(x, z, y, y)
        seen = tally.seen(0.0, 0)
        shares = {"rounding": seen.rounding, "saturation": seen.saturation, "arithmetic": seen.arithmetic}
        parts[name] = max(shares, key=lambda each: shares[each])
    assert parts == {name: name for name in parts}


@pytest.mark.parametrize(
    ("seen", "held", "words"),
    [
        (replace(SEEN, saturation=1.0, saturated=0.25), None, "25.0% of the values saturate"),
        (replace(SEEN, rounding=1.0, peak_ratio=300.0), None, "one channel reaches 300 times"),
        (replace(SEEN, rounding=1.0, low=0.0, high=1.0), None, "of the range that was calibrated"),
        (replace(SEEN, rounding=1.0, signal_power=0.5), None, "a few values dwarf the rest"),
        (replace(SEEN, rounding=1.0, signal_power=900.0), None, "256 levels are few"),
        (SEEN, weights(normal() * np.geomspace(1, 1000, 8)[:, None], per_channel=False), "one channel's weights are"),
        (SEEN, weights(np.where(np.arange(800).reshape(8, 100) == 123, 400.0, normal())), "one weight is"),
        (SEEN, weights(normal() * np.where(np.arange(100) == 5, 1e-3, 1)), "vanish in one step"),
        (SEEN, weights(normal(), bias_error=3.0), "its bias does not fit"),
        (SEEN, replace(weights(normal()), stored=normal()[::-1]), "its weights are others"),
        (SEEN, weights(normal()), "its weights lose too much in eight bits"),
    ],
)
def test_each_cause_is_named_with_what_helps(seen: Seen, held: Constants | None, words: str) -> None:
    cause, remedy = explain(PAIR, seen, held, EMPTY)
    assert words in cause
    assert remedy


def situation(target: str, **parameters: object) -> Situation:
    return Situation(
        target=TARGETS[target],
        layers=("conv", "mix", "digit"),
        training_samples=500,
        samples=200,
        parameters={"mode": "int8", **parameters},
    )


@pytest.mark.parametrize(
    ("target", "passed_over"),
    [("host", {"per channel"}), ("mcu", {"per channel", "first and last in float"})],
)
def test_rungs_that_the_target_cannot_run_or_that_are_taken_already_are_passed_over(target: str, passed_over: set[str]) -> None:
    assert {rung.name for rung in LADDER if rung.why_not(situation(target))} == passed_over


def test_the_edge_tpu_gets_neither_floats_nor_sixteen_bits() -> None:
    passed_over = {rung.name for rung in LADDER if rung.why_not(situation("coral"))}
    assert {"first and last in float", "int16x8"} <= passed_over


def test_the_rungs_stand_in_the_order_of_what_they_cost_and_say_what_they_change() -> None:
    here = situation("host", per_channel=False)
    assert [rung.name for rung in LADDER] == [
        "int8",
        "more calibration data",
        "per channel",
        "first and last in float",
        "int16x8",
        "qat",
    ]
    changes = {rung.name: (rung.changes(here), rung.samples(here)) for rung in LADDER}
    assert changes["more calibration data"] == ({"mode": "int8", "per_channel": False}, 500)
    assert changes["per channel"][0]["per_channel"] is True
    assert changes["first and last in float"][0]["float_layers"] == ("conv", "digit")
    assert changes["qat"] == ({"mode": "qat"}, None)
