"""A `.keras` file is looked at before TensorFlow sees it: what is damaged, foreign or carries code is refused by name."""

from __future__ import annotations

import json
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest

from edgepipe.errors import EdgepipeError, ModelFileError, UnsupportedModel
from edgepipe.pipeline.inspect.keras_archive import read_archive, require_fixed_inputs


def layer(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"module": "keras.layers", "class_name": kind, "config": {"name": name, **more}, "registered_name": None}


def archive(path: Path, layers: list[Any] | None = None, members: dict[str, bytes] | None = None, **top: Any) -> Path:
    shown = (
        layers
        if layers is not None
        else [layer("InputLayer", "x", batch_shape=[None, 8, 8, 1], dtype="float32"), layer("Dense", "d")]
    )
    config = {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "m", "layers": shown},
        "registered_name": None,
        **top,
    }
    default = {
        "metadata.json": b'{"keras_version": "3.15.1"}',
        "config.json": json.dumps(config).encode(),
        "model.weights.h5": random.Random(1).randbytes(2000),
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in {**default, **(members or {})}.items():
            made.writestr(name, content)
    return path


def test_a_plain_model_tells_its_inputs(tmp_path: Path) -> None:
    found = read_archive(archive(tmp_path / "m.keras"))
    assert [(port.name, port.shape, port.dtype) for port in found.inputs] == [("x", (-1, 8, 8, 1), "float32")]
    assert found.is_keras_3 and not found.rescales


def test_a_model_that_rescales_says_so(tmp_path: Path) -> None:
    layers = [layer("InputLayer", "x", batch_shape=[None, 4]), layer("Rescaling", "r"), layer("Dense", "d")]
    assert read_archive(archive(tmp_path / "m.keras", layers)).rescales


@pytest.mark.parametrize("nested", [False, True])
def test_what_only_augments_does_not_hide_that_a_model_rescales(tmp_path: Path, nested: bool) -> None:
    entry = layer("InputLayer", "x", batch_shape=[None, 8, 8, 1])
    augmenting = [layer("RandomFlip", "f"), layer("RandomRotation", "t"), layer("RandomZoom", "z")]
    if nested:
        augmenting = [layer("Sequential", "augment", layers=[entry, *augmenting]) | {"module": "keras"}]
    for name, rescales in (("Rescaling", True), ("Conv2D", False)):
        found = read_archive(archive(tmp_path / f"{name}.keras", [entry, *augmenting, layer(name, "first"), layer("Dense", "d")]))
        assert found.rescales is rescales


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (layer("Lambda", "code"), "Python code"),
        (layer("TFSMLayer", "graph"), "foreign graph"),
        ({"module": "os", "class_name": "system", "config": {"name": "evil"}}, "module 'os'"),
        ({"module": None, "class_name": "Mine", "config": {"name": "own"}, "registered_name": "pack>Mine"}, "class of your own"),
        (layer("Dense", "d", activation={"module": "builtins", "class_name": "__lambda__", "config": {}}), "Python code"),
        (
            layer("Dense", "d", kernel_initializer={"module": "subprocess", "class_name": "Popen", "config": {}}),
            "module 'subprocess'",
        ),
        (layer("Dense", "d", a={"b": [{"c": {"module": "shutil", "class_name": "rmtree", "config": {}}}]}), "module 'shutil'"),
    ],
)
def test_code_anywhere_in_the_configuration_is_refused_by_name(tmp_path: Path, bad: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnsupportedModel) as caught:
        read_archive(
            archive(tmp_path / "m.keras", [layer("InputLayer", "x", batch_shape=[None, 4]), bad, layer("Lambda", "second")])
        )
    assert any(reason in problem for problem in caught.value.problems)
    assert any('"second"' in problem for problem in caught.value.problems), "all are told at once"


def test_a_subclassed_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match="class of your own"):
        read_archive(archive(tmp_path / "m.keras", module=None, class_name="Mine", registered_name="Mine"))


@pytest.mark.parametrize(
    "members",
    [
        {"../../etc/passwd": b"x"},
        {"evil.py": b"import os"},
        {"config.json": b"{"},
        {"config.json": b"[]"},
        {"config.json": b'{"config": 5}'},
        {"config.json": b"[" * 100_000},
        {"config.json": (b'{"config":' * 200) + b"{}" + b"}" * 200},
        {"metadata.json": b"\xff"},
        {"model.weights.h5": b"\0" * 10_000_000},
    ],
)
def test_archives_that_are_not_keras_own_are_refused(tmp_path: Path, members: dict[str, bytes]) -> None:
    with pytest.raises(ModelFileError):
        read_archive(archive(tmp_path / "m.keras", members=members))


def test_missing_empty_and_foreign_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.keras").write_bytes(b"")
    (tmp_path / "text.keras").write_text("hello")
    whole = archive(tmp_path / "m.keras").read_bytes()
    (tmp_path / "cut.keras").write_bytes(whole[: len(whole) // 2])
    for name in ("none.keras", "empty.keras", "text.keras", "cut.keras", "."):
        with pytest.raises(ModelFileError):
            read_archive(tmp_path / name)


def test_five_hundred_damaged_archives_raise_nothing_but_our_errors(tmp_path: Path) -> None:
    whole = bytearray(archive(tmp_path / "m.keras").read_bytes())
    dice = random.Random(5)
    for _ in range(500):
        damaged = bytearray(whole)
        for _ in range(dice.randint(1, 8)):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        (tmp_path / "d.keras").write_bytes(bytes(damaged[: dice.randint(1, len(damaged))] if dice.random() < 0.2 else damaged))
        try:
            read_archive(tmp_path / "d.keras")
        except EdgepipeError as exc:
            assert exc.exit_code == 2


def test_open_dimensions_are_all_named(tmp_path: Path) -> None:
    layers = [layer("InputLayer", "a", batch_shape=[None, None, 4]), layer("InputLayer", "b", batch_shape=[None, 4, None])]
    with pytest.raises(UnsupportedModel) as caught:
        require_fixed_inputs(read_archive(archive(tmp_path / "m.keras", layers)).inputs)
    assert len(caught.value.problems) == 2
