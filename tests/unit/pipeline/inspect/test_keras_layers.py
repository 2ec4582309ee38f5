"""Layers and parameters of a `.keras`, against the arrays that it stores."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from edgepipe.errors import ModelFileError
from edgepipe.pipeline.inspect.keras_layers import inspect_keras


def stored_parameters(path: Path) -> int:
    """Elements of all arrays under `layers`, counted by h5py."""
    h5py = pytest.importorskip("h5py", reason="needs h5py: pip install 'edgepipe[compress]'")
    sizes: list[int] = []
    with zipfile.ZipFile(path) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
        file["layers"].visititems(lambda _, item: sizes.append(item.size) if isinstance(item, h5py.Dataset) else None)
    return sum(sizes)


def archive(path: Path, layers: list[Any]) -> Path:
    """A .keras of these layers, without weights."""
    config = {"module": "keras", "class_name": "Sequential", "config": {"name": "sequential", "layers": layers}}
    with zipfile.ZipFile(path, "w") as written:
        written.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))
        written.writestr("config.json", json.dumps(config))
        written.writestr("model.weights.h5", b"")
    return path


def layer(kind: str, settings: dict[str, Any], shape: Any = (None, 8)) -> dict[str, Any]:
    built = {"input_shape": list(shape)} if isinstance(shape, tuple) else shape
    return {"module": "keras.layers", "class_name": kind, "config": {"name": "it", **settings}, "build_config": built}


@pytest.mark.parametrize("name", ["keras3", "keras2", "two_inputs", "sequential", "no_weights"])
def test_parameters_are_as_many_as_the_file_stores(zoo: Path, name: str) -> None:
    found = inspect_keras(zoo / f"{name}.keras")

    assert found.totals["layers_of_unknown_parameters"] == 0
    assert found.totals["known_parameters"] == stored_parameters(zoo / f"{name}.keras")


def test_who_wrote_it_and_what_it_takes(zoo: Path) -> None:
    new, old = inspect_keras(zoo / "keras3.keras"), inspect_keras(zoo / "keras2.keras")

    assert (new.written_by.split()[0], old.written_by.split()[0]) == ("Keras", "tf_keras")
    assert [(port.name, port.shape, port.dtype) for port in new.inputs] == [("pixels", (-1, 8, 8, 1), "float32")]
    assert [each.name for each in new.layers] == [each.name for each in old.layers]
    assert new.layers[1].kind == "Conv2D"
    assert new.size_bytes == (zoo / "keras3.keras").stat().st_size


# Expected: by hand, from the layers' definitions.
@pytest.mark.parametrize(
    ("kind", "settings", "shape", "parameters"),
    [
        ("LSTM", {"units": 5, "use_bias": True}, (None, 7, 3), 4 * (3 * 5 + 5 * 5 + 5)),
        ("GRU", {"units": 5, "use_bias": True, "reset_after": True}, (None, 7, 3), 3 * (3 * 5 + 5 * 5 + 10)),
        ("GRU", {"units": 5, "use_bias": True, "reset_after": False}, (None, 7, 3), 3 * (3 * 5 + 5 * 5 + 5)),
        (
            "Bidirectional",
            {"layer": {"class_name": "LSTM", "config": {"units": 2, "use_bias": False}}},
            (None, 7, 3),
            2 * 4 * (3 * 2 + 2 * 2),
        ),
        ("Embedding", {"input_dim": 100, "output_dim": 16}, (None, 7), 1600),
        ("Conv2D", {"filters": 6, "kernel_size": [3, 2], "groups": 2, "use_bias": True}, (None, 8, 8, 4), 3 * 2 * 2 * 6 + 6),
        (
            "Conv2D",
            {"filters": 6, "kernel_size": [1, 1], "use_bias": False, "data_format": "channels_first"},
            (None, 4, 8, 9),
            4 * 6,
        ),
        ("DepthwiseConv2D", {"kernel_size": [3, 3], "depth_multiplier": 2, "use_bias": True}, (None, 8, 8, 4), 9 * 8 + 8),
        ("LayerNormalization", {"axis": [-1], "center": True, "scale": False}, (None, 8), 8),
        ("BatchNormalization", {"axis": -1, "center": True, "scale": True}, (None, 8), 32),
        ("MultiHeadAttention", {"num_heads": 2}, (None, 8), None),
        ("Dense", {"units": 3, "use_bias": True}, (None, None), None),
    ],
)
def test_formulas(tmp_path: Path, kind: str, settings: dict[str, Any], shape: tuple[int, ...], parameters: int | None) -> None:
    (found,) = inspect_keras(archive(tmp_path / "m.keras", [layer(kind, settings, shape)])).layers

    assert found.parameters == parameters


HOSTILE = [
    layer("Dense", {"units": "a" * 1000, "use_bias": True}),
    layer("Dense", {"units": [1], "use_bias": True}),
    layer("Dense", {"units": 10**4000, "use_bias": True}),
    layer("Dense", {"units": -3, "use_bias": True}),
    layer("Dense", {"units": 3}),
    layer("Dense", {"units": 3, "use_bias": True}, (None, 10**300)),
    layer("Dense", {"units": 3, "use_bias": True}, {"input_shape": "wide"}),
    layer("Dense", {"units": 3, "use_bias": True}, (2,) * 1000),
    layer("Conv2D", {"filters": 3, "kernel_size": [10**9] * 10_000, "use_bias": True}),
    layer("Conv2D", {"filters": 3, "kernel_size": "3x3", "use_bias": True}),
    layer("Conv2D", {"filters": 3, "kernel_size": [3, 3], "groups": 0, "use_bias": True}),
    layer("BatchNormalization", {"axis": 99, "center": True, "scale": True}),
    layer("Bidirectional", {"layer": None}),
]


@pytest.mark.parametrize("index", range(len(HOSTILE)))
def test_a_setting_that_keras_never_writes_makes_the_number_unknown(tmp_path: Path, index: int) -> None:
    found = inspect_keras(archive(tmp_path / "m.keras", [HOSTILE[index]]))

    assert [each.parameters for each in found.layers] == [None]


@pytest.mark.parametrize("layers", [["text"], [None], [{"class_name": "Dense", "config": 7}], [{"class_name": "Dense"}]])
def test_layers_without_settings_are_refused(tmp_path: Path, layers: list[Any]) -> None:
    with pytest.raises(ModelFileError):
        inspect_keras(archive(tmp_path / "m.keras", layers))


def test_layers_of_a_nested_model_carry_its_name(tmp_path: Path) -> None:
    inner = {"module": "keras", "class_name": "Sequential", "config": {"name": "inner", "layers": [layer("ReLU", {})]}}
    found = inspect_keras(archive(tmp_path / "m.keras", [inner, layer("ReLU", {})]))

    assert [each.name for each in found.layers] == ["inner/it", "it"]
