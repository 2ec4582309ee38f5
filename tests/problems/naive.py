"""The usual ways, as tutorials show them, each run once: what goes wrong without edgepipe, as files and outcomes. Run as a program.

Every function leaves in its folder what one has afterwards, and returns what one was told.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras
from tf_keras import layers

RANDOM = np.random.default_rng(5)
PIXELS = RANDOM.random((64, 8, 8, 1), np.float32)
CLASSES = np.arange(64) % 10


def outcome(attempt: Callable[[], Any]) -> str:
    """Return how it ended: "done", "None", or the error's first line."""
    try:
        return "None" if attempt() is None else "done"
    except Exception as exc:  # noqa: BLE001  whatever it says is the outcome
        return str(exc).splitlines()[0]


def small(*more: Any, name: str = "small") -> Any:
    """Return a compiled network of a convolution, `more`, and ten answers."""
    chain = [layers.Input((8, 8, 1)), layers.Conv2D(8, 3, activation="relu", name="conv"), *more, layers.Flatten()]
    model = tf_keras.Sequential([*chain, layers.Dense(10, activation="softmax", name="answer")], name=name)
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def samples() -> Iterator[list[Any]]:
    """Yield representative data for the converter."""
    yield from ([PIXELS[index : index + 1]] for index in range(32))


def keras_3_models_refused(zoo: Path, to: Path) -> dict[str, Any]:
    """Hand a Keras 3 model to TF-MOT."""
    import keras

    model = keras.saving.load_model(zoo / "keras3.keras")
    return {
        "quantize": outcome(lambda: tfmot.quantization.keras.quantize_model(model)),
        "prune": outcome(lambda: tfmot.sparsity.keras.prune_low_magnitude(model)),
        "cluster": outcome(
            lambda: tfmot.clustering.keras.cluster_weights(
                model, number_of_clusters=8, cluster_centroids_init=tfmot.clustering.keras.CentroidInitialization.LINEAR
            )
        ),
    }


def full_integer_models_with_float_inputs(zoo: Path, to: Path) -> dict[str, Any]:
    """Ask for full integers, with the attribute misspelt; and for "optimised" without data."""
    converter = tf.lite.TFLiteConverter.from_keras_model(small())
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = samples
    converter.target_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    (to / "full_integer.tflite").write_bytes(converter.convert())
    converter = tf.lite.TFLiteConverter.from_keras_model(small())
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    (to / "hybrid.tflite").write_bytes(converter.convert())
    return {}


def qat_dies_on_the_first_unsupported_layer(zoo: Path, to: Path) -> dict[str, Any]:
    """Train with quantisation on a network with two layers that TF-MOT does not know."""
    model = small(layers.PReLU(name="slope"), layers.LayerNormalization(name="norm"))
    model.save(to / "two_unsupported.keras")
    return {"quantize": outcome(lambda: tfmot.quantization.keras.quantize_model(model))}


def dynamic_batch_after_conversion(zoo: Path, to: Path) -> dict[str, Any]:
    """Convert a Keras 3 model as it is."""
    import keras

    model = keras.saving.load_model(zoo / "keras3.keras")
    (to / "open_batch.tflite").write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    return {}


def didnt_find_op_on_the_microcontroller(zoo: Path, to: Path) -> dict[str, Any]:
    """Convert a network with an operator that TFLite has and TFLite Micro has not."""
    four = layers.Input((4,), name="four")
    model = tf_keras.Model(four, layers.Dense(3, name="answer")(layers.Activation("gelu", name="bend")(layers.Dense(8)(four))))
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([RANDOM.random((1, 4), np.float32)] for _ in range(16))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    (to / "missing_op.tflite").write_bytes(converter.convert())
    return {}


def pruning_that_changed_neither_size_nor_speed(zoo: Path, to: Path) -> dict[str, Any]:
    """Prune half of the weights, and save it with the wrappers still on."""
    model = small()
    model.save(to / "before.h5")
    schedule = tfmot.sparsity.keras.ConstantSparsity(0.5, begin_step=0, frequency=1)
    pruned = tfmot.sparsity.keras.prune_low_magnitude(tf_keras.models.clone_model(model), pruning_schedule=schedule)
    pruned.compile("adam", "sparse_categorical_crossentropy")
    pruned.fit(PIXELS, CLASSES, verbose=0, callbacks=[tfmot.sparsity.keras.UpdatePruningStep()])
    pruned.save(to / "wrapped.h5")
    stripped = tfmot.sparsity.keras.strip_pruning(pruned)
    for name, each in (("before", model), ("pruned", stripped)):
        (to / f"{name}.tflite").write_bytes(tf.lite.TFLiteConverter.from_keras_model(each).convert())
    return {}


def representative_data_in_the_wrong_order(zoo: Path, to: Path) -> dict[str, Any]:
    """Give the two inputs of a network representative data in one order and in the other: both are taken."""
    left, right = layers.Input((4,), name="left"), layers.Input((4,), name="right")
    model = tf_keras.Model([left, right], layers.Add()([layers.Dense(3)(left), layers.Dense(3)(right)]))
    near, far = RANDOM.random((16, 1, 4), np.float32), 50 * RANDOM.random((16, 1, 4), np.float32)
    for name, first, second in (("right_order", near, far), ("wrong_order", far, near)):
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda first=first, second=second: ([a, b] for a, b in zip(first, second, strict=True))
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        (to / f"{name}.tflite").write_bytes(converter.convert())
    model.compile("adam", "mse")
    model.save(to / "two_inputs.keras")
    np.savez(to / "named.npz", left=near[:, 0], right=far[:, 0], y=np.zeros((16, 3), np.float32))
    np.savez(to / "named_turned.npz", y=np.zeros((16, 3), np.float32), right=far[:, 0], left=near[:, 0])
    return {}


def flex_ops_the_board_cannot_run(zoo: Path, to: Path) -> dict[str, Any]:
    """Let the converter fall back on TensorFlow's own operators."""
    function = tf.function(tf.linalg.det).get_concrete_function(tf.TensorSpec((1, 4, 4), name="matrix"))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    (to / "flex.tflite").write_bytes(converter.convert())
    return {}


def accuracy_collapse_that_nobody_can_locate(zoo: Path, to: Path) -> dict[str, Any]:
    """Convert a network in which one channel of its first layer is large, and the second layer takes it back: float is unharmed."""
    model = small(layers.Conv2D(8, 3, activation="relu", name="second"), layers.Conv2D(8, 3, activation="relu", name="third"))
    (kernel, bias), (behind, rest) = model.get_layer("conv").get_weights(), model.get_layer("second").get_weights()
    kernel[..., 3], bias[3], behind[:, :, 3] = 1000 * kernel[..., 3], 1000 * bias[3], behind[:, :, 3] / 1000
    model.get_layer("conv").set_weights([kernel, bias])
    model.get_layer("second").set_weights([behind, rest])
    model.save(to / "collapsed.keras")
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    (to / "sound.tflite").write_bytes(converter.convert())
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = samples
    (to / "collapsed.tflite").write_bytes(converter.convert())
    return {}


def stages_that_undo_each_other(zoo: Path, to: Path) -> dict[str, Any]:
    """Prune most weights, then train with quantisation as its own tutorial shows."""
    schedule = tfmot.sparsity.keras.ConstantSparsity(0.8, begin_step=0, frequency=1)
    pruned = tfmot.sparsity.keras.prune_low_magnitude(small(), pruning_schedule=schedule)
    pruned.compile("adam", "sparse_categorical_crossentropy")
    pruned.fit(PIXELS, CLASSES, epochs=2, verbose=0, callbacks=[tfmot.sparsity.keras.UpdatePruningStep()])
    stripped = tfmot.sparsity.keras.strip_pruning(pruned)
    before = _zeros(stripped)
    aware = tfmot.quantization.keras.quantize_model(stripped)
    aware.compile("adam", "sparse_categorical_crossentropy")
    aware.fit(PIXELS, CLASSES, epochs=2, verbose=0)
    return {"sparsity_before": before, "sparsity_after": _zeros(aware)}


def _zeros(model: Any) -> float:
    """Return the share of zeros among the weights of the convolution and the dense layer."""
    kernels = [weight.numpy() for weight in model.weights if "kernel" in weight.name]
    return float(sum((kernel == 0).sum() for kernel in kernels) / sum(kernel.size for kernel in kernels))


ATTEMPTS = (
    keras_3_models_refused,
    full_integer_models_with_float_inputs,
    qat_dies_on_the_first_unsupported_layer,
    dynamic_batch_after_conversion,
    didnt_find_op_on_the_microcontroller,
    pruning_that_changed_neither_size_nor_speed,
    representative_data_in_the_wrong_order,
    flex_ops_the_board_cannot_run,
    accuracy_collapse_that_nobody_can_locate,
    stages_that_undo_each_other,
)


def main(zoo: Path, to: Path) -> None:
    """Make every attempt and write down how each ended."""
    tf_keras.utils.set_random_seed(0)
    small().save(to / "small.keras")
    np.savez(to / "pixels.npz", x=PIXELS, y=CLASSES)
    outcomes = {attempt.__name__: attempt(zoo, to) for attempt in ATTEMPTS}
    (to / "outcomes.json").write_text(json.dumps(outcomes))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
