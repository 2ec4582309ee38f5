"""Zeros and clusters in patterns, layer by layer, through training, clustering and int8: one TensorFlow process for all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgepipe.errors import RecipeError, UnsupportedModel
from edgepipe.events import Event, Note
from edgepipe.pipeline.cache import Cache
from edgepipe.pipeline.data import Dataset, calibration, load
from edgepipe.pipeline.recipe import ModelSource, Step, TrainSpec
from edgepipe.pipeline.runner import Runner
from edgepipe.pipeline.splits import stored
from edgepipe.pipeline.treatment import treatment
from edgepipe.pipeline.worker import Worker
from edgepipe.records import Artefact

TRAIN = TrainSpec(epochs=1, batch_size=32, loss="sparse_categorical_crossentropy", learning_rate=2e-3)
NETWORKS = """
import tf_keras
layers = tf_keras.layers

def small():
    tf_keras.utils.set_random_seed(3)
    return tf_keras.Sequential([
        layers.Input((8, 8, 1), name="pixels"),
        layers.Conv2D(6, 3, padding="same", activation="relu", name="first"),
        layers.Conv2D(9, 3, strides=2, padding="same", use_bias=False, name="second"),
        layers.BatchNormalization(name="norm"),
        layers.ReLU(name="relu"),
        layers.Conv2DTranspose(4, 2, activation="relu", name="wider"),
        layers.Flatten(name="flat"),
        layers.Dense(22, activation="relu", name="mix"),
        layers.Dense(10, activation="softmax", name="digit"),
    ])

def nested():
    tf_keras.utils.set_random_seed(3)
    block = tf_keras.Sequential([
        layers.Input((8, 8, 4)), layers.Conv2D(4, 3, padding="same", activation="relu", name="conv")
    ], name="block")
    pixels = layers.Input((8, 8, 1), name="pixels")
    x = block(block(layers.Conv2D(4, 3, padding="same", name="stem")(pixels)))
    return tf_keras.Model(pixels, layers.Dense(10, activation="softmax", name="digit")(layers.Flatten(name="flat")(x)))
"""
Chain = Callable[..., list[Artefact]]
INITS = ("linear", "random", "density", "kmeans++")


@pytest.fixture(scope="module")
def notes() -> list[str]:
    return []


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory, notes: list[str]) -> Iterator[Chain]:
    """Runs stages, given as (name, parameters), one after another on a small network, and returns all artefacts."""
    folder = tmp_path_factory.mktemp("sparsity")
    (folder / "networks.py").write_text(NETWORKS)
    digits = load("digits", base=folder)
    few = Dataset(inputs={name: x[:128] for name, x in digits.inputs.items()}, labels=np.asarray(digits.labels)[:128], source="few")
    cache = Cache(folder / "cache")
    data = {"train": stored(cache, few), "calibration": stored(cache, calibration(few, 32, seed=0))}

    def emit(event: Event) -> None:
        if isinstance(event, Note):
            notes.append(event.text)

    with Worker(emit) as worker:
        runner = Runner(worker, cache, data, seed=0)
        loaded: dict[str, Artefact] = {}

        def run(*stages: tuple[str, dict[str, Any]], network: str = "small") -> list[Artefact]:
            if network not in loaded:
                loaded[network] = runner.load(ModelSource(path=f"networks:{network}"), folder).artefact
            made = [loaded[network]]
            for name, parameters in stages:
                made.append(runner.run(Step(stage=name, parameters=parameters), made[-1], TRAIN).artefact)
            return made

        yield run


def weights(artefact: Artefact, layer: str) -> Any:
    """The weights of a layer as the interpreter sees them, output channels first: a second reader."""
    from ai_edge_litert.interpreter import Interpreter

    (fact,) = [weight for weight in artefact.facts.weights if weight.layer == layer]
    runner = Interpreter(model_path=str(Path(artefact.folder) / "model.tflite"))
    details = {detail["name"]: detail["index"] for detail in runner.get_tensor_details()}
    return runner.get_tensor(details[fact.name])


def claimed(artefact: Artefact, kind: str) -> list[str]:
    return [layer for proof in artefact.proofs if proof.claim.kind == kind for layer in proof.claim.layers]


def test_two_of_four_stay_zero_through_clusters_and_training_with_quantisation(chain: Chain, notes: list[str]) -> None:
    made = chain(("prune", {"pattern": "2:4"}), ("cluster", {"clusters": 8}), ("quantize", {"mode": "qat"}))
    assert claimed(made[-1], "pattern") == ["second", "mix", "digit"]
    assert made[1].skipped_layers == ("first", "wider") and any("first, wider" in note for note in notes)
    for artefact in made[1:]:
        for layer in claimed(artefact, "pattern"):
            rows = weights(artefact, layer).reshape(-1, weights(artefact, layer).shape[-1])
            padded = np.pad(rows, ((0, 0), (0, -rows.shape[1] % 4)))
            assert np.count_nonzero(padded.reshape(-1, 4), axis=1).max() == 2, layer
    last = treatment(made[-1])
    assert last["pruned"] < last["clustered"] == 1
    assert 0 < last["ptq"] < last["qat"] and last["qat"] + last["ptq"] == pytest.approx(1)  # "wider" is only converted


def test_blocks_are_zero_throughout_in_the_file(chain: Chain) -> None:
    made = chain(("prune", {"sparsity": 0.6, "block": [4, 2], "layers": {"digit": 0.3}}), ("quantize", {"mode": "int8"}))
    assert claimed(made[-1], "blocks") == ["mix", "digit"]
    for artefact in made[1:]:
        matrix = weights(artefact, "mix").T
        padded = np.pad(matrix, ((0, -matrix.shape[0] % 4), (0, -matrix.shape[1] % 2)))
        blocks = padded.reshape(padded.shape[0] // 4, 4, -1, 2).swapaxes(1, 2)
        assert np.mean(~blocks.any(axis=(2, 3))) == pytest.approx(0.6, abs=0.01)
    assert weights(made[0], "mix").all() and weights(made[1], "second").all()


def test_single_layers_and_single_channels_keep_what_each_was_promised(chain: Chain) -> None:
    """The first layer has no zeros to keep: TF-MOT's own scheme for clusters then forgets those of all the others.

    The second has no bias: TF-MOT takes its kernel for the bias, and clusters nothing.
    """
    made = chain(
        ("prune", {"sparsity": 0.5, "layers": {"first": 0, "m*": 0.7}}),
        ("cluster", {"clusters": 4, "per_channel": True, "layers": {"mix": 0, "digit": 8}}),
        ("quantize", {"mode": "qat", "learning_rate": 2e-3}),
    )
    last = made[-1]
    assert {proof.claim.wanted: proof.claim.layers for proof in last.proofs if proof.claim.kind == "sparsity"} == {
        0.5: ("second", "wider", "digit"),
        0.7: ("mix",),
    }
    found = {weight.layer: weight for weight in last.facts.weights}
    assert found["first"].sparsity < 0.2 and found["mix"].sparsity >= 0.7 - 0.01 and found["second"].sparsity >= 0.5 - 0.01
    assert found["second"].clusters <= 4 < found["digit"].clusters <= 8 < found["mix"].clusters
    for artefact in made[2:]:
        channels = weights(artefact, "second").reshape(9, -1)
        assert max(len(np.unique(channel)) for channel in channels) <= 4 < len(np.unique(channels))
    assert all(proof.holds for proof in last.proofs)


@pytest.mark.parametrize("init", INITS)
def test_clusters_start_in_every_way_and_are_few(chain: Chain, init: str) -> None:
    (_, made) = chain(("cluster", {"clusters": 8, "init": init, "layers": {"mix": 8, "*": 0}}))
    assert made.proofs[0].holds and 2 <= float(made.proofs[0].measured) <= 8
    assert claimed(made, "clusters") == ["mix"]


def test_ways_to_start_lead_to_different_weights(chain: Chain) -> None:
    made = {chain(("cluster", {"clusters": 8, "init": init, "layers": {"mix": 8, "*": 0}}))[-1].sha256 for init in INITS}
    assert len(made) == len(INITS)


def test_a_name_that_fits_no_layer_is_an_error_before_any_training(chain: Chain) -> None:
    with pytest.raises(RecipeError, match="no layer") as caught:
        chain(("prune", {"layers": {"secnd": 0}}))
    assert 'Perhaps you meant "second"?' in caught.value.problems[0]


def test_zero_needs_a_cluster_of_its_own(chain: Chain) -> None:
    with pytest.raises(RecipeError, match="zero is one of them"):
        chain(("prune", {"sparsity": 0.5}), ("cluster", {"clusters": 2}))


def test_where_no_layer_can_take_the_blocks_the_error_names_them(chain: Chain) -> None:
    with pytest.raises(UnsupportedModel, match="no layer takes") as caught:
        chain(("prune", {"block": [4, 1], "layers": {"mix": 0, "digit": 0}}))
    assert any("second" in problem for problem in caught.value.problems)


def test_layers_of_a_nested_model_are_pruned_and_trained_with_quantisation(chain: Chain) -> None:
    made = chain(("prune", {"sparsity": 0.6, "layers": {"stem": 0}}), ("quantize", {"mode": "qat"}), network="nested")
    assert "block" in made[0].parameters["rewrites"][0]
    assert claimed(made[-1], "sparsity") == ["block/conv", "digit"] and made[-1].skipped_layers == ()
    assert [weight.layer for weight in made[-1].facts.weights].count("block/conv") == 1  # shared: stored once
    assert [op.layer for op in made[-1].facts.ops].count("block/conv") == 2
    assert treatment(made[-1])["qat"] == 1
