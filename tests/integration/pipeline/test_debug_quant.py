"""Where the accuracy went: a small slice of benchmarks/poisoned_layer.py, and the two commands as a user runs them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commandline import Command

from benchmarks.poisoned_layer import LAYERS, look, make
from edgepipe.errors import ModelRejected, UnsupportedModel
from edgepipe.losses import QuantisationLoss
from edgepipe.pipeline.data import Dataset, load
from edgepipe.pipeline.inspect.losses.cut import Cut, open_model
from edgepipe.pipeline.inspect.losses.find import Twins, find_losses

CHANNEL, WEIGHT, BIAS, RANGE = 0, 13, 6, 11  # seeds; one of each kind of poison
CAUSES = {
    CHANNEL: "one channel reaches",
    WEIGHT: "one weight is",
    BIAS: "one channel reaches",
    RANGE: "of the values saturate",
}


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[int, dict[str, Any]]]:
    """A folder of twins with one poisoned layer each, and what was done to which."""
    folder = tmp_path_factory.mktemp("poisoned")
    return folder, {case["seed"]: case for case in make(folder, list(CAUSES))}


@pytest.mark.parametrize("seed", CAUSES)
def test_the_poisoned_layer_is_named_first_and_why(seed: int, poisoned: tuple[Path, dict[int, dict[str, Any]]]) -> None:
    folder, cases = poisoned
    found = look(folder, cases[seed])
    assert found["rank"] == 1, found
    assert CAUSES[seed] in found["cause"]


@pytest.mark.parametrize("seed", [CHANNEL, BIAS, RANGE])
def test_the_usual_order_by_the_error_at_a_layers_end_blames_another(
    seed: int, poisoned: tuple[Path, dict[int, dict[str, Any]]]
) -> None:
    folder, cases = poisoned
    assert look(folder, cases[seed])["rank_by_error_at_its_end"] > 1, "else this poison proves nothing about the order"


def losses(folder: Path, seed: int, *, samples: int = 16) -> QuantisationLoss:
    twins = Twins(wide=folder / f"{seed}-float.tflite", narrow=folder / f"{seed}-int8.tflite", layers=LAYERS)
    return find_losses(twins, digits(), samples=samples)


def digits() -> Dataset:
    return load("digits", base=Path()).take(np.arange(1200, 1500))


def test_a_layer_that_only_hands_on_has_no_error_of_its_own_but_the_one_it_was_handed(
    poisoned: tuple[Path, dict[int, dict[str, Any]]],
) -> None:
    found = losses(poisoned[0], RANGE)
    (pool,) = (each for each in found.layers if each.op == "MAX_POOL_2D")
    assert (pool.own_db, pool.effect_db, pool.max_steps) == (None, None, 0)
    assert pool.total_db is not None and pool.total_db < 20
    assert [each.rank for each in found.ranked] == list(range(1, len(found.layers) + 1))
    assert found.unmatched == ()


def test_healthy_layers_stay_within_rounding_and_weights_within_half_a_step(
    poisoned: tuple[Path, dict[int, dict[str, Any]]],
) -> None:
    folder, cases = poisoned
    found = losses(folder, RANGE)
    healthy = [each for each in found.layers if each.layer != cases[RANGE]["layer"] and each.weights is not None]
    assert len(healthy) == len(LAYERS) - 1
    for each in healthy:
        assert each.own_db is not None and each.own_db > 30
        assert each.weights is not None and each.weights.steps_off <= 0.5 + 1e-3 and each.weights.per_channel
        assert each.cause == ""


def test_a_network_cut_at_every_tensor_and_fed_its_own_values_answers_to_the_last_bit(
    poisoned: tuple[Path, dict[int, dict[str, Any]]],
) -> None:
    model = open_model((poisoned[0] / f"{RANGE}-int8.tflite").read_bytes())
    graph = model.subgraphs[0]
    computed = [int(op.outputs[0]) for op in graph.operators]
    start = int(graph.inputs[0])
    given = {start: np.random.default_rng(1).integers(-128, 128, graph.tensors[start].shape).astype(np.int8)}
    whole = Cut(model, (), computed)(given)
    apart = Cut(model, computed, computed)({**given, **whole})
    for tensor in computed:
        np.testing.assert_array_equal(whole[tensor], apart[tensor])
    tampered = {**given, **whole, computed[2]: whole[computed[2]] ^ 1}
    assert not np.array_equal(Cut(model, (computed[2],), computed[-1:])(tampered)[computed[-1]], whole[computed[-1]])


def test_files_in_the_wrong_order_are_refused_by_name(poisoned: tuple[Path, dict[int, dict[str, Any]]]) -> None:
    folder, _ = poisoned
    swapped = Twins(wide=folder / f"{RANGE}-int8.tflite", narrow=folder / f"{RANGE}-float.tflite")
    with pytest.raises(UnsupportedModel, match="not a float file and its quantised twin") as refused:
        find_losses(swapped, digits())
    assert "quantised itself" in refused.value.problems[0]


def test_a_model_that_the_interpreter_refuses_is_rejected_and_takes_nothing_along(
    poisoned: tuple[Path, dict[int, dict[str, Any]]], tmp_path: Path
) -> None:
    import flatbuffers

    model = open_model((poisoned[0] / f"{RANGE}-int8.tflite").read_bytes())
    graph = model.subgraphs[0]
    graph.operators[0].inputs = np.array([graph.inputs[0], graph.inputs[0], graph.inputs[0]], np.int32)  # its own weights and bias
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    (tmp_path / "broken.tflite").write_bytes(bytes(builder.Output()))
    twins = Twins(wide=poisoned[0] / f"{RANGE}-float.tflite", narrow=tmp_path / "broken.tflite")
    with pytest.raises(ModelRejected, match="could not be run"):
        find_losses(twins, digits())


def test_one_that_takes_too_long_is_ended(poisoned: tuple[Path, dict[int, dict[str, Any]]]) -> None:
    twins = Twins(wide=poisoned[0] / f"{RANGE}-float.tflite", narrow=poisoned[0] / f"{RANGE}-int8.tflite")
    with pytest.raises(ModelRejected, match="not done after 0 s"):
        find_losses(twins, digits(), deadline_s=0.01)


def test_the_command_prints_one_document_and_writes_a_page(
    poisoned: tuple[Path, dict[int, dict[str, Any]]], edgepipe: Command, tmp_path: Path
) -> None:
    folder, cases = poisoned
    twins = (folder / f"{BIAS}-float.tflite", folder / f"{BIAS}-int8.tflite")
    done = edgepipe("debug-quant", *twins, "--data", "digits", "--samples", 16, "--json", "--to", "page.html", "--quiet")
    assert done.code == 0, done.err
    worst = min(done.json["layers"], key=lambda each: each["rank"])
    assert worst["layer"] == cases[BIAS]["layer"] and worst["remedy"]
    assert 0 <= done.json["changed"] <= done.json["answers"] == 256
    page = (edgepipe.folder / "page.html").read_text(encoding="utf-8")
    assert "http" not in page.replace("http-equiv", "") and worst["layer"] in page and "<svg" in page


def test_a_keras_model_is_quantised_first_and_its_layers_keep_their_names(zoo: Path, edgepipe: Command) -> None:
    done = edgepipe("debug-quant", zoo / "keras3.keras", "--data", zoo / "digits_like.npz", "--samples", 4, "--json")
    assert done.code == 0, done.err
    assert {"conv", "separable", "add", "pool", "digit"} <= {each["layer"] for each in done.json["layers"]}
    assert done.json["unmatched"] == []
    assert edgepipe("debug-quant", zoo / "keras3.keras").code == 2


def test_the_ladder_stops_at_the_first_remedy_that_is_good_enough_and_remembers(
    poisoned: tuple[Path, dict[int, dict[str, Any]]], edgepipe: Command
) -> None:
    asked = ("remedy", poisoned[0] / f"{CHANNEL}.keras", "--data", "digits", "--target", "mcu", "--json")
    done = edgepipe(*asked, "--to", "chosen.tflite")
    assert done.code == 0, done.err
    rungs = {each["name"]: each for each in done.json["rungs"]}
    assert done.json["chosen"] == "int16x8"
    assert rungs["int8"]["points"] < -50 and rungs["int8"]["low"] < rungs["int8"]["points"] < rungs["int8"]["high"]
    assert "does not compute in float" in rungs["first and last in float"]["why_not"]
    assert rungs["int16x8"]["points"] >= -1 and rungs["int16x8"]["fits"]
    assert rungs["qat"]["why_not"] == "not needed"
    assert (edgepipe.folder / "chosen.tflite").stat().st_size == rungs["int16x8"]["size_bytes"]
    again = edgepipe(*asked, "--max-drop", 100)
    assert again.json["chosen"] == "int8" and again.json["rungs"][0]["cached"]
    assert "TensorFlow" not in again.err, "a ladder that was climbed before needs none"


def test_a_recipe_climbs_to_training_where_nothing_cheaper_is_good_enough(
    poisoned: tuple[Path, dict[int, dict[str, Any]]], edgepipe: Command
) -> None:
    """`qat` is the last rung; with a gate that nothing meets, every rung says what it reached or why it makes no sense."""
    recipe = edgepipe.folder / "recipe.yaml"
    recipe.write_text(
        f"schema: 1\nmodel: {{path: {poisoned[0]}/{CHANNEL}.keras}}\ndata: {{train: digits}}\ntarget: mcu\n"
        "train: {epochs: 1}\nstages:\n  - quantize: {mode: int8}\n"
    )
    done = edgepipe("remedy", recipe, "--max-drop", -100, "--json")
    assert done.code == 1 and "no remedy" in done.err  # and stdout is one document all the same
    rungs = {each["name"]: each for each in done.json["rungs"]}
    assert not done.json["chosen"] and not any(each["meets"] for each in rungs.values())
    assert rungs["qat"]["fits"] and rungs["qat"]["size_bytes"], "trained, made int8, and judged like the others"
    assert all(each["why_not"] or each["validation"] is not None for each in rungs.values())
