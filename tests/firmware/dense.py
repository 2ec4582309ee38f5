"""One dense int8 layer of a chosen size, which every engine runs: what is put into slots by tests."""

from __future__ import annotations

import numpy as np

from tests.firmware.graph import INT8, Graph


def dense(seed: int = 0, *, inputs: int = 64, outputs: int = 160) -> bytes:
    """Return a model of `inputs` by `outputs` random weights by seed, at whose end most answers are not saturated."""
    graph = Graph(np.random.default_rng(seed))
    source = graph.input((1, inputs), dtype=INT8, scales=[1 / 64])
    weights = graph.constant(graph.rng.integers(-127, 128, (outputs, inputs), np.int8), scales=[1 / 127])
    target = graph.tensor((1, outputs), scales=[float(np.sqrt(inputs)) / 64])
    graph.step("FULLY_CONNECTED", [source, weights, -1], [target], version=4, of="FullyConnectedOptions")
    return graph.finish([target])
