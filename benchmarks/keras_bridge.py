"""Keras 3 models rebuilt in Keras 2: the largest difference on random inputs, and whether any permuted weight tensor is noticed."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.result import FOLDER, write

SMALLEST_STD = 0.1  # of the logits over inputs: an output that hardly moves proves nothing
NO_EFFECT = "/key/bias"  # adds the same to a query's score for every key, which the softmax over keys takes away again
WANTED = "difference at most 1e-5, every permuted weight tensor noticed, logits vary with a standard deviation of at least 0.1"


def main(names: list[str]) -> None:
    """Check each model in a process of its own and write the result; models that are named take their place in the stored one."""
    program = "import sys; from benchmarks.keras_bridge import check; check(sys.argv[1])"
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    stored = json.loads((FOLDER / "keras_bridge.json").read_text())["figures"] if names else {}
    figures: dict[str, Any] = {**stored, "wanted": WANTED}
    for name in names or MODELS:
        done = subprocess.run([sys.executable, "-c", program, name], env=environment, check=False, capture_output=True, text=True)
        figures[name] = _seen(done)
        print(name, figures[name], flush=True)
    write("keras_bridge", "python -m benchmarks.keras_bridge", {**figures, "measured_again_by_name": names})


def _seen(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    if done.returncode:
        refusal = [line for line in done.stderr.splitlines() if "Error" in line or "UnsupportedModel" in line]
        return {"reached": False, "message": (refusal or ["no reason given"])[-1]}
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seen


def check(name: str) -> None:
    """Rebuild one randomised model, permute each weight tensor of the copy in turn, print what was seen as JSON."""
    import numpy as np

    from edgepipe.pipeline.keras_rebuild import TOLERANCE, answers, difference, largest_difference, probes, rebuild

    model = MODELS[name]()
    randomise(model)
    copy = rebuild(model, lambda event: None)
    inputs = probes(model, 0)
    theirs = answers(model, inputs)  # once: only the copy changes
    random = np.random.default_rng(5)
    seen: dict[str, list[str]] = {"noticed": [], "missed": [], "without effect in theory": [], "one value": []}
    smallest = math.inf
    for variable in copy.weights:
        value = variable.numpy()
        changed = random.permutation(value.reshape(-1)).reshape(value.shape)
        if np.array_equal(changed, value):  # of two values, every second permutation changes nothing
            changed = np.roll(value, 1)
        if np.array_equal(changed, value):
            seen["one value"].append(variable.name)
            continue
        _assign(copy, variable, changed)
        found = difference(theirs, answers(copy, inputs), name=name)
        _assign(copy, variable, value)
        if found is None or found <= TOLERANCE:
            seen["without effect in theory" if NO_EFFECT in variable.name else "missed"].append(variable.name)
        else:
            seen["noticed"].append(variable.name)
            smallest = min(smallest, found)
    std, found = _logits_std(model), largest_difference(model, copy)
    result = {
        "largest_difference": found,
        "logits_std": std,
        "weight_tensors": len(copy.weights),
        "permutations_noticed": len(seen["noticed"]),
        "smallest_difference_of_a_permutation": smallest,
        "permutations_missed": seen["missed"],
        "without_effect_in_theory": seen["without effect in theory"],
        "nothing_to_permute": seen["one value"],
        "reached": not seen["missed"] and std >= SMALLEST_STD and found is not None and found <= TOLERANCE,
    }
    print(json.dumps(result))


def _assign(model: Any, variable: Any, value: Any) -> None:
    variable.assign(value)
    for layer in model._flatten_layers():
        if hasattr(layer, "finalize_state"):  # computes with what it derived from its weights, not with them
            layer.finalize_state()


def randomise(model: Any, seed: int = 0) -> None:
    """Give every weight a random value and keep activations alive: BatchNorm statistics are those of random data, disturbed."""
    import keras
    import numpy as np

    from edgepipe.pipeline.keras_rebuild import probes

    random = np.random.default_rng(seed)
    for variable in model.weights:
        shape, path = variable.shape, variable.path
        if len(shape) >= 2:
            fan_in = np.prod(shape[:2]) if "depthwise" in path else np.prod(shape[:-1])
            variable.assign(random.normal(0, np.sqrt(2 / fan_in), shape))
        elif "gamma" in path:
            variable.assign(random.uniform(0.7, 1.3, shape))
        elif "variance" not in path and "seed" not in path:
            variable.assign(random.normal(0, 0.1, shape))
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Normalization):
            layer.adapt_variance.assign(random.uniform(0.5, 1.5, layer.adapt_variance.shape))
            layer.finalize_state()
    norms = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    for norm in norms:
        norm.momentum = 0.0
    model(probes(model, 8), training=True)
    for norm in norms:
        norm.moving_variance.assign(norm.moving_variance.numpy() * random.uniform(0.8, 1.2, norm.moving_variance.shape) + 1e-3)
    last = [layer for layer in model.layers if layer.weights][-1].weights[0]
    last.assign(last.numpy() / _logits_std(model))


def _logits_std(model: Any) -> float:
    """Return how much the first output varies over random inputs: the standard deviation over samples, averaged."""
    import numpy as np

    from edgepipe.pipeline.keras_rebuild import probes

    outputs = model(probes(model, 9), training=False)
    first = outputs[0] if isinstance(outputs, list | tuple) else outputs
    return float(np.mean(np.std(np.asarray(first).reshape(16, -1), axis=0)))


def _application(kind: str, side: int = 64) -> Callable[[], Any]:
    def make() -> Any:
        import keras

        build = getattr(keras.applications, kind)
        return build(weights=None, input_shape=(side, side, 3), classes=10, classifier_activation=None)

    return make


def _nested() -> Any:
    import keras

    layers = keras.layers
    inner = keras.Sequential(
        [layers.Input((8, 8, 3)), layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization()], name="inner"
    )
    picture = layers.Input((8, 8, 3))
    return keras.Model(picture, layers.Dense(5)(layers.Flatten()(inner(picture))))


def _two_inputs() -> Any:
    import keras

    layers = keras.layers
    left, right = layers.Input((8,), name="left"), layers.Input((8,), name="right")
    shared = layers.Dense(6, activation="gelu")
    joined = layers.Concatenate()([shared(left), shared(right) * 2.0])
    return keras.Model([left, right], [layers.Dense(3)(joined), layers.Dense(2)(joined)])


def _squeeze_and_excite() -> Any:
    import keras

    layers = keras.layers
    picture = layers.Input((8, 8, 3))
    x = layers.Conv2D(8, 3, padding="same", activation="hard_silu")(picture)
    gate = layers.Conv2D(8, 1, activation="hard_sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    x = layers.Activation("hard_swish")(layers.BatchNormalization()(x * gate + 0.5))
    return keras.Model(picture, layers.Dense(4)(layers.Flatten()(x)))


def _attention() -> Any:
    import keras

    layers = keras.layers
    words = layers.Input((10, 16))
    x = layers.LayerNormalization()(words)
    x = layers.Add()([layers.MultiHeadAttention(2, 8)(x, x), words])
    return keras.Model(words, layers.Dense(4)(layers.GlobalAveragePooling1D()(x)))


MODELS: dict[str, Callable[[], Any]] = {
    "nested": _nested,
    "two inputs, shared layer": _two_inputs,
    "squeeze and excite": _squeeze_and_excite,
    "attention": _attention,
    "MobileNet": _application("MobileNet"),
    "MobileNetV2": _application("MobileNetV2"),
    "MobileNetV3Small": _application("MobileNetV3Small"),
    "MobileNetV3Large": _application("MobileNetV3Large"),
    "ResNet50": _application("ResNet50"),
    "EfficientNetB0": _application("EfficientNetB0"),
    "DenseNet121": _application("DenseNet121"),
    "Xception": _application("Xception", 71),
}

if __name__ == "__main__":
    main(sys.argv[1:])
