"""One layer of a trained network is poisoned before it is quantised, in four ways; is it the first that `debug-quant` names?

The search sees the two files and the data, nothing else. Beside its answer stands where the layer comes when layers are ordered by
the error at their end, as it is usually done, and by their own error without regard to what becomes of it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.result import write
from edgepipe.losses import LayerLoss
from edgepipe.pipeline.data import Dataset, load
from edgepipe.pipeline.inspect.losses.find import Twins, find_losses

SEEDS = 20
KINDS = ("channel", "weight", "bias", "range")
LAYERS = ("one", "two", "three", "four", "five", "six", "seven")
TRAINED_ON, LOOKED_AT = 1200, 64  # samples; the others are held back
FACTOR = 1000.0
SAME_SCALE = ("MAX_POOL_2D", "RESHAPE")  # hand on what they are given in the same scale


def main() -> None:
    """Poison a layer for each seed and write the result."""
    with tempfile.TemporaryDirectory(prefix="edgepipe-poisoned-") as folder:
        cases = make(Path(folder), range(SEEDS))
        found = [look(Path(folder), case) for case in cases]
    for each in found:
        print(each, flush=True)
    figures = {
        "wanted": "the poisoned layer is named first, 20 of 20",
        "named_first": sum(each["rank"] == 1 for each in found),
        "first_by_error_at_its_end": sum(each["rank_by_error_at_its_end"] == 1 for each in found),
        "first_by_own_error_alone": sum(each["rank_by_own_error_alone"] == 1 for each in found),
        "of": len(found),
        "with_a_cause": sum(bool(each["cause"]) for each in found),
        "cases": found,
    }
    write("poisoned_layer", "python -m benchmarks.poisoned_layer", figures)


def make(folder: Path, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Write the twins of each seed into `folder`, in a process with TensorFlow; return what was done to which."""
    program = "import sys; from benchmarks.poisoned_layer import poison; poison(sys.argv[1], [int(each) for each in sys.argv[2:]])"
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    subprocess.run([sys.executable, "-c", program, str(folder), *map(str, seeds)], env=environment, check=True, capture_output=True)
    cases: list[dict[str, Any]] = json.loads((folder / "cases.json").read_text(encoding="utf-8"))
    return cases


def look(folder: Path, case: dict[str, Any]) -> dict[str, Any]:
    """Return the poisoned layer's rank by what arrives at the answer, and by the two simpler orders."""
    data = load("digits", base=Path()).take(np.arange(TRAINED_ON, TRAINED_ON + 4 * LOOKED_AT))
    twins = Twins(wide=folder / f"{case['seed']}-float.tflite", narrow=folder / f"{case['seed']}-int8.tflite", layers=LAYERS)
    losses = find_losses(twins, data, samples=LOOKED_AT)
    by_end = sorted(losses.layers, key=lambda each: _level(each.total_db))
    by_own = sorted(losses.layers, key=lambda each: _level(each.own_db))
    return {
        **case,
        "rank": _place(losses.ranked, case["layer"]),
        "rank_by_error_at_its_end": _place(by_end, case["layer"]),
        "rank_by_own_error_alone": _place(by_own, case["layer"]),
        "named": losses.ranked[0].layer,
        "effect_db": losses.ranked[0].effect_db,
        "next_db": next((each.effect_db for each in losses.ranked if each.layer != losses.ranked[0].layer), None),
        "changed": losses.changed,
        "answers": losses.answers,
        "right_float": losses.right_float,
        "right_quantised": losses.right_quantised,
        "cause": losses.ranked[0].cause,
    }


def _level(decibels: float | None) -> float:
    return np.inf if decibels is None else decibels


def _place(order: Sequence[LayerLoss], layer: str) -> int:
    """Return the layer's place among the layers, each counted once, where its worst tensor stands."""
    return list(dict.fromkeys(each.layer for each in order)).index(layer) + 1


def poison(folder: str, seeds: Sequence[int]) -> None:
    """Train a network once and write, for each seed, a poisoned model, its float file and the int8 twin. Runs with TensorFlow."""
    import tf_keras

    from edgepipe.pipeline.export.tflite import convert

    tf_keras.utils.set_random_seed(0)
    data = load("digits", base=Path()).take(np.arange(TRAINED_ON))
    model = _network()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(next(iter(data.inputs.values())), data.labels, epochs=12, batch_size=32, verbose=0)
    healthy = model.get_weights()
    cases = []
    for seed in seeds:
        random = np.random.default_rng(seed)
        kind = KINDS[seed % len(KINDS)]
        # A channel and a bias are made up for in the layer behind, a weight in the one before.
        layer = str(random.choice({"range": LAYERS, "weight": LAYERS[1:]}.get(kind, LAYERS[:-1])))
        model.set_weights(healthy)
        if kind in CHANGES:
            CHANGES[kind](model, layer, random)
        calibration = Dataset(inputs={"pixels": next(iter(data.inputs.values()))[:200]}, labels=None, source="digits")
        narrow = convert(model, "int8", calibration)
        if kind == "range":
            narrow = _misjudge_range(narrow, LAYERS.index(layer), float(random.choice([1 / 16, 1 / 8, 16, 32])))
        (Path(folder) / f"{seed}-float.tflite").write_bytes(convert(model, "float32"))
        (Path(folder) / f"{seed}-int8.tflite").write_bytes(narrow)
        model.save(Path(folder) / f"{seed}.keras")
        cases.append({"seed": seed, "kind": kind, "layer": layer})
    (Path(folder) / "cases.json").write_text(json.dumps(cases), encoding="utf-8")


def _network() -> Any:
    import tf_keras

    layers = tf_keras.layers
    stack = [layers.Conv2D(16, 3, padding="same", activation="relu", name=name) for name in LAYERS[:3]]
    deeper = [layers.Conv2D(32, 3, padding="same", activation="relu", name=name) for name in LAYERS[3:5]]
    ends = [layers.Dense(48, activation="relu", name="six"), layers.Dense(10, activation="softmax", name="seven")]
    start = layers.Input((8, 8, 1), name="pixels")
    return tf_keras.Sequential([start, *stack, layers.MaxPooling2D(name="pool"), *deeper, layers.Flatten(name="flat"), *ends])


def _scale_channel(model: Any, layer: str, random: np.random.Generator) -> None:
    """One channel a thousand times as large, and the layer behind a thousand times less fond of it: the same function in float."""
    kernel, bias = model.get_layer(layer).get_weights()
    channel = int(random.integers(kernel.shape[-1]))
    kernel[..., channel] *= FACTOR
    bias[channel] *= FACTOR
    model.get_layer(layer).set_weights([kernel, bias])
    _weigh_channel(model, layer, channel, kernel.shape[-1], 1 / FACTOR)


def _outlier_weight(model: Any, layer: str, random: np.random.Generator) -> None:
    """One weight a hundred times as large as the largest, on an input that is never anything but zero: float does not notice.

    (An outlier on a live input is loud in float too, and its layer then answers for the network's whole range in both alike.)
    """
    before = model.get_layer(LAYERS[LAYERS.index(layer) - 1])
    source, shift = before.get_weights()
    dead = int(random.integers(source.shape[-1]))
    source[..., dead], shift[dead] = 0, 0
    before.set_weights([source, shift])
    kernel, bias = model.get_layer(layer).get_weights()
    kernel[..., dead, random.integers(kernel.shape[-1])] = 100 * np.abs(kernel).max()
    model.get_layer(layer).set_weights([kernel, bias])


def _loud_bias(model: Any, layer: str, random: np.random.Generator) -> None:
    """One channel that is always a thousand and that nobody listens to: the range is all its own."""
    kernel, bias = model.get_layer(layer).get_weights()
    channel = int(random.integers(kernel.shape[-1]))
    bias[channel] = FACTOR
    model.get_layer(layer).set_weights([kernel, bias])
    _weigh_channel(model, layer, channel, kernel.shape[-1], 0.0)


def _weigh_channel(model: Any, layer: str, channel: int, channels: int, factor: float) -> None:
    """Multiply what the layer behind makes of one channel; behind a Flatten a channel is every `channels`-th input."""
    behind = model.get_layer(LAYERS[LAYERS.index(layer) + 1])
    kernel, bias = behind.get_weights()
    if kernel.ndim == 4:
        kernel[:, :, channel] *= factor
    else:
        kernel[channel::channels] *= factor
    behind.set_weights([kernel, bias])


def _misjudge_range(content: bytes, layer: int, factor: float) -> bytes:
    """Return the file with the output range of its layer number `layer` off by a factor, as from calibration with other data.

    What hands the values on shares the scale, and the bias behind is stored anew, since its scale is made of the input's.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(bytearray(content), 0)
    graph = model.subgraphs[0]
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    products = [op for op in graph.operators if op.inputs is not None and len(op.inputs) == 3]
    kept = [getattr(schema.BuiltinOperator, name) for name in SAME_SCALE]
    reached = [int(products[layer].outputs[0])]
    for op in graph.operators:
        if int(op.inputs[0]) in reached and codes[op.opcodeIndex] in kept:
            reached.append(int(op.outputs[0]))
    for tensor in reached:
        quantisation = graph.tensors[tensor].quantization
        quantisation.scale = np.asarray(quantisation.scale, np.float32) * np.float32(factor)
    for op in products:
        if int(op.inputs[0]) in reached:
            bias = graph.tensors[op.inputs[2]]
            stored = np.frombuffer(bytes(model.buffers[bias.buffer].data), "<i4")
            bias.quantization.scale = np.asarray(bias.quantization.scale, np.float32) * np.float32(factor)
            model.buffers[bias.buffer].data = np.frombuffer(np.rint(stored / factor).astype("<i4").tobytes(), np.uint8)
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


CHANGES = {"channel": _scale_channel, "weight": _outlier_weight, "bias": _loud_bias}

if __name__ == "__main__":
    main()
