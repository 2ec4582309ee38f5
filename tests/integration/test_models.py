"""Models of many kinds in the TensorFlow process, each with its own trap."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commandline import Command

from edgepipe.errors import UnsupportedModel
from edgepipe.pipeline.data import Dataset
from edgepipe.pipeline.inspect.flatbuffer import read_model
from edgepipe.pipeline.worker import Worker

SAMPLES = 64


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker(lambda event: None) as started:
        yield started


@pytest.fixture
def four(tmp_path: Path) -> dict[str, str]:
    """Four numbers a sample, with whole labels 0 and 1."""
    x = np.random.default_rng(0).random((SAMPLES, 4), np.float32)
    return saved(tmp_path, {"x": x}, (x.sum(1) > 2).astype(np.int64))


def saved(folder: Path, inputs: dict[str, Any], labels: Any) -> dict[str, str]:
    Dataset(inputs=inputs, labels=labels, source="made here").save(folder / "data")
    return dict.fromkeys(("train", "validation", "calibration"), str(folder / "data"))


def load(worker: Worker, model: Path, to: Path, data: dict[str, str]) -> dict[str, Any]:
    to.mkdir(exist_ok=True)
    return worker.request(do="load", source=str(model), base="/", to=str(to), data=data)


def stage(worker: Worker, name: str, source: Path, to: Path, data: dict[str, str], **more: Any) -> dict[str, Any]:
    to.mkdir()
    train = {"epochs": 4, "batch_size": 32, "learning_rate": 0.01, "loss": "mse"}
    whole = {"parameters": {}, "seed": 0, "claims": [], "train": train, **more}
    return worker.request(do="stage", stage=name, source=str(source), to=str(to), base="/", data=data, **whole)


@pytest.mark.parametrize("model", ["one_sigmoid", "normalised"])
def test_it_is_loaded_with_its_data(worker: Worker, zoo: Path, tmp_path: Path, four: dict[str, str], model: str) -> None:
    load(worker, zoo / f"{model}.keras", tmp_path / "float", four)
    assert (tmp_path / "float" / "model.tflite").exists()


def test_labels_for_one_of_two_outputs_are_refused(worker: Worker, zoo: Path, tmp_path: Path, four: dict[str, str]) -> None:
    with pytest.raises(UnsupportedModel, match="2 outputs"):
        load(worker, zoo / "two_outputs.keras", tmp_path / "float", four)


def test_weights_that_are_no_numbers_are_called_so(worker: Worker, zoo: Path, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match="NaN or infinity"):
        load(worker, zoo / "diverged.keras", tmp_path / "float", {})


def test_indices_of_words_may_come_in_as_floats(worker: Worker, zoo: Path, tmp_path: Path) -> None:
    load(worker, zoo / "words.keras", tmp_path / "float", {})
    assert (tmp_path / "float" / "model.tflite").exists()


def test_what_tensorflow_raises_is_one_line_and_the_name_of_the_log(
    worker: Worker, zoo: Path, tmp_path: Path, four: dict[str, str]
) -> None:
    with pytest.raises(UnsupportedModel, match="TensorFlow failed with this model") as caught:
        load(worker, zoo / "one_hot.keras", tmp_path / "float", four)
    assert str(worker.log) in caught.value.todo
    assert not caught.value.problems
    assert "Traceback" in worker.log.read_text()


@pytest.mark.parametrize("model", ["two_inputs", "two_inputs_turned"])
def test_each_input_is_calibrated_with_its_own_samples(worker: Worker, zoo: Path, tmp_path: Path, model: str) -> None:
    left = np.random.default_rng(0).random((SAMPLES, 4), np.float32)
    data = saved(tmp_path, {"left": left, "right": 100 * left}, None)
    load(worker, zoo / f"{model}.keras", tmp_path / "float", {})
    stage(worker, "quantize", tmp_path / "float", tmp_path / "int8", data, parameters={"mode": "int8"})
    _, facts = read_model(tmp_path / "int8" / "model.tflite")
    (scale,) = (port.scale for port in facts.inputs if "left" in port.name)
    assert scale == pytest.approx(left.max() / 255, rel=0.02)


@pytest.mark.parametrize("dtype", ["uint8", "float64"])
def test_bytes_and_doubles_calibrate_a_model_of_floats(worker: Worker, zoo: Path, tmp_path: Path, dtype: str) -> None:
    data = saved(tmp_path, {"x": np.random.default_rng(0).integers(0, 9, (SAMPLES, 4)).astype(dtype)}, None)
    load(worker, zoo / "normalised.keras", tmp_path / "float", {})
    stage(worker, "quantize", tmp_path / "float", tmp_path / "int8", data, parameters={"mode": "int8"})
    _, facts = read_model(tmp_path / "int8" / "model.tflite")
    assert facts.inputs[0].scale == pytest.approx(8 / 255, rel=0.02)


def test_classes_that_the_model_does_not_have_are_told_as_such(edgepipe: Command, zoo: Path, tmp_path: Path) -> None:
    x = np.random.default_rng(0).random((SAMPLES, 4), np.float32)
    np.savez(tmp_path / "from_one.npz", x=x, y=1 + np.arange(SAMPLES) % 3)
    done = edgepipe("quantize", zoo / "sequential.keras", "--data", tmp_path / "from_one.npz", "--target", "mcu")
    assert done.code == 2
    assert "lie outside 0..2" in done.err and "subtract 1" in done.err


def test_a_sparse_layer_with_fewer_values_than_clusters_keeps_its_zeros(worker: Worker, zoo: Path, tmp_path: Path) -> None:
    x = np.random.default_rng(0).random((SAMPLES, 4), np.float32)
    data = saved(tmp_path, {"x": x}, np.tile(x, 2))
    load(worker, zoo / "number.keras", tmp_path / "float", data)
    pruned = stage(worker, "prune", tmp_path / "float", tmp_path / "pruned", data, parameters={"sparsity": 0.75})
    with pytest.raises(UnsupportedModel, match="no layer that can be clustered"):
        stage(worker, "cluster", tmp_path / "pruned", tmp_path / "clustered", data, claims=pruned["claims"])


def test_a_path_that_no_disk_could_hold_is_a_usage_error(edgepipe: Command) -> None:
    done = edgepipe("convert", "x" * 300 + ".keras")
    assert done.code == 2
    assert "File name too long" in done.err
