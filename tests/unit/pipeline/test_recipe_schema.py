"""What an editor is told of recipes is what edgepipe reads."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import jsonschema
import pytest
from commandline import Command

from edgepipe.documents import read_yaml
from edgepipe.pipeline.recipe import TrainSpec
from edgepipe.pipeline.recipe_schema import recipe_schema
from edgepipe.pipeline.stages import STAGES

GOOD = """\
schema: 1
model: {path: kws.keras}
data: {train: train.npz, validation: 0.15, calibration: {samples: 200}, test: test.npz}
target: mcu
train:
  loss: {name: CategoricalCrossentropy, label_smoothing: 0.1}
  class_weights: balanced
  augment: {flip: horizontal, shift: 0.1}
  metrics: [accuracy]
stages:
  - prune: {sparsity: 0.8}
  - cluster:
  - quantize: {mode: qat}
gates: {accuracy_drop_points: 1.0}
"""


def complaints(folder: Path, text: str) -> list[str]:
    path = folder / "recipe.yaml"
    path.write_text(text)
    return [error.message for error in jsonschema.Draft202012Validator(recipe_schema()).iter_errors(read_yaml(path))]


def test_the_schema_is_one_and_accepts_a_good_recipe(tmp_path: Path) -> None:
    jsonschema.Draft202012Validator.check_schema(recipe_schema())
    assert complaints(tmp_path, GOOD) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("sparsity: 0.8", "sparcity: 0.8"),
        ("target: mcu", "targt: mcu"),
        ("target: mcu", "target: moon"),
        ("- prune", "- prun"),
        ("samples: 200", "sample: 200"),
        ("mode: qat", "mode: quat"),
        ("shift: 0.1", "shft: 0.1"),
        ("balanced", "equal"),
        ("schema: 1\n", ""),
        ("gates: {", "name: x\ngates: {"),
    ],
)
def test_it_marks_each_mistake(tmp_path: Path, before: str, after: str) -> None:
    assert complaints(tmp_path, GOOD.replace(before, after))


def test_every_key_of_training_and_of_stages_is_described() -> None:
    definitions = recipe_schema()["$defs"]
    for kind in (TrainSpec, *STAGES.values()):
        described = {name for name, value in definitions[kind.__name__].get("properties", {}).items() if value.get("description")}
        assert described == {field.name for field in fields(kind)}  # type: ignore[arg-type]


def test_the_command_prints_the_schema_and_checks_a_recipe(edgepipe: Command) -> None:
    assert edgepipe("recipe", "schema").json == json.loads(json.dumps(recipe_schema()))
    (edgepipe.folder / "good.yaml").write_text(GOOD)
    good = edgepipe("recipe", "check", "good.yaml")
    assert (good.code, good.out) == (0, "good.yaml can be read: prune, cluster, quantize for the target mcu\n")
    (edgepipe.folder / "bad.yaml").write_text(GOOD.replace("sparsity", "sparcity").replace("mcu", "moon"))
    bad = edgepipe("recipe", "check", "bad.yaml")
    assert bad.code == 2 and "sparcity" in bad.err and "moon" in bad.err
