"""A module that the user allows is allowed exactly: no other, no Lambda, nothing that it only borrowed itself."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from edgepipe.errors import UnsupportedModel, UsageError
from edgepipe.pipeline.inspect.keras_archive import read_archive
from edgepipe.pipeline.inspect.keras_classes import objections
from edgepipe.pipeline.inspect.keras_modules import check_objects, defined_in, own_modules, own_objects

MINE = frozenset({"mypkg.layers"})


def thing(kind: str, module: str | None = "mypkg.layers", registered: Any = None, config: Any = None) -> dict[str, Any]:
    return {
        "module": module,
        "class_name": kind,
        "config": {"name": "a"} if config is None else config,
        "registered_name": registered,
    }


def model(*layers: dict[str, Any]) -> dict[str, Any]:
    return {"module": "keras", "class_name": "Sequential", "config": {"name": "m", "layers": [*layers]}, "registered_name": None}


@pytest.mark.parametrize("registered", [None, "Squash", "mypkg>Squash"])
def test_a_layer_of_an_allowed_module_passes_and_without_leave_it_does_not(registered: str | None) -> None:
    config = model(thing("Squash", registered=registered))
    assert [*objections(config, modules=MINE)] == []
    assert len([*objections(config)]) == 1
    assert [*own_objects(config, MINE)] == [("mypkg.layers", "Squash")]


def test_a_function_of_it_passes_too() -> None:
    config = model(thing("Activation", "keras.layers", config={"name": "a", "activation": thing("function", config="squash")}))
    assert [*objections(config, modules=MINE)] == []
    assert [*own_objects(config, MINE)] == [("mypkg.layers", "squash")]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (thing("Squash", "mypkg"), "mypkg"),
        (thing("Squash", "mypkg.layers.inner"), "mypkg.layers.inner"),
        (thing("Squash", "mypkg.layersx"), "mypkg.layersx"),
        (thing("system", "os"), "os"),
        (thing("Squash", None), "class of your own"),
        (thing("Lambda"), "Python code"),
        (thing("__lambda__"), "Python code"),
        (thing("TFSMLayer"), "foreign graph"),
        (thing("Dense"), "name of Keras's own"),
        (thing("function", config="relu"), "name of Keras's own"),
        (thing("Path.touch"), "not the name"),
        (thing("__import__"), "not the name"),
        (thing("function", config="os.system"), "not the name"),
        (thing("function", config={"name": "x"}), "not the name"),
        (thing("Squash", registered="other>Thing"), "registered as something else"),
        (thing("Squash", config={"name": "a", "inside": thing("Lambda", "keras.layers")}), "Python code"),
        (thing("Squash", config={"name": "a", "inside": thing("Popen", "subprocess")}), "subprocess"),
    ],
)
def test_nothing_else_passes_with_it(bad: dict[str, Any], reason: str) -> None:
    found = [*objections(model(bad), modules=MINE)]
    assert found and all(reason in line for line in found), found


@pytest.mark.parametrize(
    "name", ["os", "os.path", "subprocess", "builtins", "keras.utils", "tensorflow", "numpy.lib", "a-b", "", "a..b", "a:b"]
)
def test_only_modules_of_ones_own_can_be_allowed(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        own_modules(["mypkg.layers", name])
    assert len(caught.value.problems) == 1


def test_what_a_module_only_borrowed_is_none_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "borrowing_layers.py").write_text(
        "from subprocess import Popen\nfrom os import system\nclass Squash: pass\ndef squash(x): return x\ntool = Squash()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    module = "borrowing_layers"
    check_objects(model(thing("Squash", module), thing("function", module, config="squash")), frozenset({module}))
    assert sorted(defined_in(module)) == ["Squash", "squash"]
    for bad in (
        thing("Popen", module),
        thing("function", module, config="system"),
        thing("tool", module),
        thing("Missing", module),
    ):
        with pytest.raises(UnsupportedModel):
            check_objects(model(bad), frozenset({module}))


def test_reading_such_a_file_imports_nothing(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    first = thing("InputLayer", "keras.layers", config={"name": "x", "batch_shape": [None, 4]})
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("metadata.json", '{"keras_version": "2.15.0"}')
        made.writestr("config.json", json.dumps(model(first, thing("Squash", "never_imported_layers"))))
        made.writestr("model.weights.h5", "weights")
    assert read_archive(path, modules=frozenset({"never_imported_layers"})).inputs[0].name == "x"
    assert "never_imported_layers" not in sys.modules
