"""What is rewritten before any stage computes the same, and what would not is left alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

PROGRAM = """
import json
import numpy as np
import tensorflow as tf, tensorflow_model_optimization, tf_keras
from edgepipe.pipeline.keras_rebuild import largest_difference
from edgepipe.pipeline.rewrites import rewritten

layers = tf_keras.layers

def nested():
    inner = tf_keras.Sequential([
        layers.Input((8, 8, 4)), layers.Conv2D(4, 3, padding="same", name="conv"), layers.BatchNormalization(name="norm")
    ], name="inner")
    given = layers.Input((8, 8, 4))
    mixed = layers.Conv2D(4, 1, name="mix")(inner(given))
    deep = tf_keras.Model(given, [mixed, layers.GlobalAveragePooling2D(name="gap")(mixed)], name="deep")
    x = layers.Input((8, 8, 4), name="x")
    picture, means = deep(x)
    return tf_keras.Model(x, layers.Dense(3, name="out")(layers.Concatenate()([layers.Flatten()(inner(picture * 2.0)), means])))

def swapped():
    left, right = layers.Input((4,), name="left"), layers.Input((4,), name="right")
    a, b = layers.Input((4,)), layers.Input((4,))
    pair = tf_keras.Model([a, b], layers.Subtract(name="less")([layers.Dense(4, name="d")(a), b]), name="pair")
    return tf_keras.Model([left, right], pair([right, left]))

def late(*after, before=()):
    given = [layers.Input((8, 8, 4), name="x"), *(before or [layers.Conv2D(6, 3, padding="same", activation="relu")])]
    return tf_keras.Sequential([*given, layers.BatchNormalization(name="late"), *after, layers.Dense(3, name="out")])

def branched():
    x = layers.Input((8, 8, 4), name="x")
    y = layers.BatchNormalization(name="late")(layers.Conv2D(4, 1, activation="relu")(x))
    return tf_keras.Model(x, layers.Dense(3)(layers.Flatten()(layers.Add()([layers.Conv2D(4, 1, name="next")(y), y]))))

conv = lambda **settings: layers.Conv2D(5, 3, name="next", **settings)
flat, pool = layers.Flatten, layers.MaxPooling2D
CASES = {
    "nested": nested,
    "inputs in another order": swapped,
    "valid": lambda: late(conv(use_bias=False), flat()),
    "same": lambda: late(conv(padding="same"), flat()),
    "same, not shifted": lambda: late(conv(padding="same"), flat()),
    "depthwise": lambda: late(layers.DepthwiseConv2D(3, depth_multiplier=2, name="next"), flat()),
    "grouped": lambda: late(layers.Conv2D(6, 3, groups=2, name="next"), flat()),
    "flat": lambda: late(layers.AveragePooling2D(), layers.Dropout(0.1), flat()),
    "highest, rising": lambda: late(pool(), flat()),
    "highest, falling": lambda: late(pool(), flat()),
    "separate activation": lambda: late(layers.ReLU(), flat(), before=[layers.Conv2D(6, 3), layers.ReLU()]),
    "branched": branched,
    "linear": lambda: late(flat(), before=[layers.Conv2D(6, 3)]),
    "vectors, activated": lambda: late(layers.ReLU(), before=[flat(), layers.Dense(6, activation="relu")]),
    "first": lambda: late(flat(), before=[layers.ReLU()]),
}

for name, make in CASES.items():
    model = make()
    random = np.random.default_rng(7)
    values = [random.normal(0, 0.3, weight.shape) for weight in model.get_weights()]
    for index, variable in enumerate(model.weights):
        if "variance" in variable.name or ("gamma" in variable.name and "falling" not in name):
            values[index] = np.abs(values[index]) + 0.5
        if name == "same, not shifted" and ("beta" in variable.name or "moving_mean" in variable.name):
            values[index] = 0 * values[index]
    model.set_weights(values)
    notes = []
    new, lines = rewritten(model, lambda event: notes.append(event.text))
    wrong = tf_keras.models.clone_model(new)
    shaken = [weight * 1.01 if weight.ndim == 4 else weight for weight in new.get_weights()]
    wrong.set_weights(shaken)
    print(json.dumps([name, {
        "same_model": new is model, "difference": largest_difference(model, new), "lines": lines, "notes": notes,
        "layers": [layer.name for layer in new.layers], "kinds": [type(layer).__name__ for layer in new.layers],
        "noticed": largest_difference(model, wrong),
    }]))
"""


@pytest.fixture(scope="module")
def cases() -> dict[str, dict[str, Any]]:
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads(line) for line in done.stdout.splitlines() if line.startswith("["))


def test_every_rewritten_model_computes_the_same_and_a_wrong_weight_would_be_noticed(cases: dict[str, dict[str, Any]]) -> None:
    for name, case in cases.items():
        assert case["difference"] <= 1e-5, name
        assert case["same_model"] == (case["lines"] == []), name
        assert len(case["notes"]) == len(case["lines"]), name
        if "Conv2D" in case["kinds"] or "DepthwiseConv2D" in case["kinds"]:
            assert case["noticed"] > 1e-5, name


def test_nested_models_become_one_graph_with_names_of_both_and_shared_layers_once(cases: dict[str, dict[str, Any]]) -> None:
    names = cases["nested"]["layers"]
    assert [name for name in names if "/" in name] == ["deep/inner/conv", "deep/inner/norm", "deep/mix", "deep/gap"]
    assert not {"Functional", "Sequential"} & set(cases["nested"]["kinds"])
    assert {"pair/d", "pair/less"} <= set(cases["inputs in another order"]["layers"])


@pytest.mark.parametrize("name", ["valid", "same, not shifted", "flat", "highest, rising"])
def test_a_late_norm_becomes_part_of_the_next_layer_where_nothing_mixes_it(cases: dict[str, dict[str, Any]], name: str) -> None:
    assert "late" not in cases[name]["layers"] and "part of" in cases[name]["lines"][0]


@pytest.mark.parametrize("name", ["same", "grouped", "highest, falling", "separate activation", "branched"])
def test_else_it_becomes_a_depthwise_convolution(cases: dict[str, dict[str, Any]], name: str) -> None:
    kinds = dict(zip(cases[name]["layers"], cases[name]["kinds"], strict=True))
    assert kinds["late"] == "DepthwiseConv2D"


def test_a_depthwise_convolution_takes_it_with_both_of_its_multipliers(cases: dict[str, dict[str, Any]]) -> None:
    assert "late" not in cases["depthwise"]["layers"]


@pytest.mark.parametrize("name", ["linear", "vectors, activated", "first"])
def test_what_tf_mot_folds_itself_and_what_cannot_be_written_otherwise_stays(cases: dict[str, dict[str, Any]], name: str) -> None:
    assert cases[name]["same_model"]
