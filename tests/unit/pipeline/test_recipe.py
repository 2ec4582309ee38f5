"""A recipe is read whole or refused with everything that is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgepipe.errors import RecipeError
from edgepipe.pipeline.recipe import Step, load_recipe

GOOD = """\
schema: 1
model: {path: kws.keras}
data: {train: train.npz, validation: 0.15, calibration: {samples: 200}, test: test.npz}
target: mcu
train: {epochs: 10, loss: from_model}
stages:
  - prune: {sparsity: 0.8}
  - cluster: {clusters: 16}
  - quantize: {mode: qat}
gates: {accuracy_drop_points: 1.0, size_bytes: 65536, arena_bytes: 32768}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text)
    return path


def problems(folder: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(RecipeError) as caught:
        load_recipe(written(folder, text))
    return caught.value.problems or (caught.value.what,)


def test_the_recipe_of_the_design_is_read(tmp_path: Path) -> None:
    recipe = load_recipe(written(tmp_path, GOOD))
    assert recipe.steps[0] == Step(stage="prune", parameters={"sparsity": 0.8})
    assert [step.stage for step in recipe.steps] == ["prune", "cluster", "quantize"]
    assert recipe.gates.arena_bytes == 32768
    assert (recipe.name, recipe.base) == ("recipe", str(tmp_path))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("sparsity: 0.8", "sparcity: 0.8", 'Perhaps you meant "sparsity"?'),
        ("target: mcu", "targt: mcu", 'Perhaps you meant "target"?'),
        ("  - prune", "  - prun", 'Perhaps you meant "prune"?'),
        ("size_bytes", "size_byte", 'Perhaps you meant "size_bytes"?'),
        ("samples: 200", "sample: 200", 'Perhaps you meant "samples"?'),
        ("target: mcu", "target: moon", "'host', 'pi', 'coral' or 'mcu'"),
        ("arena_bytes: 32768", "cpu_mac_percent: 10", '"gates.cpu_mac_percent" needs target: coral'),
        ("sparsity: 0.8", "sparsity: 80", "must lie between 0 and 1"),
        ("clusters: 16", "clusters: 1", "between 2 and 256"),
        ("mode: qat", "mode: int8, epochs: 3", "does not train"),
        ("validation: 0.15", "validation: 15.0", "must lie between 0 and 1"),
        ("epochs: 10", "epochs: 0", "epochs is 0; it must lie between 1 and"),
        ("epochs: 10", "learning_rate: .nan", "learning_rate is nan"),
        ("loss: from_model", "loss: {class_name: mse}", '"train.loss" must be a name, or a map with `name`'),
        ("loss: from_model", "optimizer: {momentum: 0.9}", '"train.optimizer" must be a name'),
        ("loss: from_model", "loss: mine:focal", "there is no module mine in"),
        ("loss: from_model", "fit: training:fitt", 'training has no function "fitt". Perhaps you meant "fit"?'),
        ("loss: from_model", "fit: training", "it must be module:function"),
        ("loss: from_model", "callbacks: [training:stop]", '"train.callbacks.0": training has no function "stop"'),
        ("loss: from_model", "class_weights: {0: -1.0}", '"train.class_weights" holds -1.0'),
        ("loss: from_model", "class_weights: equal", "train.class_weights"),
        ("loss: from_model", "augment: {flip: horizontal, shift: 0.7}", "shift is 0.7; it must lie between 0 and 0.5"),
        ("loss: from_model", "augment: {}", "name at least one of flip, shift and noise"),
        ("loss: from_model", "mixed_precision: true", "qat computes in float32 only"),
        ("loss: from_model", "schedule: linear", "train.schedule"),
        ("sparsity: 0.8", "sparsity: 0.8, epochs: -3", "epochs is -3"),
        ("clusters: 16", "clusters: 16, learning_rate: .inf", "learning_rate is inf"),
        ("mode: qat", "mode: qat, learning_rate: 0", "learning_rate is 0.0"),
        ("target: mcu", "seed: -1", '"seed" is -1'),
        ("target: mcu", "seed: 4294967296", '"seed" is 4294967296'),
        ("accuracy_drop_points: 1.0", "accuracy_drop_points: .nan", '"gates.accuracy_drop_points" is nan'),
        ("size_bytes: 65536", "latency_us: .inf", '"gates.latency_us" is inf'),
        ("size_bytes: 65536", "size_bytes: -5", '"gates.size_bytes" is -5'),
        ("schema: 1\n", "", '"schema" is missing'),
        ("schema: 1", "schema: 2", "schema"),
        (", test: test.npz", "", "needs test data"),
    ],
)
def test_each_mistake_is_named(tmp_path: Path, before: str, after: str, expected: str) -> None:
    (tmp_path / "training.py").write_text("def fit(model, train, validation, epochs, callbacks): ...\n")
    assert any(expected in problem for problem in problems(tmp_path, GOOD.replace(before, after)))


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("sparsity", "sparcity").replace("target: mcu", "target: moon").replace("clusters: 16", "clusters: 1000")
    assert len(problems(tmp_path, text)) == 3


def test_where_a_name_or_a_map_is_taken_only_what_is_wrong_in_the_map_is_told(tmp_path: Path) -> None:
    (wrong,) = problems(tmp_path, GOOD.replace("loss: from_model", "augment: {flip: diagonal}"))
    assert wrong.startswith('"train.augment.flip": input should be')
    (unknown,) = problems(tmp_path, GOOD.replace("loss: from_model", "augment: {flipp: both}"))
    assert unknown == 'unknown key "train.augment.flipp". Perhaps you meant "flip"?'


def test_nothing_can_follow_a_stage_that_ends_with_a_tflite(tmp_path: Path) -> None:
    text = GOOD.replace("  - cluster", "  - quantize: {mode: int8}\n  - cluster", 1)
    assert any("ends with a .tflite" in problem for problem in problems(tmp_path, text))


def test_a_stage_that_trains_asks_for_data_before_anything_runs(tmp_path: Path) -> None:
    text = "schema: 1\nmodel: {path: m.keras}\nstages: [{prune: {}}, {quantize: {mode: int8}}]\n"
    assert len([problem for problem in problems(tmp_path, text) if "needs training data" in problem]) == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "a: &x 1\nb: *x",
        "schema: 1\nschema: 1",
        "\x00",
        "stages: 5",
        "stages: [prune]",
        "- " * 5000,
        "schema: 1\nstages: []",
    ],
)
def test_broken_files_are_one_clear_error(tmp_path: Path, text: str) -> None:
    assert problems(tmp_path, text)


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(b"\xff\xfe\x00binary")
    with pytest.raises(RecipeError, match="not a text file"):
        load_recipe(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="No such file"):
        load_recipe(tmp_path / "none.yaml")


def test_deep_nesting_is_refused_before_it_costs_time(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="nests its values over 50 deep"):
        load_recipe(written(tmp_path, "a: " + "[" * 100_000))
