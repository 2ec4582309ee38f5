"""A Keras 3 model built again in Keras 2 computes the same, and a copy that does not is noticed."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

PROGRAM = "import sys; from benchmarks.keras_bridge import check; check(sys.argv[1])"


@pytest.mark.parametrize("name", ["nested", "two inputs, shared layer", "attention", "squeeze and excite"])
def test_the_copy_is_the_same_and_every_permuted_weight_is_noticed(name: str) -> None:
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, name], env=environment, capture_output=True, text=True, timeout=300, check=True
    )
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["largest_difference"] <= 1e-5
    assert seen["logits_std"] >= 0.1
    assert seen["permutations_missed"] == []
    assert seen["weight_tensors"] >= 6


UNKNOWN = """
import keras
from edgepipe.errors import UnsupportedModel
from edgepipe.pipeline.keras_rebuild import rebuild
x = keras.Input((8, 8, 4))
y = keras.layers.GroupNormalization(2, name="groups")(x)
y = keras.layers.Conv2D(4, 1, activation="glu", name="gated")(y)
y = keras.ops.erf(y)
try:
    rebuild(keras.Model(x, y), print)
except UnsupportedModel as exc:
    print("\\n".join(exc.problems))
"""


def test_all_parts_without_a_twin_are_named_at_once() -> None:
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-c", UNKNOWN], env=environment, capture_output=True, text=True, timeout=300, check=True)
    assert '"gated"' in done.stdout and "Erf" in done.stdout
