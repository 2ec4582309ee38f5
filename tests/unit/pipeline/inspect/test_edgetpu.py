"""What the published rules foretell of the Edge TPU: one case a rule, on both sides of its limit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgepipe.pipeline.export.edgetpu_log import COMPILED_OP
from edgepipe.pipeline.inspect.edgetpu import PARAMETER_CACHE_BYTES, TpuMapping, map_model, mapping_warnings
from edgepipe.pipeline.inspect.flatbuffer import read_facts
from edgepipe.pipeline.inspect.verify import verify
from edgepipe.pipeline.targets import TARGETS

RELU = schema.ActivationFunctionType.RELU


class Net:
    """One operator in a network of its own; every computed tensor is int8 with a scale unless it is told otherwise."""

    def __init__(self, tiny: Any) -> None:
        self.model = tiny()

    def fed(self, *shape: int, dtype: str = "int8") -> int:
        return int(self.model.tensor("x", shape, dtype, scale=None if dtype.startswith("float") else 0.1))

    def made(self, *shape: int, dtype: str = "int8") -> int:
        return int(self.model.tensor("y", shape, dtype, scale=None if dtype.startswith("float") else 0.1))

    def constant(self, values: Any, dtype: str = "int32", **quantised: Any) -> int:
        array = np.asarray(values, dtype)
        return int(self.model.tensor("c", array.shape, dtype, data=array, **quantised))

    def map(self, name: str, inputs: list[int], output: int, **settings: Any) -> TpuMapping:
        self.model.op(name, inputs, [output], **settings)
        self.model.ports([inputs[0]], [output])
        return map_model(self.model.build())


def options(table: str, **fields: Any) -> Any:
    made = getattr(schema, f"{table}T")()
    for field, value in fields.items():
        assert hasattr(made, field), field
        setattr(made, field, value)
    return made


def only(mapping: TpuMapping) -> str:
    """Return the one reason why the operator stays on the CPU, "" where it does not."""
    (op,) = mapping.ops
    assert op.on_tpu == (op.reason == "") == (op.fix == "")
    return op.reason


@pytest.fixture
def net(tiny: Any) -> Net:
    return Net(tiny)


@pytest.mark.parametrize(("fused", "reason"), [(0, ""), (RELU, "an activation is fused")])
def test_pooling_takes_no_fused_activation(net: Net, fused: int, reason: str) -> None:
    pool = options("Pool2DOptions", fusedActivationFunction=fused, strideH=2, strideW=2, filterHeight=2, filterWidth=2)
    assert reason in only(net.map("MAX_POOL_2D", [net.fed(1, 4, 4, 8)], net.made(1, 2, 2, 8), options=pool))


@pytest.mark.parametrize(("width", "reason"), [(2, ""), (1, "dilation differs")])
def test_convolutions_dilate_alike(net: Net, width: int, reason: str) -> None:
    weights = net.constant(np.ones((8, 3, 3, 4)), "int8", scale=0.1)
    dilated = options("Conv2DOptions", dilationHFactor=2, dilationWFactor=width, strideH=1, strideW=1)
    found = net.map("CONV_2D", [net.fed(1, 8, 8, 4), weights], net.made(1, 8, 8, 8), options=dilated)
    assert reason in only(found)
    assert bool(reason) != (found.mac_share == 1)


@pytest.mark.parametrize(("rows", "reason"), [(1, ""), (5, "more than one dimension")])
def test_dense_layers_give_one_dimension(net: Net, rows: int, reason: str) -> None:
    weights = net.constant(np.ones((8, 4)), "int8", scale=0.1)
    assert reason in only(net.map("FULLY_CONNECTED", [net.fed(rows, 4), weights, -1], net.made(rows, 8)))


def test_dense_weights_are_not_shuffled(net: Net) -> None:
    weights = net.constant(np.ones((8, 4)), "int8", scale=0.1)
    shuffled = options("FullyConnectedOptions", weightsFormat=1)
    assert "shuffled" in only(net.map("FULLY_CONNECTED", [net.fed(1, 4), weights, -1], net.made(1, 8), options=shuffled))


def test_weights_are_constants(net: Net) -> None:
    assert "computed" in only(net.map("FULLY_CONNECTED", [net.fed(1, 4), net.fed(8, 4), -1], net.made(1, 8)))


@pytest.mark.parametrize(
    ("shape", "reason"), [((1, 16_000), ""), ((1, 16_001), "at most 16,000"), ((2, 10), "more than one dimension")]
)
def test_softmax_is_short_and_flat(net: Net, shape: tuple[int, ...], reason: str) -> None:
    assert reason in only(net.map("SOFTMAX", [net.fed(*shape)], net.made(*shape)))


@pytest.mark.parametrize(
    ("axes", "channels", "reason"),
    [((1, 2), 6, ""), ((3,), 8, ""), ((-1,), 6, "multiple of 4"), ((0, 1), 8, "batch")],
)
def test_means_keep_the_batch_and_take_channels_by_four(net: Net, axes: tuple[int, ...], channels: int, reason: str) -> None:
    assert reason in only(net.map("MEAN", [net.fed(1, 4, 4, channels), net.constant(axes)], net.made(1, channels)))


@pytest.mark.parametrize("name", ["SUM", "REDUCE_MAX", "REDUCE_MIN"])
def test_reductions_keep_the_batch(net: Net, name: str) -> None:
    assert "batch" in only(net.map(name, [net.fed(1, 4, 4, 8), net.constant([0])], net.made(4, 4, 8)))


@pytest.mark.parametrize(("pads", "reason"), [([[0, 0], [1, 1]], ""), ([[0, 1], [0, 0]], "batch")])
def test_padding_keeps_the_batch(net: Net, pads: list[list[int]], reason: str) -> None:
    assert reason in only(net.map("PAD", [net.fed(1, 4), net.constant(pads)], net.made(1, 6)))


@pytest.mark.parametrize(("axis", "reason"), [(1, ""), (0, "batch")])
def test_stacking_and_splitting_keep_the_batch(tiny: Any, axis: int, reason: str) -> None:
    stacked, split = Net(tiny), Net(tiny)
    packed = options("PackOptions", axis=axis, valuesCount=2)
    assert reason in only(stacked.map("PACK", [stacked.fed(1, 4), stacked.fed(1, 4)], stacked.made(1, 2, 4), options=packed))
    assert reason in only(split.map("SPLIT", [split.constant([axis]), split.fed(2, 4)], split.made(1, 2)))


@pytest.mark.parametrize(("values", "reason"), [([[0, 0]], "no plain padding"), ([[-3, -3]], ""), ([[-3, 5]], "no plain padding")])
def test_joining_a_constant_is_padding_with_its_zero_point(net: Net, values: list[list[int]], reason: str) -> None:
    constant = net.constant(values, "int8", scale=0.1, zero_point=-3)
    assert reason in only(net.map("CONCATENATION", [net.fed(1, 4), constant], net.made(1, 6)))


@pytest.mark.parametrize(
    ("strides", "masks", "reason"), [([1, 1], {}, ""), ([1, 2], {}, "strides of 1"), ([1, 1], {"newAxisMask": 1}, "new axis")]
)
def test_slices_leave_nothing_out(net: Net, strides: list[int], masks: dict[str, int], reason: str) -> None:
    ends = [net.constant([0, 0]), net.constant([1, 4]), net.constant(strides)]
    sliced = options("StridedSliceOptions", **masks)
    assert reason in only(net.map("STRIDED_SLICE", [net.fed(1, 4), *ends], net.made(1, 4), options=sliced))


@pytest.mark.parametrize(("alpha", "reason"), [((1, 1, 8), ""), ((4, 4, 8), "alpha")])
def test_prelu_has_one_slope_a_channel(net: Net, alpha: tuple[int, ...], reason: str) -> None:
    slopes = net.constant(np.ones(alpha), "int8", scale=0.1)
    assert reason in only(net.map("PRELU", [net.fed(1, 4, 4, 8), slopes], net.made(1, 4, 4, 8)))


@pytest.mark.parametrize(("shape", "reason"), [((1, 4, 4, 8), ""), ((4, 4, 8), ""), ((2, 4, 4, 8), "3 innermost")])
def test_only_three_dimensions_are_used(net: Net, shape: tuple[int, ...], reason: str) -> None:
    assert reason in only(net.map("RELU", [net.fed(*shape)], net.made(*shape)))


@pytest.mark.parametrize(("dtype", "reason"), [("int8", ""), ("uint8", ""), ("int16", "int16"), ("float32", "float32")])
def test_everything_is_in_eight_bits(net: Net, dtype: str, reason: str) -> None:
    assert reason in only(net.map("RELU", [net.fed(1, 4, dtype=dtype)], net.made(1, 4, dtype=dtype)))


def test_integers_without_a_scale_are_no_quantised_numbers(net: Net) -> None:
    plain = net.model.tensor("x", (1, 4))
    assert "no scale" in only(net.map("RELU", [plain], net.made(1, 4)))


def test_sizes_are_fixed(net: Net) -> None:
    assert "not fixed" in only(
        net.map("RESHAPE", [net.fed(1, 4), net.model.tensor("shape", (2,), "int8", scale=0.1)], net.made(2, 2))
    )


@pytest.mark.parametrize(("name", "fix"), [("LEAKY_RELU", "PReLU"), ("HARD_SWISH", "ReLU6"), ("CUMSUM", "Replace")])
def test_what_is_not_in_the_table_has_a_way_out(net: Net, name: str, fix: str) -> None:
    found = net.map(name, [net.fed(1, 4)], net.made(1, 4))
    assert only(found) == "the Edge TPU does not have it"
    assert fix in found.ops[0].fix


def test_the_first_refused_operator_ends_the_part_and_branches_go_on_beside_it(tiny: Any) -> None:
    """x -> A -> LEAKY -> B (behind it), and A -> C beside it; B and C are joined in D."""
    model = tiny()
    x, a, leaky, b, c, d = (model.tensor(name, (1, 4), scale=0.1) for name in ("x", "a", "leaky", "b", "c", "d"))
    weights = model.tensor("w", (4, 4), data=np.ones((4, 4), np.int8), scale=0.1)
    for name, inputs, output in (
        ("FULLY_CONNECTED", [x, weights, -1], a),
        ("LEAKY_RELU", [a], leaky),
        ("FULLY_CONNECTED", [leaky, weights, -1], b),
        ("FULLY_CONNECTED", [a, weights, -1], c),
        ("ADD", [b, c], d),
    ):
        model.op(name, inputs, [output])
    model.ports([x], [d])
    mapping = map_model(model.build())

    assert [op.on_tpu for op in mapping.ops] == [True, False, False, True, False]
    assert [op.follows for op in mapping.ops] == [False, False, True, False, True]
    assert [op.op for op in mapping.stopped_by] == ["LEAKY_RELU"]
    assert all("behind operator 1 LEAKY_RELU" in mapping.ops[index].reason for index in (2, 4))
    assert (mapping.op_share, mapping.mac_share) == (pytest.approx(2 / 5), pytest.approx(2 / 3))
    assert mapping.parameter_bytes == 16, "the shared weights are kept once"
    first, rest = (str(line) for line in mapping_warnings(mapping))
    assert "operator 1 LEAKY_RELU" in first
    assert "2 operators with 16 multiply-accumulates" in rest


def test_a_float_input_is_turned_into_int8_on_the_cpu_and_ends_nothing(tiny: Any) -> None:
    model = tiny()
    x, y = model.tensor("x", (1, 4), "float32"), model.tensor("y", (1, 4), "float32")
    q, r = (model.tensor(name, (1, 4), scale=0.1) for name in "qr")
    for name, inputs, output in (("QUANTIZE", [x], q), ("RELU", [q], r), ("DEQUANTIZE", [r], y)):
        model.op(name, inputs, [output])
    model.ports([x], [y])

    assert [op.on_tpu for op in map_model(model.build()).ops] == [False, True, False]


def test_the_inside_of_a_loop_stays_on_the_cpu(tiny: Any) -> None:
    model = tiny()
    x, y = (model.tensor(name, (1, 4), scale=0.1) for name in "xy")
    model.op("WHILE", [x], [y], options=options("WhileOptions", condSubgraphIndex=1, bodySubgraphIndex=1))
    model.ports([x], [y])
    model.subgraph()
    a, b = (model.tensor(name, (1, 4), scale=0.1) for name in "ab")
    model.op("RELU", [a], [b])
    model.ports([a], [b])
    loop, inner = map_model(model.build()).ops

    assert (loop.on_tpu, inner.on_tpu) == (False, False)
    assert "loop" in inner.reason


def test_an_operator_newer_than_the_compiler_spoils_the_whole_file(net: Net) -> None:
    weights = net.constant(np.ones((8, 3, 3, 4)), "int8", scale=0.1)
    found = net.map("CONV_2D", [net.fed(1, 8, 8, 4), weights], net.made(1, 8, 8, 8), version=6)

    assert found.refused == ("version 6 of CONV_2D is newer than the compiler, which then refuses the whole file",)
    assert (found.op_share, found.mac_share) == (0, 0)


def test_more_parameters_than_the_chip_holds_are_sent_every_time(net: Net) -> None:
    weights = net.constant(np.zeros((3000, 3000)), "int8", scale=0.1)
    found = net.map("FULLY_CONNECTED", [net.fed(1, 3000), weights, -1], net.made(1, 3000))

    assert found.parameter_bytes == 9_000_000
    assert (found.on_chip_bytes, found.off_chip_bytes) == (PARAMETER_CACHE_BYTES, 9_000_000 - PARAMETER_CACHE_BYTES)
    assert any("sent with every inference" in str(line) for line in mapping_warnings(found))


def test_dense_layers_scaled_by_channel_are_a_doubt(net: Net) -> None:
    weights = net.constant(np.ones((2, 4)), "int8", scale=[0.1, 0.2])
    (doubt,) = net.map("FULLY_CONNECTED", [net.fed(1, 4), weights, -1], net.made(1, 2)).doubts
    assert "scale per output channel" in doubt


def test_the_published_networks_go_there_whole(kws: Path, ad01: Path) -> None:
    for path in (kws, ad01):
        mapping = map_model(path.read_bytes())
        assert (mapping.op_share, mapping.mac_share) == (1, 1)
        assert list(mapping_warnings(mapping)) == []
        assert verify(read_facts(path.read_bytes()), TARGETS["coral"]).fits


def compiled(tiny: Any) -> bytes:
    """A file as the compiler leaves it: its own operator, and one that stayed outside."""
    model = tiny()
    x, y, z = (model.tensor(name, (1, 4), scale=0.1) for name in "xyz")
    model.op("CUSTOM", [x], [y], custom=COMPILED_OP)
    model.op("LEAKY_RELU", [y], [z])
    model.ports([x], [z])
    return bytes(model.build())


def test_a_compiled_file_is_known_as_one(tiny: Any) -> None:
    mapping = map_model(compiled(tiny))
    assert mapping.compiled
    assert [op.on_tpu for op in mapping.ops] == [True, False]
    assert mapping.mac_share is None


def test_only_a_coral_board_takes_a_compiled_file(tiny: Any) -> None:
    facts = read_facts(compiled(tiny))
    assert verify(facts, TARGETS["coral"]).fits
    for name in TARGETS.keys() - {"coral"}:
        assert any("custom operator" in problem.reason for problem in verify(facts, TARGETS[name]).problems), name


def test_a_coral_board_takes_integers_of_eight_bits_only(tiny: Any) -> None:
    for dtype in ("float32", "int16"):
        model = tiny()
        x, y = (model.tensor(name, (1, 4), dtype, scale=0.1) for name in "xy")
        model.op("RELU", [x], [y])
        model.ports([x], [y])
        assert not verify(read_facts(model.build()), TARGETS["coral"]).fits
