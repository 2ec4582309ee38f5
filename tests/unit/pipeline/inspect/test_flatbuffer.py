"""Facts are what the bytes say: counts, names, dtypes, shapes."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgepipe.pipeline.inspect.flatbuffer import read_facts


def test_the_keyword_spotting_network_is_read_whole(kws: Path) -> None:
    content = kws.read_bytes()
    facts = read_facts(content)

    assert facts.sha256 == hashlib.sha256(content).hexdigest()
    assert facts.size_bytes == 53_936
    assert len(gzip.decompress(gzip.compress(content, 9))) == 53_936 > facts.gzip_bytes > 0
    assert [(port.dtype, port.shape, round(port.scale or 0, 6), port.zero_point) for port in facts.inputs] == [
        ("int8", (-1, 49, 10, 1), 0.584703, 83)
    ]
    assert (len(facts.ops), facts.float_tensors, facts.custom_ops, facts.int8_mac_share) == (13, (), (), 1.0)
    # 25 * 5 positions of: 64 * 40, four times 64 * 9 and 64 * 64; then 64 * 12.
    assert facts.macs == 125 * (64 * 40 + 4 * (64 * 9 + 64 * 64)) + 64 * 12
    assert [weight.layer for weight in facts.weights][:4] == ["conv2d", "depthwise_conv2d", "conv2d_1", "depthwise_conv2d_1"]
    assert facts.elements == 64 * 40 + 4 * (64 * 9 + 64 * 64) + 64 * 12
    assert "input_1" in facts.dynamic_tensors


def test_zeros_and_clusters_are_counted_per_output_channel(tiny: Any) -> None:
    weights = np.array([[0, 1, 2, 2], [0, 0, 3, 4], [5, 5, 5, 5]], np.int8)
    (fact,) = read_facts(tiny.dense(weights)).weights

    assert (fact.elements, fact.nonzero, fact.clusters, fact.clusters_whole) == (12, 9, 3, 6)
    assert fact.sparsity == pytest.approx(0.25)
    assert (fact.layer, fact.op, fact.size_bytes) == ("answer", "FULLY_CONNECTED", 12)


def test_the_axis_of_a_per_channel_quantisation_is_the_channels_axis(tiny: Any) -> None:
    weights = np.array([[1, 9], [2, 9], [3, 9]], np.int8)

    (by_row,) = read_facts(tiny.dense(weights)).weights
    (by_column,) = read_facts(tiny.dense(weights, scale=[0.1, 0.2], axis=1)).weights

    assert (by_row.clusters, by_column.clusters) == (2, 3)


def test_minus_zero_is_zero(tiny: Any) -> None:
    (fact,) = read_facts(tiny.dense(np.array([[0.0, -0.0, 1.5, -1.5]], np.float32), "float32")).weights

    assert (fact.nonzero, fact.clusters) == (2, 3)


def test_four_bit_weights_are_unpacked(tiny: Any) -> None:
    model = tiny()
    x = model.tensor("x", (1, 3), scale=0.1)
    # 3, -2, 0 packed from the low nibble up; the last nibble is padding.
    w = model.tensor("w", (1, 3), "int4", data=np.array([0xE3, 0x00], np.uint8), scale=0.1)
    y = model.tensor("y", (1, 1), scale=0.1)
    model.op("FULLY_CONNECTED", [x, w, -1], [y])
    model.ports([x], [y])
    (fact,) = read_facts(model.build()).weights

    assert (fact.dtype, fact.elements, fact.nonzero, fact.clusters, fact.size_bytes) == ("int4", 3, 2, 3, 2)


def test_float16_weights_are_found_behind_their_dequantize(tiny: Any) -> None:
    model = tiny()
    x = model.tensor("x", (1, 2), "float32")
    stored = model.tensor("model/answer/MatMul", (1, 2), "float16", data=np.array([[1, 0]], np.float16))
    unpacked = model.tensor("unpacked", (1, 2), "float32")
    y = model.tensor("y", (1, 1), "float32")
    model.op("DEQUANTIZE", [stored], [unpacked])
    model.op("FULLY_CONNECTED", [x, unpacked, -1], [y])
    model.ports([x], [y])
    facts = read_facts(model.build())

    assert [(weight.dtype, weight.layer, weight.nonzero) for weight in facts.weights] == [("float16", "answer", 1)]
    assert set(facts.float_tensors) == {"x", "model/answer/MatMul", "unpacked", "y"}


def test_one_float_tensor_among_integers_is_named(tiny: Any) -> None:
    model = tiny()
    x = model.tensor("x", (1, 4), scale=0.1)
    real = model.tensor("left in float", (1, 4), "float32")
    y = model.tensor("y", (1, 4), scale=0.1)
    model.tensor("used by nobody", (1, 4), "float32")
    model.op("DEQUANTIZE", [x], [real])
    model.op("QUANTIZE", [real], [y])
    model.ports([x], [y])

    assert read_facts(model.build()).float_tensors == ("left in float",)


def test_shapes_that_are_open_or_computed_are_named(tiny: Any) -> None:
    model = tiny()
    x = model.tensor("x", (1, 4), scale=0.1, signature=(-1, 4))
    shape = model.tensor("shape", (2,), "int32")
    fixed = model.tensor("fixed shape", (2,), "int32", data=np.array([4, 1], np.int32))
    computed, constant = (model.tensor(name, (4, 1), scale=0.1) for name in ("computed", "constant"))
    model.op("SHAPE", [x], [shape])
    model.op("RESHAPE", [x, shape], [computed])
    model.op("RESHAPE", [x, fixed], [constant])
    model.ports([x], [computed, constant])
    facts = read_facts(model.build())

    assert facts.dynamic_tensors == ("x", "computed")
    assert facts.inputs[0].shape == (-1, 4)


def test_custom_and_flex_operators_are_told_apart(tiny: Any) -> None:
    model = tiny()
    x, y, z = (model.tensor(name, (1, 4), scale=0.1) for name in "xyz")
    model.op("CUSTOM", [x], [y], custom="FlexErf")
    model.op("CUSTOM", [y], [z], custom="MyOwn")
    model.ports([x], [z])
    facts = read_facts(model.build())

    assert (facts.flex_ops, facts.custom_ops) == (("FlexErf",), ("MyOwn",))


def loop(tiny: Any, trips: int) -> bytes:
    """A dense layer of 4 x 4 in the body of a loop that runs `trips` times."""
    model = tiny()
    counter, x = model.tensor("counter", (1,), "int32"), model.tensor("x", (1, 4), "float32")
    after, y = model.tensor("after", (1,), "int32"), model.tensor("model/memory/while", (1, 4), "float32")
    options = schema.WhileOptionsT()
    options.condSubgraphIndex, options.bodySubgraphIndex = 1, 2
    model.op("WHILE", [counter, x], [after, y], options=options)
    model.ports([counter, x], [after, y])
    model.subgraph()
    counter, x = model.tensor("counter", (1,), "int32"), model.tensor("x", (1, 4), "float32")
    limit, on = model.tensor("limit", (1,), "int32", data=np.array([trips], np.int32)), model.tensor("on", (1,), "bool")
    model.op("LESS", [counter, limit], [on])
    model.ports([counter, x], [on])
    model.subgraph()
    counter, x = model.tensor("counter", (1,), "int32"), model.tensor("x", (1, 4), "float32")
    w = model.tensor("while/MatMul", (4, 4), "float32", data=np.eye(4, dtype=np.float32))
    y = model.tensor("while/y", (1, 4), "float32")
    model.op("FULLY_CONNECTED", [x, w, -1], [y])
    model.ports([counter, x], [counter, y])
    return bytes(model.build())


def test_the_body_of_a_loop_counts_as_often_as_it_runs(tiny: Any) -> None:
    facts = read_facts(loop(tiny, 12), layers=["memory"])

    assert facts.macs == 12 * 16
    assert [weight.layer for weight in facts.weights] == ["memory"]
    assert [op.index for op in facts.ops] == [0, 1, 2]
