"""What goes wrong on the way to a `.tflite`: the usual way has it, ours has not. Each test is a page of docs/problems."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from commandline import Command, Demo
from problems.conftest import Naive

from edgepipe.pipeline.inspect.flatbuffer import read_model


def test_keras_3_models_refused(naive: Naive, zoo: Path, edgepipe: Command) -> None:
    said = naive.said["keras_3_models_refused"]
    assert "Sequential or Functional" in said["quantize"], "the model is Functional: the message misleads"
    assert "functional model" in said["prune"]
    assert said["cluster"] == "None", "and this one does not even say so"
    done = edgepipe(
        "cluster", zoo / "keras3.keras", "--data", zoo / "digits_like.npz", "--clusters", "4", "--epochs", "1", "--json"
    )
    assert done.code == 0, done.err
    assert all(proof["holds"] for proof in done.json["artefacts"][-1]["proofs"])


def test_full_integer_models_with_float_inputs(naive: Naive, ours: Path, edgepipe: Command) -> None:
    assert naive.facts("full_integer.tflite").inputs[0].dtype == "float32"
    assert naive.facts("hybrid.tflite").int8_mac_share == 0
    told = edgepipe("verify", naive / "full_integer.tflite", "--target", "mcu")
    assert told.code == 1 and "is float32, not int8" in told.err
    assert "hybrid" in edgepipe("verify", naive / "hybrid.tflite", "--target", "mcu").err
    facts = read_model(ours)[1]
    assert facts.float_tensors == () and facts.inputs[0].dtype == facts.outputs[0].dtype == "int8"


def test_dynamic_batch_after_conversion(naive: Naive, zoo: Path, edgepipe: Command) -> None:
    usual = naive.facts("open_batch.tflite")
    assert usual.dynamic_tensors and {"SHAPE", "STRIDED_SLICE", "PACK"} <= {op.op for op in usual.ops}
    done = edgepipe("convert", zoo / "keras3.keras", "--to", "fixed.tflite")
    assert done.code == 0, done.err
    facts = read_model(edgepipe.folder / "fixed.tflite")[1]
    assert facts.dynamic_tensors == () and not {"SHAPE", "STRIDED_SLICE", "PACK"} & {op.op for op in facts.ops}


def test_converter_version_roulette(naive: Naive, demo: Demo) -> None:
    """A file tells which TensorFlow wrote it, not which Keras or TF-MOT; its manifest tells all, and the cache keeps them apart."""
    from importlib.metadata import version

    from edgepipe.pipeline.cache import key_of, tool_versions

    toolkit = version("tensorflow-model-optimization")
    assert toolkit.encode() not in (naive / "pruned.tflite").read_bytes()
    manifest = json.loads((demo.tflite(1, -1).parent / "manifest.json").read_text())
    assert manifest["versions"]["tensorflow-model-optimization"] == toolkit
    assert {"tensorflow", "tf-keras", "keras", "numpy"} <= manifest["versions"].keys()
    others = {**tool_versions(), "tensorflow": "2.18.0"}
    assert key_of(model="m", versions=tool_versions()) != key_of(model="m", versions=others)


def test_wrong_input_scaling(demo: Demo, edgepipe: Command) -> None:
    """The digits model learnt from 0 to 1. With 0 to 16 the converter is content; the model is not."""
    from edgepipe.pipeline.data import load

    digits = load("digits", base=Path())
    np.savez(edgepipe.folder / "raw.npz", x=digits.inputs["x"] * 255, y=digits.labels)
    told = edgepipe("quantize", demo.model, "--data", "raw.npz", "--test", "0.3")
    assert told.code == 2 and "scale" in told.err
    assert edgepipe("quantize", demo.model, "--data", "digits", "--test", "0.3").code == 0


def test_representative_data_in_the_wrong_order(naive: Naive, edgepipe: Command) -> None:
    assert naive.facts("right_order.tflite").sha256 != naive.facts("wrong_order.tflite").sha256
    assert naive.said["representative_data_in_the_wrong_order"] == {}, "and nobody was told"
    made = []
    for name in ("named", "named_turned"):
        done = edgepipe("quantize", naive / "two_inputs.keras", "--data", naive / f"{name}.npz", "--to", f"{name}.tflite")
        assert done.code == 0, done.err
        made.append((edgepipe.folder / f"{name}.tflite").read_bytes())
    assert made[0] == made[1], "inputs are told apart by name"
    scales = {port.name.split(":")[0].split("_")[-1]: port.scale for port in read_model(edgepipe.folder / "named.tflite")[1].inputs}
    assert scales["right"] > 10 * scales["left"]


def test_flex_ops_the_board_cannot_run(naive: Naive, edgepipe: Command) -> None:
    assert naive.facts("flex.tflite").flex_ops
    told = edgepipe("verify", naive / "flex.tflite", "--target", "pi")
    assert told.code == 1 and "FlexMatrixDeterminant" in told.err and "needs TensorFlow on the device" in told.err


def test_stages_that_undo_each_other(naive: Naive, demo: Demo) -> None:
    said = naive.said["stages_that_undo_each_other"]
    assert said["sparsity_before"] > 0.79 and said["sparsity_after"] < 0.5
    last = demo.document["compressions"][1]["artefacts"][-1]
    kept = {proof["claim"]["kind"]: proof["holds"] for proof in last["proofs"]}
    assert kept["sparsity"] and kept["clusters"], "three stages, and the last file keeps the promises of all"
    zeros = 1 - sum(w["nonzero"] for w in last["facts"]["weights"]) / sum(w["elements"] for w in last["facts"]["weights"])
    assert zeros > 0.79
