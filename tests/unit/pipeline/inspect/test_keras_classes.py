"""The lists of what a configuration may name are held against the Keras that is installed."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from edgepipe.pipeline.inspect.keras_classes import CLASSES, FUNCTIONS, LAYERS, REFUSED_LAYERS, TENSORFLOW_FUNCTION, objections

PUBLIC = """
import importlib, json, os
os.environ["TF_USE_LEGACY_KERAS"] = "1"
import keras, tf_keras
found = {}
parts = "layers initializers regularizers constraints optimizers optimizers.schedules losses metrics activations"
for part in parts.split():
    names = set()
    for root in (keras, tf_keras):
        place = root
        for step in part.split("."):
            place = getattr(place, step)
        names |= {name for name in dir(place) if not name.startswith("_")}
    found[part] = sorted(names)
print(json.dumps(found))
"""
BASES = {"Initializer", "Regularizer", "Constraint", "Optimizer", "LearningRateSchedule", "Loss", "Metric", "Input"}
LEFT_OUT = {"MultiOptimizer", "OptimizerMap", "Reduction"}


@pytest.fixture(scope="module")
def public() -> dict[str, set[str]]:
    """What both Keras offer, by module."""
    pytest.importorskip("keras", reason="needs edgepipe[compress]")
    done = subprocess.run([sys.executable, "-c", PUBLIC], capture_output=True, check=True, timeout=200)
    return {part: set(names) for part, names in json.loads(done.stdout).items()}


def test_each_layer_of_keras_was_decided_about(public: dict[str, set[str]]) -> None:
    classes = {name for name in public["layers"] if name[0].isupper()} - BASES
    assert classes - LAYERS - set(REFUSED_LAYERS) == set()
    assert LAYERS & set(REFUSED_LAYERS) == set()


def test_no_name_is_allowed_that_no_keras_has(public: dict[str, set[str]]) -> None:
    assert LAYERS - public["layers"] <= {"GroupedQueryAttention"}


@pytest.mark.parametrize(
    "part", ["initializers", "regularizers", "constraints", "optimizers", "optimizers.schedules", "losses", "metrics"]
)
def test_the_other_classes_of_keras_are_allowed_and_no_others(public: dict[str, set[str]], part: str) -> None:
    classes = {name for name in public[part] if name[0].isupper()} - BASES - LEFT_OUT
    assert classes - CLASSES[part] == set()


def test_the_functions_of_keras_are_allowed_except_those_that_build_objects(public: dict[str, set[str]]) -> None:
    functions = {name for part in ("activations", "losses", "metrics") for name in public[part] if name[0].islower()}
    assert functions - FUNCTIONS == {"get", "serialize", "deserialize", "experimental"}


@pytest.mark.parametrize(
    "name", ["io.write_file", "py_function", "numpy_function", "raw_ops.WriteFile", "math.add.io", "load_library"]
)
def test_functions_of_tensorflow_that_do_more_than_compute_are_refused(name: str) -> None:
    assert not TENSORFLOW_FUNCTION.fullmatch(name)


@pytest.mark.parametrize(
    "name", ["math.multiply", "__operators__.add", "nn.relu", "reshape", "compat.v1.transpose", "image.resize"]
)
def test_functions_of_tensorflow_that_compute_are_allowed(name: str) -> None:
    assert TENSORFLOW_FUNCTION.fullmatch(name)


def test_each_of_many_objections_names_its_own_layer() -> None:
    layers = [{"module": "os", "class_name": "system", "config": {"name": f"n{number}"}} for number in range(3)]
    found = [*objections({"module": "keras", "class_name": "Sequential", "config": {"name": "m", "layers": layers}})]
    assert [line.split(":")[0] for line in found] == ['layer "n0"', 'layer "n1"', 'layer "n2"']
