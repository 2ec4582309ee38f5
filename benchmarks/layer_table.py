"""What TF-MOT takes, layer by layer, and what comes out of our quantisation for those that it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.result import write

PICTURE, SERIES, VECTOR = (8, 8, 4), (16, 4), (12,)
NOTHING: dict[str, Any] = {"rewritten": [], "float_tensors": None, "skipped": [], "problems_for_mcu": None, "message": ""}
WANTED = "whatever TF-MOT refuses comes out of qat for mcu with 0 float tensors, or with a message that says why it cannot"


def main() -> None:
    """Try every layer in one child process with TensorFlow and write the result."""
    table: dict[str, dict[str, Any]] = {}
    while missing := [name for name in LAYERS if name not in table]:
        table |= _in_a_child(missing)
    refused = [row for row in table.values() if row["qat_by_tfmot"] != "accepted"]
    figures = {
        "wanted": WANTED,
        "layers": len(table),
        "refused_by_tfmot": len(refused),
        "of_these_without_float_tensors": sum(row["float_tensors"] == 0 for row in refused),
        "of_these_with_a_message": sum(row["float_tensors"] != 0 and bool(row["message"]) for row in refused),
        "table": table,
    }
    print(write("layer_table", "python -m benchmarks.layer_table", figures).read_text())


def _in_a_child(names: list[str]) -> dict[str, dict[str, Any]]:
    """Return the rows that one process with TensorFlow made; where it crashed, the layer that did it has a row that says so."""
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    program = "import sys; from benchmarks.layer_table import try_these; try_these(sys.argv[1:])"
    done = subprocess.run([sys.executable, "-c", program, *names], env=environment, check=False, capture_output=True, text=True)
    rows = dict(json.loads(line) for line in done.stdout.splitlines() if line.startswith("["))
    if done.returncode:
        crashed = next(name for name in names if name not in rows)
        message = f"TensorFlow itself crashed ({signal.Signals(-done.returncode).name if done.returncode < 0 else done.returncode})"
        rows[crashed] = {
            **dict.fromkeys(("qat_by_tfmot", "prune_by_tfmot", "cluster_by_tfmot"), "crashed"),
            **NOTHING,
            "message": message,
        }
    return rows


def try_these(names: list[str]) -> None:
    """Print the row of each layer as a line of JSON."""
    for name in names:
        print(json.dumps([name, try_one(LAYERS[name])]), flush=True)


def try_one(make: Callable[[Any], Any]) -> dict[str, Any]:
    """Return what TF-MOT and what edgepipe do with a model around one layer."""
    import tensorflow_model_optimization as tfmot

    quantize, prune = tfmot.quantization.keras.quantize_model, tfmot.sparsity.keras.prune_low_magnitude
    cluster = tfmot.clustering.keras.cluster_weights
    centroids = {
        "number_of_clusters": 4,
        "cluster_centroids_init": tfmot.clustering.keras.CentroidInitialization.KMEANS_PLUS_PLUS,
    }
    return {
        "qat_by_tfmot": _verdict(lambda: quantize(make(None))),
        "prune_by_tfmot": _verdict(lambda: prune(make(None))),
        "cluster_by_tfmot": _verdict(lambda: cluster(make(None), **centroids)),
        **_ours(make),
    }


def _verdict(attempt: Callable[[], Any]) -> str:
    try:
        return "accepted" if attempt() is not None else "None"
    except Exception:  # noqa: BLE001  TF-MOT raises ValueError, RuntimeError, AttributeError, TypeError alike
        return "refused"


def _ours(make: Callable[[Any], Any]) -> dict[str, Any]:
    import numpy as np
    import tf_keras

    from edgepipe.errors import EdgepipeError
    from edgepipe.events import silent
    from edgepipe.facts import Claim, ClaimKind
    from edgepipe.pipeline.artefacts import require
    from edgepipe.pipeline.data import Dataset
    from edgepipe.pipeline.export.tflite import convert
    from edgepipe.pipeline.inspect.claims import prove
    from edgepipe.pipeline.inspect.flatbuffer import read_facts
    from edgepipe.pipeline.inspect.verify import verify
    from edgepipe.pipeline.rewrites import rewritten
    from edgepipe.pipeline.stages.quantize_aware import quantize_aware
    from edgepipe.pipeline.targets import TARGETS

    tf_keras.backend.clear_session()
    tf_keras.utils.set_random_seed(1)
    model = make(None)
    shape = (40, *model.inputs[0].shape[1:])
    random = np.random.default_rng(0)
    whole = "int" in model.inputs[0].dtype.name
    x = (
        random.integers(0, 5, shape).astype(model.inputs[0].dtype.name)
        if whole
        else random.standard_normal(shape).astype("float32")
    )
    model, rewrites = rewritten(model, silent)
    result = {**NOTHING, "rewritten": list(rewrites)}
    try:
        trained, skipped = quantize_aware(model)
        result["skipped"] = [type(model.get_layer(name)).__name__ for name in skipped]
    except EdgepipeError as exc:
        trained, result["message"] = model, exc.what
    try:
        trained.compile("sgd", "mse")
        trained.fit(x, trained.predict(x, verbose=0), epochs=1, verbose=0)
        facts = read_facts(convert(trained, "int8", Dataset(inputs={"x": x}, labels=None, source="random")))
        result["float_tensors"] = len(facts.float_tensors)
        require(prove([Claim(kind=ClaimKind.DTYPE, stage="quantize", wanted="int8")], facts, stage="quantize"), "quantize")
    except EdgepipeError as exc:
        return {**result, "message": str(exc)}
    problems = [str(problem) for problem in verify(facts, TARGETS["mcu"]).problems]
    return {**result, "problems_for_mcu": problems}


def _around(kind: str, shape: tuple[int, ...], *, dtype: str = "float32", **settings: Any) -> Callable[[Any], Any]:
    """Return a maker of a small model: one layer of this kind, then a dense one."""

    def make(_: Any) -> Any:
        import tf_keras

        layers = tf_keras.layers
        given = layers.Input(shape, dtype=dtype, name="x")
        y = getattr(layers, kind)(**settings)(given)
        y = layers.Flatten()(y) if len(y.shape) > 2 else y
        return tf_keras.Model(given, layers.Dense(3, name="out")(y))

    return make


def _after_convolution(kind: str, **settings: Any) -> Callable[[Any], Any]:
    def make(_: Any) -> Any:
        import tf_keras

        layers = tf_keras.layers
        given = layers.Input(PICTURE, name="x")
        y = layers.Conv2D(4, 3, padding="same", use_bias=False)(given)
        y = getattr(layers, kind)(**settings)(y)
        return tf_keras.Model(given, layers.Dense(3, name="out")(layers.Flatten()(y)))

    return make


def _late_norm(*between: str) -> Callable[[Any], Any]:
    def make(_: Any) -> Any:
        import tf_keras

        layers = tf_keras.layers
        given = layers.Input(PICTURE, name="x")
        y = layers.BatchNormalization(name="late")(layers.Conv2D(4, 3, padding="same", activation="relu")(given))
        for kind in between:
            y = getattr(layers, kind)()(y)
        return tf_keras.Model(given, layers.Dense(3, name="out")(layers.Flatten()(y)))

    return make


def _joined(kind: str) -> Callable[[Any], Any]:
    def make(_: Any) -> Any:
        import tf_keras

        layers = tf_keras.layers
        given = layers.Input(PICTURE, name="x")
        branches = [layers.Conv2D(4, 1)(given), layers.Conv2D(4, 1, activation="relu")(given)]
        return tf_keras.Model(given, layers.Dense(3, name="out")(layers.Flatten()(getattr(layers, kind)()(branches))))

    return make


def _attention(_: Any) -> Any:
    import tf_keras

    layers = tf_keras.layers
    given = layers.Input(SERIES, name="x")
    return tf_keras.Model(given, layers.Dense(3, name="out")(layers.Flatten()(layers.MultiHeadAttention(2, 4)(given, given))))


def _nested(_: Any) -> Any:
    import tf_keras

    layers = tf_keras.layers
    inner = tf_keras.Sequential([layers.Input(PICTURE), layers.Conv2D(4, 3, activation="relu")], name="inner")
    given = layers.Input(PICTURE, name="x")
    return tf_keras.Model(given, layers.Dense(3, name="out")(layers.Flatten()(inner(given))))


LAYERS: dict[str, Callable[[Any], Any]] = {
    "Conv2D": _around("Conv2D", PICTURE, filters=4, kernel_size=3),
    "Conv2D relu": _around("Conv2D", PICTURE, filters=4, kernel_size=3, activation="relu"),
    "Conv2D dilated": _around("Conv2D", PICTURE, filters=4, kernel_size=3, dilation_rate=2),
    "Conv2D strided": _around("Conv2D", PICTURE, filters=4, kernel_size=3, strides=2, padding="same"),
    "Conv2D grouped": _around("Conv2D", PICTURE, filters=4, kernel_size=3, groups=2),
    "Conv2D swish": _around("Conv2D", PICTURE, filters=4, kernel_size=3, activation="swish"),
    "Conv2D gelu": _around("Conv2D", PICTURE, filters=4, kernel_size=3, activation="gelu"),
    "Conv1D": _around("Conv1D", SERIES, filters=4, kernel_size=3),
    "Conv2DTranspose": _around("Conv2DTranspose", PICTURE, filters=4, kernel_size=3),
    "DepthwiseConv2D": _around("DepthwiseConv2D", PICTURE, kernel_size=3),
    "SeparableConv2D": _around("SeparableConv2D", PICTURE, filters=4, kernel_size=3),
    "SeparableConv1D": _around("SeparableConv1D", SERIES, filters=4, kernel_size=3),
    "Dense": _around("Dense", VECTOR, units=4),
    "Dense tanh": _around("Dense", VECTOR, units=4, activation="tanh"),
    "Dense softmax": _around("Dense", VECTOR, units=4, activation="softmax"),
    "Dense sigmoid": _around("Dense", VECTOR, units=4, activation="sigmoid"),
    "Dense elu": _around("Dense", VECTOR, units=4, activation="elu"),
    "BatchNormalization alone": _around("BatchNormalization", PICTURE),
    "BatchNormalization after Conv2D": _after_convolution("BatchNormalization"),
    "BatchNormalization after Conv2D relu": _late_norm(),
    "BatchNormalization after Conv2D relu, before LeakyReLU": _late_norm("LeakyReLU"),
    "LayerNormalization": _around("LayerNormalization", VECTOR),
    "Rescaling": _around("Rescaling", PICTURE, scale=1 / 255),
    "ReLU after Conv2D": _after_convolution("ReLU"),
    "ReLU 6 after Conv2D": _after_convolution("ReLU", max_value=6.0),
    "LeakyReLU after Conv2D": _after_convolution("LeakyReLU"),
    "PReLU after Conv2D": _after_convolution("PReLU", shared_axes=[1, 2]),
    "ELU after Conv2D": _after_convolution("ELU"),
    "Softmax": _around("Softmax", VECTOR),
    "MaxPooling1D": _around("MaxPooling1D", SERIES),
    "MaxPooling2D": _around("MaxPooling2D", PICTURE),
    "AveragePooling2D": _around("AveragePooling2D", PICTURE),
    "GlobalAveragePooling1D": _around("GlobalAveragePooling1D", SERIES),
    "GlobalAveragePooling2D": _around("GlobalAveragePooling2D", PICTURE),
    "GlobalMaxPooling2D": _around("GlobalMaxPooling2D", PICTURE),
    "UpSampling2D": _around("UpSampling2D", PICTURE),
    "ZeroPadding2D": _around("ZeroPadding2D", PICTURE),
    "Cropping2D": _around("Cropping2D", PICTURE),
    "Reshape": _around("Reshape", PICTURE, target_shape=(16, 16)),
    "Permute": _around("Permute", PICTURE, dims=(2, 1, 3)),
    "Dropout": _around("Dropout", VECTOR, rate=0.2),
    "Add": _joined("Add"),
    "Subtract": _joined("Subtract"),
    "Multiply": _joined("Multiply"),
    "Maximum": _joined("Maximum"),
    "Concatenate": _joined("Concatenate"),
    "Embedding": _around("Embedding", (6,), dtype="int32", input_dim=10, output_dim=4),
    "LSTM": _around("LSTM", SERIES, units=4),
    "LSTM unrolled": _around("LSTM", SERIES, units=4, unroll=True),
    "GRU": _around("GRU", SERIES, units=4),
    "GRU unrolled": _around("GRU", SERIES, units=4, unroll=True),
    "MultiHeadAttention": _attention,
    "nested model": _nested,
}

if __name__ == "__main__":
    main()
