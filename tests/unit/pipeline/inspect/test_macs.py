"""Multiply-accumulates against counts made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgepipe.pipeline.inspect.flatbuffer import read_facts

# operator, shapes of its inputs (constants marked by a leading "c"), shape of its output, multiply-accumulates
CASES: list[tuple[str, list[tuple[bool, tuple[int, ...]]], tuple[int, ...], int]] = [
    ("CONV_2D", [(False, (1, 8, 8, 3)), (True, (16, 3, 3, 3))], (1, 8, 8, 16), 8 * 8 * 16 * 3 * 3 * 3),
    ("CONV_2D", [(False, (1, 8, 8, 4)), (True, (16, 3, 3, 2))], (1, 8, 8, 16), 8 * 8 * 16 * 3 * 3 * 2),  # two groups
    ("DEPTHWISE_CONV_2D", [(False, (1, 8, 8, 4)), (True, (1, 3, 3, 8))], (1, 6, 6, 8), 6 * 6 * 8 * 9),
    ("FULLY_CONNECTED", [(False, (1, 20)), (True, (7, 20))], (1, 7), 140),
    ("TRANSPOSE_CONV", [(True, (4,)), (True, (5, 3, 3, 2)), (False, (1, 4, 4, 2))], (1, 9, 9, 5), 4 * 4 * 2 * 5 * 9),
    ("BATCH_MATMUL", [(False, (2, 3, 4)), (False, (2, 4, 5))], (2, 3, 5), 2 * 3 * 4 * 5),
    ("BATCH_MATMUL", [(False, (2, 4, 3)), (False, (2, 4, 5))], (2, 3, 5), 2 * 3 * 4 * 5),  # the left one transposed
    ("CONV_3D", [(False, (1, 4, 4, 4, 2)), (True, (2, 2, 2, 2, 6))], (1, 3, 3, 3, 6), 27 * 6 * 8 * 2),
    ("SVDF", [(False, (1, 10)), (True, (8, 10)), (True, (8, 5))], (1, 4), 8 * 10 + 8 * 5),
    ("RELU", [(False, (1, 20))], (1, 20), 0),
    ("ADD", [(False, (1, 20)), (False, (1, 20))], (1, 20), 0),
]


@pytest.mark.parametrize(("name", "inputs", "output", "macs"), CASES)
def test_macs(tiny: Any, name: str, inputs: list[tuple[bool, tuple[int, ...]]], output: tuple[int, ...], macs: int) -> None:
    model = tiny()
    places = [
        model.tensor(f"t{index}", shape, "float32", data=np.ones(shape, np.float32) if constant else None)
        for index, (constant, shape) in enumerate(inputs)
    ]
    y = model.tensor("y", output, "float32")
    model.op(name, places, [y])
    model.ports([place for place, (constant, _) in zip(places, inputs, strict=True) if not constant], [y])

    assert read_facts(model.build()).macs == macs


def test_a_fused_lstm_multiplies_all_its_matrices_at_every_step(tiny: Any) -> None:
    model = tiny()
    x = model.tensor("x", (1, 12, 6), "float32")
    inward = [model.tensor(f"in{gate}", (5, 6), "float32", data=np.ones((5, 6), np.float32)) for gate in range(4)]
    around = [model.tensor(f"back{gate}", (5, 5), "float32", data=np.ones((5, 5), np.float32)) for gate in range(4)]
    y = model.tensor("y", (1, 12, 5), "float32")
    model.op("UNIDIRECTIONAL_SEQUENCE_LSTM", [x, *inward, *around], [y])
    model.ports([x], [y])
    facts = read_facts(model.build())

    assert facts.macs == 12 * 4 * (5 * 6 + 5 * 5)
    assert len(facts.weights) == 8
