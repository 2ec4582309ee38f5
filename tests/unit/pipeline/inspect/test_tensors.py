"""Every tensor is told with its role, its layer, its quantisation and its bytes."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

from edgepipe.facts import Quantisation, TensorFacts, TensorRole
from edgepipe.pipeline.inspect.flatbuffer import inspect


def small(tiny: Any) -> bytes:
    """Dense (per-channel) and a reshape, with a tensor that nobody uses."""
    model = tiny()
    x = model.tensor("x", (1, 4), scale=0.5, zero_point=3, signature=(-1, 4))
    weights = np.array([[0, 0, 1, 1], [2, 3, 4, 0]], np.int8)
    w = model.tensor("model/answer/MatMul", (2, 4), data=weights, scale=[0.1, 0.3])
    b = model.tensor("model/answer/BiasAdd/ReadVariableOp", (2,), "int32", data=np.array([0, 9], np.int32), scale=[0.05, 0.15])
    y = model.tensor("model/answer/BiasAdd", (1, 2), scale=0.2, zero_point=-5)
    model.tensor("left over", (3,), "float32")
    model.op("FULLY_CONNECTED", [x, w, b], [y])
    model.ports([x], [y])
    return bytes(model.build())


@pytest.fixture
def tensors(tiny: Any) -> dict[str, TensorFacts]:
    return {tensor.name: tensor for tensor in inspect(small(tiny)).tensors}


def test_roles_and_layers(tensors: dict[str, TensorFacts]) -> None:
    assert {name: tensor.role for name, tensor in tensors.items()} == {
        "x": TensorRole.INPUT,
        "model/answer/MatMul": TensorRole.WEIGHT,
        "model/answer/BiasAdd/ReadVariableOp": TensorRole.CONSTANT,
        "model/answer/BiasAdd": TensorRole.OUTPUT,
        "left over": TensorRole.UNUSED,
    }
    assert {tensor.layer for tensor in tensors.values()} == {"answer", ""}


def test_quantisation_by_tensor_and_by_channel(tensors: dict[str, TensorFacts]) -> None:
    whole, channels = tensors["x"].quantisation, tensors["model/answer/MatMul"].quantisation

    assert whole == Quantisation(channels=1, axis=None, scale_min=0.5, scale_max=0.5, zero_point_min=3, zero_point_max=3)
    assert channels is not None
    assert (channels.channels, channels.axis, channels.zero_point_min, channels.zero_point_max) == (2, 0, 0, 0)
    assert (channels.scale_min, channels.scale_max) == pytest.approx((0.1, 0.3))
    assert tensors["left over"].quantisation is None


def test_bytes_and_counts(tensors: dict[str, TensorFacts]) -> None:
    weights, bias, x = (tensors[name] for name in ("model/answer/MatMul", "model/answer/BiasAdd/ReadVariableOp", "x"))

    assert (weights.size_bytes, weights.nonzero, weights.clusters, weights.sparsity) == (8, 5, 4, 3 / 8)
    assert weights.sha256 == hashlib.sha256(np.array([[0, 0, 1, 1], [2, 3, 4, 0]], np.int8).tobytes()).hexdigest()
    assert (bias.size_bytes, bias.nonzero, bias.clusters) == (8, 1, 2)
    assert (x.size_bytes, x.stored_bytes, x.sha256, x.nonzero, x.shape) == (4, 0, None, None, (-1, 4))


def test_bytes_that_two_tensors_share_count_once(tiny: Any) -> None:
    model = tiny()
    x = model.tensor("x", (1, 4), scale=0.1)
    first = model.tensor("first", (4, 4), data=np.eye(4, dtype=np.int8), scale=0.1)
    second = model.tensor("second", (4, 4), scale=0.1)
    model.graph.tensors[second].buffer = model.graph.tensors[first].buffer
    y, z = model.tensor("y", (1, 4), scale=0.1), model.tensor("z", (1, 4), scale=0.1)
    model.op("FULLY_CONNECTED", [x, first, -1], [y])
    model.op("FULLY_CONNECTED", [y, second, -1], [z])
    model.ports([x], [z])
    found = inspect(model.build())

    assert [tensor.stored_bytes for tensor in found.tensors if tensor.sha256] == [16, 0]
    assert found.stored_bytes == 16


def test_a_nameless_operator_is_a_layer_of_its_own(tiny: Any) -> None:
    model = tiny()
    x, y, z = (model.tensor("", (1, 4), scale=0.1) for _ in range(3))
    model.op("RELU", [x], [y])
    model.op("RELU", [y], [z])
    model.ports([x], [z])

    assert [op.layer for op in inspect(model.build()).facts.ops] == ["operator 0", "operator 1"]
