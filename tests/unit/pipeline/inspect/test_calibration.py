"""Calibration on constant or wrongly scaled data shows in the file; calibration on real data does not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edgepipe.pipeline.inspect.flatbuffer import read_facts
from edgepipe.pipeline.inspect.graph import read_graph
from edgepipe.pipeline.inspect.replay import respond

Array = NDArray[np.float64]
IMAGES = np.clip(np.random.default_rng(5).normal(0.4, 0.35, (60, 64)), 0, 1)


def quantised(low: float, high: float) -> tuple[float, int]:
    """Return scale and zero point as a converter does for a range that it saw."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = max(high - low, 1e-6) / 255
    return scale, round(-128 - low / scale)


def calibrated_on(tiny: Any, data: Array, *, softmax: bool = True) -> tuple[str, ...]:
    """Return the warnings for a network of three dense layers, trained for inputs of 0 to 1, calibrated on `data`."""
    rng = np.random.default_rng(11)
    model = tiny()
    scale, zero = quantised(data.min(), data.max())
    x = first = model.tensor("image", (1, 64), scale=scale, zero_point=zero)
    values, x_scale = data, scale
    for number, (columns, rows) in enumerate(((64, 32), (32, 16), (16, 10))):
        real = rng.normal(0, 1.5 / np.sqrt(columns), (rows, columns))
        bias = rng.normal(0, 0.15, rows)
        w_scale = np.abs(real).max() / 127
        values = values @ real.T + bias
        options = schema.FullyConnectedOptionsT()
        if number < 2:
            values, options.fusedActivationFunction = np.maximum(values, 0), schema.ActivationFunctionType.RELU
        scale, zero = quantised(values.min(), values.max())
        w = model.tensor(f"w{number}", (rows, columns), data=np.rint(real / w_scale).astype(np.int8), scale=w_scale)
        rounded = np.rint(bias / (x_scale * w_scale)).clip(-(2**31), 2**31 - 1).astype(np.int32)
        b = model.tensor(f"b{number}", (rows,), "int32", data=rounded, scale=x_scale * w_scale)
        y = model.tensor(f"y{number}", (1, rows), scale=scale, zero_point=zero)
        model.op("FULLY_CONNECTED", [x, w, b], [y], options=options)
        x, x_scale = y, scale
    if softmax:
        y = model.tensor("answer", (1, 10), scale=1 / 256, zero_point=-128)
        model.op("SOFTMAX", [x], [y])
        x = y
    model.ports([first], [x])
    return read_facts(model.build()).uncalibrated_tensors


def test_real_data_leaves_no_mark(tiny: Any) -> None:
    assert calibrated_on(tiny, IMAGES) == ()


def test_inputs_around_zero_leave_no_mark(tiny: Any) -> None:
    assert calibrated_on(tiny, (IMAGES - 0.4) / 0.35) == ()


@pytest.mark.parametrize("value", [1.0, 0.5, -2.0])
def test_a_constant_is_recognised_and_named(tiny: Any, value: float) -> None:
    (finding,) = calibrated_on(tiny, np.full_like(IMAGES, value))

    assert finding.startswith("image: ")
    assert f"{value:.4g} everywhere" in finding


def test_zeros_are_recognised(tiny: Any) -> None:
    assert any("all zeros" in finding for finding in calibrated_on(tiny, np.zeros_like(IMAGES)))


def test_0_to_255_fed_to_a_0_to_1_model_is_recognised_by_its_logits(tiny: Any) -> None:
    (finding,) = calibrated_on(tiny, IMAGES * 255)

    assert finding.startswith("y2: ")
    assert "SOFTMAX" in finding


def test_data_divided_by_255_twice_is_recognised(tiny: Any) -> None:
    (finding,) = calibrated_on(tiny, IMAGES / 255)

    assert "far smaller" in finding


def test_the_published_networks_leave_no_mark(kws: Path, ad01: Path) -> None:
    assert read_facts(kws.read_bytes()).uncalibrated_tensors == ()
    assert read_facts(ad01.read_bytes()).uncalibrated_tensors == ()


INTERPRET = """
import json, sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(model_path=sys.argv[1], experimental_preserve_all_tensors=True)
interpreter.allocate_tensors()
details = interpreter.get_input_details()[0]
interpreter.set_tensor(details["index"], np.full(details["shape"], int(sys.argv[2]), np.int8))
interpreter.invoke()
print(json.dumps({t["name"]: [int(interpreter.get_tensor(t["index"]).min()), int(interpreter.get_tensor(t["index"]).max())]
    for t in interpreter.get_tensor_details() if t["name"] in sys.argv[3:]}))
"""


@pytest.mark.parametrize("level", [-128, 0, 127])
def test_the_replay_agrees_with_the_interpreter_on_a_real_network(kws: Path, level: int) -> None:
    graph = read_graph(kws.read_bytes())[0]
    source = graph.tensors[graph.inputs[0]]
    value = (level - int(source.zero_points[0])) * float(source.scales[0])
    replayed = list(respond(graph, graph.inputs[0], value, 4))
    names = [tensor.name for tensor, _, _ in replayed]
    child = [sys.executable, "-c", INTERPRET, str(kws), str(level), *names]
    interpreted = json.loads(subprocess.run(child, capture_output=True, check=True, text=True).stdout)

    assert len(names) == 4
    for tensor, _, high in replayed:
        expected = (interpreted[tensor.name][1] - int(tensor.zero_points[0])) * float(tensor.scales[0])
        saturated = interpreted[tensor.name][1] == 127
        assert high >= expected * 0.97 if saturated else abs(high - expected) <= 0.03 * high + 2 * float(tensor.scales[0])
