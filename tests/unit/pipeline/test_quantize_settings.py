"""What a quantize stage cannot be asked for is said before any work, with the way out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgepipe.errors import MissingExtra, RecipeError
from edgepipe.pipeline.export.aeq import require_installed
from edgepipe.pipeline.recipe import Recipe, read_recipe
from edgepipe.pipeline.stages.layer_choice import chosen_layers

LAYERS = ("conv1", "conv2", "head", "head_norm")


def recipe(target: str = "host", **parameters: Any) -> Recipe:
    content = {
        "schema": 1,
        "model": {"path": "m.keras"},
        "data": {"train": "digits"},
        "target": target,
        "stages": [{"quantize": parameters}],
    }
    return read_recipe(content, source="here", name="test", base=Path())


@pytest.mark.parametrize("target", ["mcu", "coral"])
def test_a_target_without_float_takes_no_float_layers(target: str) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe(target, float_layers=["conv1", "head"])
    assert caught.value.problems == (
        f"stage 1 (quantize): float_layers: conv1, head cannot stay in float32: {target} computes in integers only",
    )


def test_16_bit_activations_run_on_microcontrollers_and_not_on_a_coral() -> None:
    recipe("mcu", mode="int16x8")
    with pytest.raises(RecipeError) as caught:
        recipe("coral", mode="int16x8")
    assert caught.value.problems == ("stage 1 (quantize): mode int16x8: coral does not compute in int16",)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"mode": "int4"}, "mode int4 needs backend: aeq"),
        ({"mode": "qat", "backend": "aeq"}, "backend: aeq makes int8, int16x8, dynamic, int4"),
        ({"mode": "int16x8", "float_layers": ["a"]}, "backend: aeq has it for this mode"),
        ({"mode": "float16", "float_layers": ["a"]}, "without it every layer computes in float"),
        ({"mode": "int16x8", "per_channel": False}, "per_channel: false belongs to mode int8"),
        ({"mode": "int8", "epochs": 3}, "epochs and learning_rate belong to mode: qat"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe(**parameters)
    assert said in caught.value.problems[0]


@pytest.mark.parametrize(
    "parameters",
    [
        {"float_layers": ["a"]},
        {"mode": "qat", "float_layers": ["a"]},
        {"per_channel": False},
        {"mode": "int4", "backend": "aeq", "float_layers": ["a"]},
        {"mode": "int16x8", "backend": "aeq", "per_channel": False},
    ],
)
def test_settings_that_go_together_are_taken(parameters: dict[str, Any]) -> None:
    assert recipe(**parameters).steps[0].parameters == parameters


def test_layers_are_chosen_by_name_or_glob_in_the_models_order() -> None:
    assert chosen_layers(["head*", "conv1"], LAYERS, key="float_layers") == ("conv1", "head", "head_norm")


def test_every_name_that_fits_no_layer_is_told_with_the_nearest() -> None:
    with pytest.raises(RecipeError) as caught:
        chosen_layers(["cnov1", "head", "tail*"], LAYERS, key="float_layers")
    assert caught.value.problems[0] == '"cnov1". Perhaps you meant "conv1"?'
    assert caught.value.problems[1].startswith('"tail*".')


def test_a_back_end_that_is_not_installed_says_how_to_get_it() -> None:
    with pytest.raises(MissingExtra, match="ai-edge-quantizer") as caught:
        require_installed("no_such_module")
    assert "pip install 'edgepipe[aeq]'" in caught.value.todo
