"""What a file's numbers are is read back from the file: types, layers left in float, scales."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgepipe.facts import Claim, ClaimKind, Proof
from edgepipe.pipeline.inspect.claims import prove
from edgepipe.pipeline.inspect.flatbuffer import read_facts

ROWS, COLUMNS = 4, 8
WEIGHTS = np.random.default_rng(1).integers(-9, 9, (ROWS, COLUMNS)).astype(np.int8)


def proof(kind: ClaimKind, wanted: str, content: bytes, *layers: str) -> Proof:
    (found,) = prove([Claim(kind=kind, stage="quantize", wanted=wanted, layers=layers)], read_facts(content, layers=("a", "b")))
    return found


def wide(tiny: Any, *, bias: str = "int64", between: str = "int16", weights: str = "int8") -> bytes:
    """A dense layer with 16-bit activations; one type at a time can be made wrong."""
    model = tiny()
    x = model.tensor("x", (1, COLUMNS), "int16", scale=0.1)
    w = model.tensor("net/a/MatMul", (ROWS, COLUMNS), weights, data=WEIGHTS.astype(weights), scale=0.1)
    b = model.tensor("net/a/bias", (ROWS,), bias, data=np.zeros(ROWS, bias), scale=0.01)
    h = model.tensor("net/a/BiasAdd", (1, ROWS), between, scale=0.1)
    y = model.tensor("net/b/Relu", (1, ROWS), "int16", scale=0.1)
    model.op("FULLY_CONNECTED", [x, w, b], [h])
    model.op("RELU", [h], [y])
    model.ports([x], [y])
    return bytes(model.build())


def half_float(tiny: Any, second: str = "float32") -> bytes:
    """Layer a in int8, then layer b in `second`, int8 again at the output."""
    model = tiny()
    quantised = {"scale": 0.1}
    x = model.tensor("x", (1, COLUMNS), **quantised)
    w = model.tensor("net/a/MatMul", (ROWS, COLUMNS), data=WEIGHTS, scale=0.1)
    h = model.tensor("net/a/BiasAdd", (1, ROWS), **quantised)
    f = model.tensor("net/a/BiasAdd1", (1, ROWS), "float32")
    kind = {} if second == "float32" else quantised
    g = model.tensor("net/b/Relu", (1, ROWS), second, **kind)
    y = model.tensor("out", (1, ROWS), **quantised)
    model.op("FULLY_CONNECTED", [x, w, -1], [h])
    model.op("DEQUANTIZE", [h], [f])
    model.op("RELU", [f if second == "float32" else h], [g])
    model.op("QUANTIZE", [g], [y])
    model.ports([x], [y])
    return bytes(model.build())


def test_int16x8_is_16_bit_activations_8_bit_weights_and_64_bit_biases(tiny: Any) -> None:
    assert proof(ClaimKind.DTYPE, "int16x8", wide(tiny)).holds


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"bias": "int32"}, "a (FULLY_CONNECTED): its bias is int32"),
        ({"between": "int8"}, "a (FULLY_CONNECTED): computes in int8"),
        ({"between": "float32"}, "net/a/BiasAdd: float"),
        ({"weights": "int16"}, "a: stored as int16"),
    ],
)
def test_any_other_number_in_an_int16x8_file_is_named(tiny: Any, wrong: dict[str, str], named: str) -> None:
    found = proof(ClaimKind.DTYPE, "int16x8", wide(tiny, **wrong))

    assert not found.holds
    assert named in found.failing


def test_exactly_the_named_layers_compute_in_float(tiny: Any) -> None:
    assert proof(ClaimKind.FLOAT_LAYERS, "b", half_float(tiny), "b").holds


def test_a_layer_that_was_to_stay_in_float_and_did_not_is_named(tiny: Any) -> None:
    found = proof(ClaimKind.FLOAT_LAYERS, "b", half_float(tiny, "int8"), "b")

    assert found.failing == ("b (RELU): integers",)


def test_a_layer_in_float_that_nobody_asked_for_is_named(tiny: Any) -> None:
    found = proof(ClaimKind.FLOAT_LAYERS, "a", half_float(tiny), "a")

    assert found.failing == ("b (RELU): float", "a (FULLY_CONNECTED): integers")


def test_a_layer_that_is_not_there_cannot_have_stayed_in_float(tiny: Any) -> None:
    assert "gone: not found in the file" in proof(ClaimKind.FLOAT_LAYERS, "gone", half_float(tiny), "b", "gone").failing


def test_scales_are_counted_against_the_output_channels(tiny: Any) -> None:
    per_channel = tiny.dense(WEIGHTS, name="net/a/MatMul", scale=[0.1, 0.2, 0.3, 0.4])
    per_tensor = tiny.dense(WEIGHTS, name="net/a/MatMul", scale=0.1)

    assert proof(ClaimKind.SCALES, "per channel", per_channel).holds
    assert proof(ClaimKind.SCALES, "per tensor", per_tensor).holds
    assert proof(ClaimKind.SCALES, "per channel", per_tensor).failing == ("a: 1 scale",)
    assert proof(ClaimKind.SCALES, "per tensor", per_channel).failing == ("a: 4 scales",)


def test_a_claim_about_some_layers_leaves_the_others_alone(tiny: Any) -> None:
    content = tiny.dense(WEIGHTS.astype(np.float32), "float32", name="net/a/MatMul")

    assert proof(ClaimKind.DTYPE, "float32", content, "a").holds
    assert proof(ClaimKind.DTYPE, "int4", content, "b").holds
    assert not proof(ClaimKind.DTYPE, "int4", content, "a").holds


def test_rows_that_are_looked_up_are_activations_of_16_bits(tiny: Any) -> None:
    model = tiny()
    index = model.tensor("x", (1, 2), "int32")
    table = model.tensor("net/a/embedding_lookup", (ROWS, COLUMNS), "int16", data=WEIGHTS.astype(np.int16), scale=0.1)
    y = model.tensor("out", (1, 2, COLUMNS), "int16", scale=0.1)
    model.op("GATHER", [table, index], [y])
    model.ports([index], [y])

    assert proof(ClaimKind.DTYPE, "int16x8", bytes(model.build())).holds
