"""What goes wrong while a model is trained again: the usual way has it, ours has not. Each test is a page of docs/problems."""

from __future__ import annotations

from commandline import Command, Demo
from problems.conftest import Naive


def test_qat_dies_on_the_first_unsupported_layer(naive: Naive, edgepipe: Command) -> None:
    said = naive.said["qat_dies_on_the_first_unsupported_layer"]["quantize"]
    assert "slope" in said and "norm" not in said, "one problem at a time"
    done = edgepipe(
        "quantize", naive / "two_unsupported.keras", "--data", naive / "pixels.npz",
        "--mode", "qat", "--epochs", "1", "--target", "mcu", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    last = done.json["artefacts"][-1]
    assert {"slope", "norm"} <= set(last["skipped_layers"])
    assert last["facts"]["float_tensors"] == []


def test_accuracy_collapse_that_nobody_can_locate(naive: Naive, edgepipe: Command) -> None:
    done = edgepipe("debug-quant", naive / "sound.tflite", naive / "collapsed.tflite", "--data", naive / "pixels.npz", "--json")
    assert done.code == 0, done.err
    assert done.json["changed"] > done.json["answers"] / 4, "a collapse"
    layers = done.json["layers"]
    usual = min((layer for layer in layers if layer["total_db"] is not None), key=lambda layer: layer["total_db"])
    assert usual["layer"] != "conv", "the error at its end blames a layer that only hands it on"
    first = min(layers, key=lambda layer: layer["rank"])
    assert first["layer"] == "conv" and "one channel reaches" in first["cause"]


def test_pruning_that_changed_neither_size_nor_speed(naive: Naive, demo: Demo) -> None:
    assert (naive / "wrapped.h5").stat().st_size > 2 * (naive / "before.h5").stat().st_size, "the wrappers are still in it"
    raw, before = naive.facts("pruned.tflite").size_bytes, naive.facts("before.tflite").size_bytes
    assert abs(raw - before) < 0.05 * before, "half of the weights are zero, and the file is as large as before"
    rows = {row["stage"]: row for row in demo.document["compressions"][1]["rows"]}
    pruned, floating = rows["prune 0.8"], rows["float"]
    assert abs(pruned["raw_bytes"] - floating["raw_bytes"]) < 0.05 * floating["raw_bytes"], "and so says the row"
    assert pruned["gzip_bytes"] < 0.4 * floating["gzip_bytes"]
    assert pruned["paid"] is not None, "and whether the stage paid is answered, not left to be believed"
