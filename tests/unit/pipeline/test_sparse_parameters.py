"""What is wrong with the parameters of prune and cluster is said before anything runs."""

from __future__ import annotations

from typing import Any

import pytest

from edgepipe.errors import RecipeError
from edgepipe.pipeline.recipe import stage_problems
from edgepipe.pipeline.stages.layer_choice import per_layer


@pytest.mark.parametrize(
    ("stage", "parameters", "expected"),
    [
        ("prune", {"block": [0, 4]}, "block is [0, 4]"),
        ("prune", {"block": [1, 1]}, "block is [1, 1]"),
        ("prune", {"block": [1, 4, 2]}, "at most 2 items"),
        ("prune", {"block": [4, 1], "pattern": "2:4"}, "name one of them"),
        ("prune", {"pattern": "1:4"}, "2:4"),
        ("prune", {"pattern": "2:4", "layers": {"conv": 0.5}}, "can only be left, by 0"),
        ("prune", {"layers": {"conv*": 1.0}}, '"conv*" is 1.0'),
        ("prune", {"layers": {"conv*": float("nan")}}, '"conv*" is nan'),
        ("prune", {"layers": ["conv"]}, "layers"),
        ("cluster", {"init": "kmeans"}, "init"),
        ("cluster", {"layers": {"head": 1}}, '"head" is 1'),
        ("cluster", {"layers": {"head": 300}}, "between 2 and 256, or be 0"),
        ("cluster", {"layers": {"head": 2.5}}, "head"),
    ],
)
def test_each_mistake_is_named(stage: str, parameters: dict[str, Any], expected: str) -> None:
    problems = stage_problems([{stage: parameters}], has_data=True)
    assert len(problems) == 1 and expected in problems[0], problems


@pytest.mark.parametrize(
    ("stage", "parameters"),
    [
        ("prune", {"pattern": "2:4", "layers": {"head": 0}}),
        ("prune", {"block": [4, 1], "layers": {"head": 0.25}}),
        ("cluster", {"init": "density", "per_channel": True, "layers": {"head": 0, "conv*": 256}}),
    ],
)
def test_what_is_right_passes(stage: str, parameters: dict[str, Any]) -> None:
    assert stage_problems([{stage: parameters}], has_data=True) == []


def test_the_first_glob_that_fits_counts_also_for_layers_of_nested_models() -> None:
    names = ["conv_1", "conv_2", "block/conv", "head"]
    assert per_layer({"conv_2": 0.1, "block/*": 0.5, "conv*": 0.9}, 0.8, names, stage="prune") == {
        "conv_1": 0.9,
        "conv_2": 0.1,
        "block/conv": 0.5,
        "head": 0.8,
    }


def test_every_glob_that_fits_nothing_is_told() -> None:
    with pytest.raises(RecipeError) as caught:
        per_layer({"cnv_1": 0.1, "conv_1": 0.2, "dense*": 0}, 0.8, ["conv_1", "head"], stage="prune")
    assert len(caught.value.problems) == 2 and "conv_1" in caught.value.problems[0]


def test_a_pattern_in_yaml_is_no_number_of_minutes(tmp_path: Any) -> None:
    """YAML 1.1 reads 2:4 as 124."""
    from edgepipe.pipeline.recipe import load_recipe

    path = tmp_path / "recipe.yaml"
    path.write_text("schema: 1\nmodel: {path: m.keras}\ndata: {train: digits}\nstages:\n  - prune: {pattern: 2:4}\n")
    assert load_recipe(path).steps[0].parameters == {"pattern": "2:4"}
