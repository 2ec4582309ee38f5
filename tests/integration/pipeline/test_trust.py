"""What may run code is loaded only where the user says so on the command line, and never because a recipe says so."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commandline import Command

VERBS = ("convert", "prune", "cluster", "quantize")


@pytest.mark.parametrize("verb", VERBS)
def test_an_h5_is_refused_before_tensorflow_starts(zoo: Path, edgepipe: Command, verb: str) -> None:
    data = () if verb == "convert" else ("--data", zoo / "digits_like.npz")
    done = edgepipe(verb, zoo / "old.h5", *data)
    assert done.code == 2
    assert "can hold code" in done.err and "--trust-model" in done.err
    assert "start TensorFlow" not in done.err


def test_a_trusted_h5_is_converted_with_a_warning(zoo: Path, edgepipe: Command) -> None:
    done = edgepipe("convert", zoo / "old.h5", "--trust-model", "--to", "m.tflite")
    assert done.code == 0, done.err
    assert "warning: " in done.err and "because you trust it" in done.err
    assert (edgepipe.folder / "m.tflite").read_bytes()[4:8] == b"TFL3"
    assert "The model: m.tflite\n" in done.out


def test_a_folder_with_more_in_it_is_loaded_only_when_trusted(zoo: Path, edgepipe: Command) -> None:
    folder = edgepipe.folder / "model"
    shutil.copytree(zoo / "saved_model", folder)
    (folder / "notes.txt").write_text("mine")
    refused = edgepipe("convert", folder)
    assert refused.code == 2 and "'notes.txt' does not belong" in refused.err
    trusted = edgepipe("convert", folder, "--trust-model")
    assert trusted.code == 0, trusted.err
    assert "because you trust it" in trusted.err
    # What was loaded once stays in the cache; that is no reason to trust it the next time.
    assert edgepipe("convert", folder).code == 2


def test_a_recipe_cannot_trust_its_own_model(zoo: Path, edgepipe: Command) -> None:
    recipe = edgepipe.folder / "recipe.yaml"
    for where in ("trust_model: true\nmodel: {path: old.h5}", "model: {path: old.h5, trust_model: true}"):
        recipe.write_text(f"schema: 1\n{where}\nstages:\n  - convert:\n")
        done = edgepipe("compress", recipe)
        assert done.code == 2 and 'unknown key "' in done.err and "trust_model" in done.err
    shutil.copy(zoo / "old.h5", edgepipe.folder / "old.h5")
    recipe.write_text("schema: 1\nmodel: {path: old.h5}\nstages:\n  - convert:\n")
    assert edgepipe("compress", recipe).code == 2
    assert edgepipe("compress", recipe, "--trust-model").code == 0


OWN_LAYERS = """
import tf_keras

class Twice(tf_keras.layers.Layer):
    def call(self, x):
        return x * FACTOR

FACTOR = 2.0
"""
MAKE = """
import os, sys
os.environ["TF_USE_LEGACY_KERAS"] = "1"
import tf_keras
from own_layers import Twice
x = tf_keras.Input((4,), name="x")
tf_keras.Model(x, tf_keras.layers.Dense(2, name="d")(Twice(name="twice")(x))).save(sys.argv[1])
"""


def test_layers_of_a_module_that_the_user_allows_are_converted(edgepipe: Command) -> None:
    """One is refused without leave; allowed, it is imported from beside the model, and its code is part of what is cached."""
    (edgepipe.folder / "own_layers.py").write_text(OWN_LAYERS)
    subprocess.run([sys.executable, "-c", MAKE, "own.keras"], cwd=edgepipe.folder, check=True, capture_output=True)
    refused = edgepipe("convert", "own.keras")
    assert refused.code == 2 and 'layer "twice"' in refused.err and "--allow-module" in refused.err
    assert edgepipe("convert", "own.keras", "--allow-module", "own_layer").code == 2, "exactly that module and no other"

    for factor in (2.0, 3.0):
        (edgepipe.folder / "own_layers.py").write_text(OWN_LAYERS.replace("= 2.0", f"= {factor}"))
        done = edgepipe("convert", "own.keras", "--allow-module", "own_layers", "--to", f"{factor}.tflite")
        assert done.code == 0, done.err
    assert (edgepipe.folder / "2.0.tflite").read_bytes() != (edgepipe.folder / "3.0.tflite").read_bytes()


def test_the_doctor_takes_such_layers_as_unknown_and_imports_them_only_to_convert(edgepipe: Command) -> None:
    (edgepipe.folder / "own_layers.py").write_text(OWN_LAYERS)
    subprocess.run([sys.executable, "-c", MAKE, "own.keras"], cwd=edgepipe.folder, check=True, capture_output=True)
    codes = {
        allowed: {each["code"]: each["layer"] for each in edgepipe("doctor", "own.keras", "--json", *allowed).json["findings"]}
        for allowed in [(), ("--allow-module", "own_layers")]
    }
    assert codes[()]["EP101"] == "twice"
    assert codes["--allow-module", "own_layers"].get("EP104") == "twice" and "EP101" not in codes["--allow-module", "own_layers"]
    deep = edgepipe("doctor", "own.keras", "--allow-module", "own_layers", "--deep", "--json")
    assert "EP701" not in {each["code"] for each in deep.json["findings"]}
    (edgepipe.folder / "own_layers.py").write_text("raise SystemError('imported')")
    assert edgepipe("doctor", "own.keras", "--allow-module", "own_layers").code in (0, 6)
    assert "imported" in edgepipe("doctor", "own.keras", "--allow-module", "own_layers", "--deep").err


def test_a_recipe_cannot_allow_a_module(zoo: Path, edgepipe: Command) -> None:
    recipe = edgepipe.folder / "recipe.yaml"
    for where in ("allow_module: [mine]\nmodel: {path: old.keras}", "model: {path: old.keras, modules: [mine]}"):
        recipe.write_text(f"schema: 1\n{where}\nstages:\n  - convert:\n")
        done = edgepipe("compress", recipe)
        assert done.code == 2 and 'unknown key "' in done.err


def test_pythons_own_modules_cannot_be_allowed(zoo: Path, edgepipe: Command) -> None:
    done = edgepipe("convert", zoo / "keras2.keras", "--allow-module", "os")
    assert done.code == 2 and "not a module of yours" in done.err and "start TensorFlow" not in done.err
