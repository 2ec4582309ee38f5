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


NEWER_SETTINGS = """
import keras
from edgepipe.pipeline.keras_rebuild import rebuild
layers = keras.layers
x = keras.Input((16, 16, 3))
y = layers.RandomBrightness(0.1)(layers.RandomFlip()(layers.RandomContrast(0.2)(layers.RandomZoom(0.1)(x))))
y = layers.CenterCrop(8, 8)(layers.Resizing(12, 12)(y))
y = layers.SpatialDropout2D(0.1)(layers.Conv2D(4, 3)(y))
y = layers.ZeroPadding1D(1)(layers.Reshape((36, 4))(y))
y = layers.Conv3DTranspose(2, 2)(layers.Reshape((2, 19, 4, 1))(y))
model = rebuild(keras.Model(x, layers.Flatten()(y)), print)
print("as before:", model.count_params() > 0)
"""


def test_a_setting_that_keras_2_has_no_name_for_is_no_hindrance_where_it_does_the_same() -> None:
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-c", NEWER_SETTINGS], env=environment, capture_output=True, text=True, timeout=300)
    assert "as before: True" in done.stdout, done.stderr


TRAINING = """
import keras
import numpy as np
from edgepipe.pipeline.keras_rebuild import rebuild
frozen = keras.Sequential([keras.Input((64,)), keras.layers.BatchNormalization(momentum=0.5)], name="frozen")
x = keras.Input((64,))
y = keras.layers.Dropout(0.5)(keras.layers.BatchNormalization(momentum=0.5)(frozen(x, training=False)))
model = rebuild(keras.Model(x, y), print)
noise = np.random.default_rng(0).normal(3, 2, (32, 64)).astype("float32")
answers = [np.asarray(model(noise, training=training)) for training in (False, True)]
print("dropped:", [float(np.mean(each == 0)) for each in answers])
print("moved:", [bool(np.any(np.asarray(layer.moving_mean))) for layer in (model.get_layer("frozen").layers[-1], model.layers[2])])
"""


def test_in_training_the_copy_drops_and_normalises_as_the_model_did_and_frozen_parts_stay_frozen() -> None:
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-c", TRAINING], env=environment, capture_output=True, text=True, timeout=300)
    never, half = json.loads(done.stdout.split("dropped: ")[1].splitlines()[0])
    assert never == 0 and 0.4 < half < 0.6
    assert "moved: [False, True]" in done.stdout


RANDOM_CROP = """
import keras
from edgepipe.errors import UnsupportedModel
from edgepipe.pipeline.keras_rebuild import rebuild
x = keras.Input((16, 16, 3))
try:
    rebuild(keras.Model(x, keras.layers.RandomCrop(8, 8)(x)), print)
except UnsupportedModel as exc:
    print(exc)
"""


def test_a_layer_that_gives_another_shape_in_keras_2_is_refused() -> None:
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-c", RANDOM_CROP], env=environment, capture_output=True, text=True, timeout=300)
    assert "computes something else" in done.stdout, done.stderr


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


MIXED = """
import keras
from edgepipe.pipeline.keras_rebuild import rebuild
layers = keras.layers
keras.mixed_precision.set_global_policy("mixed_float16")
x = keras.Input((8, 8))
y = layers.LSTM(4, return_sequences=True)(layers.Bidirectional(layers.GRU(4, return_sequences=True))(x))
y = keras.Sequential([layers.Dense(4, activation="gelu"), layers.BatchNormalization()])(layers.MultiHeadAttention(2, 4)(y, y) * 2.0)
model = keras.Model(x, layers.Dense(3, activation="softmax", dtype="float32")(layers.Flatten()(y)))
keras.mixed_precision.set_global_policy("float32")
copy = rebuild(model, lambda note: print(note.text))
print("computes in:", *{layer.compute_dtype for layer in copy._flatten_layers()})
"""


def test_a_model_of_mixed_precision_computes_in_float32_from_then_on() -> None:
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-c", MIXED], env=environment, capture_output=True, text=True, timeout=300)
    assert "computes in float16 as it was trained" in done.stdout, done.stderr
    assert "computes in: float32\n" in done.stdout


RESCALED = """
import keras
from edgepipe.pipeline.keras_rebuild import rebuild
for scale, offset in ((2.0, -1.0), (1 / 255, 0.0)):
    x = keras.Input((8, 8, 1))
    y = keras.layers.Flatten()(keras.layers.Rescaling(scale, offset)(x))
    rebuild(keras.Model(x, keras.layers.Dense(3, activation="softmax")(y)), print)
print("proved")
"""


def test_a_model_that_shifts_0_to_1_is_not_asked_with_0_to_255() -> None:
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, "-c", RESCALED], env=environment, capture_output=True, text=True, timeout=300)
    assert done.stdout == "proved\n", done.stderr
