"""What TFLite Micro lacks in int8 comes out in another form, and answers what the float model answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

WANTED = {
    "elu": ["ELU"],
    "selu": ["ELU", "LEAKY_RELU", "MUL"],
    "gelu": ["MUL", "MUL", "ADD", "MUL", "LOGISTIC", "MUL"],
    "elu with a factor": ["ELU", "LEAKY_RELU"],
    "elu twice around a reshape": ["ELU", "ELU"],
    "steps repeated": ["RESIZE_NEAREST_NEIGHBOR"],
}
CONVERT = """
import json, sys
from pathlib import Path
import tensorflow as tf
import tensorflow_model_optimization
import numpy as np
import tf_keras
from edgepipe.pipeline.data import Dataset
from edgepipe.pipeline.export.tflite import convert

layers = tf_keras.layers
made = {
    "elu": lambda: [layers.Conv2D(6, 3, activation="elu")],
    "selu": lambda: [tf_keras.Sequential([layers.Input((8, 8, 3)), layers.Conv2D(6, 3, activation="selu")])],
    "gelu": lambda: [layers.Conv2D(6, 3), layers.Activation("gelu")],
    "elu with a factor": lambda: [layers.Conv2D(6, 3), layers.ELU(0.5)],
    "elu twice around a reshape": lambda: [layers.Conv2D(6, 3, activation="elu"), layers.Reshape((36, 6)), layers.ELU()],
    "steps repeated": lambda: [layers.Conv2D(6, 3), layers.Reshape((36, 6)), layers.UpSampling1D(3)],
    "gru both ways": lambda: [layers.Reshape((4, 48)), layers.Bidirectional(layers.GRU(3))],
    "lstm both ways": lambda: [layers.Reshape((4, 48)), layers.Bidirectional(layers.LSTM(3))],
    "lstm of another kind": lambda: [layers.Reshape((4, 48)), layers.LSTM(3, activation="relu")],
}
x = np.random.default_rng(0).normal(0, 2, (64, 8, 8, 3)).astype("float32")
for name, parts in made.items():
    tf_keras.utils.set_random_seed(1)
    model = tf_keras.Sequential([layers.Input((8, 8, 3)), *parts(), layers.Flatten(), layers.Dense(4)])
    before = model(x).numpy()
    content = convert(model, "int8", Dataset(inputs={"x": x}, labels=None, source="random"))
    assert np.array_equal(model(x).numpy(), before), "the model itself is spelt as it was"
    (Path(sys.argv[1]) / f"{name}.tflite").write_bytes(content)
    np.savez(Path(sys.argv[1]) / f"{name}.npz", x=x, y=before)
model = tf_keras.Sequential([layers.Input((4,)), layers.Dense(4, activation="gelu"), layers.ReLU(), layers.Dense(3)])
x = np.random.default_rng(0).normal(0, 2, (1, 4)).astype("float32")
(Path(sys.argv[1]) / "float").write_bytes(convert(model, "float32"))
np.savez(Path(sys.argv[1]) / "float.npz", x=x, y=model(x).numpy())
"""
RECURRENT = ("gru both ways", "lstm both ways", "lstm of another kind")
ASK = """
import json, sys
import numpy as np
from pathlib import Path
from tflite_micro.python.tflite_micro import runtime

def quantisation(port):
    given = port["quantization_parameters"]
    return given["scales"][0], given["zero_points"][0]

for path in sorted(Path(sys.argv[1]).glob("*.tflite")):
    known = np.load(path.with_suffix(".npz"))
    model = runtime.Interpreter.from_bytes(path.read_bytes(), arena_size=1 << 20)
    (scale, zero), (step, middle) = quantisation(model.get_input_details(0)), quantisation(model.get_output_details(0))
    errors = []
    for x, y in zip(known["x"], known["y"]):
        model.reset()
        model.set_input(np.clip(np.round(x / scale) + zero, -128, 127).astype("int8")[None], 0)
        model.invoke()
        errors.append(model.get_output(0)[0].astype(float) - middle - y / step)
    print(json.dumps([path.stem, float(np.sqrt(np.mean(np.square(errors))))]))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("spelling")
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run([sys.executable, "-c", CONVERT, str(made)], env=environment, capture_output=True, timeout=300, check=True)
    return made


@pytest.mark.parametrize("name", RECURRENT)
def test_a_loop_leaves_neither_itself_nor_floats_behind(folder: Path, name: str) -> None:
    from edgepipe.pipeline.inspect.flatbuffer import read_facts

    facts = read_facts((folder / f"{name}.tflite").read_bytes())
    assert not facts.float_tensors
    assert "WHILE" not in {op.op for op in facts.ops}


@pytest.mark.parametrize("name", WANTED)
def test_an_activation_is_spelt_in_operators_that_compute_in_int8(folder: Path, name: str) -> None:
    from edgepipe.pipeline.inspect.flatbuffer import read_facts

    facts = read_facts((folder / f"{name}.tflite").read_bytes())
    activation = [op.op for op in facts.ops if op.op not in ("CONV_2D", "RESHAPE", "FULLY_CONNECTED")]
    assert activation == WANTED[name]
    assert not facts.float_tensors


def test_tflite_micro_answers_what_the_float_model_answers(folder: Path) -> None:
    pytest.importorskip("tflite_micro", reason="pip install 'edgepipe[micro]' (x86-64 Linux only)")
    done = subprocess.run([sys.executable, "-c", ASK, str(folder)], capture_output=True, text=True, timeout=120, check=True)
    errors = dict(json.loads(line) for line in done.stdout.splitlines() if line.startswith("["))
    assert set(errors) == {*WANTED, *RECURRENT}
    assert all(steps < 2 for steps in errors.values()), errors  # root mean square, in steps of the output


def test_a_gelu_before_a_relu_which_the_converter_no_longer_recognises_is_converted(folder: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    known = np.load(folder / "float.npz")
    model = Interpreter(model_content=(folder / "float").read_bytes())
    model.allocate_tensors()
    model.set_tensor(model.get_input_details()[0]["index"], known["x"])
    model.invoke()
    assert model.get_tensor(model.get_output_details()[0]["index"]) == pytest.approx(known["y"], abs=2e-3)
