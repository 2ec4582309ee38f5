"""Layers are recognised in the spellings of Keras 2, Keras 3, QAT and SavedModels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgepipe.pipeline.inspect.flatbuffer import read_facts

NORM = "{0}/act/Relu;{0}/bn/FusedBatchNormV3;{0}/stem/Conv2D"
KWS = (
    "functional_1/activation_2/Relu;functional_1/batch_normalization_2/FusedBatchNormV3;functional_1/conv2d_1/BiasAdd/ReadVariableOp/resource;"
    "functional_1/conv2d_1/BiasAdd;functional_1/conv2d_4/Conv2D;functional_1/conv2d_1/Conv2D1"
)


def layers_of(tiny: Any, pairs: list[tuple[str, str]], known: tuple[str, ...]) -> list[str]:
    """Return the layers of a chain of 1x1 convolutions with these (weight, output) names."""
    model = tiny()
    x = first = model.tensor("serving_default_x:0", (1, 2, 2, 1), scale=0.1)
    for number, (weight, output) in enumerate(pairs):
        w = model.tensor(weight, (1, 1, 1, 1), data=np.array([number + 1], np.int8), scale=0.1)
        y = model.tensor(output, (1, 2, 2, 1), scale=0.1)
        model.op("CONV_2D", [x, w, -1], [y])
        x = y
    model.ports([first], [x])
    return [weight.layer for weight in read_facts(model.build(), layers=known).weights]


@pytest.mark.parametrize(
    ("weight", "output", "layer"),
    [
        ("model/stem/Conv2D", NORM.format("model") + "1", "stem"),
        ("model_1/model/stem/Conv2D", NORM.format("model_1/model"), "stem"),
        ("model/quant_stem/Conv2D;model/quant_stem/LastValueQuant/FakeQuantWithMinMaxVars", "model/quant_stem/Conv2D1", "stem"),
        ("functional_1/stem_1/convolution", "functional_1/stem_1/BiasAdd;functional_1/stem_1/Squeeze1", "stem_1"),
        ("functional_1/conv2d_1/Conv2D", KWS, "conv2d_1"),
        ("sequential/sep/separable_conv2d", "sequential/sep/BiasAdd", "sep"),
        ("model/stem/Conv2D", "StatefulPartitionedCall:0", "stem"),
    ],
)
def test_without_the_layers_names_the_path_tells(tiny: Any, weight: str, output: str, layer: str) -> None:
    assert layers_of(tiny, [(weight, output)], ()) == [layer]


def test_known_layers_are_matched_and_nothing_else(tiny: Any) -> None:
    pairs = [("model/quant_stem/Conv2D", NORM.format("model")), ("model/second/Conv2D", "model/second/BiasAdd")]

    assert layers_of(tiny, pairs, ("stem", "bn", "act", "second")) == ["stem", "second"]


def test_keras_3_renames_are_undone_as_a_whole(tiny: Any) -> None:
    pairs = [("f/conv_1/convolution", "f/conv_1/Squeeze"), ("f/conv_1_1/convolution", "f/conv_1_1/Squeeze")]

    assert layers_of(tiny, pairs, ("conv", "conv_1")) == ["conv", "conv_1"]


def test_a_lost_name_is_found_between_its_neighbours(tiny: Any) -> None:
    pairs = [("model/first/Conv2D", "a"), ("arith.constant3", "b"), ("model/third/Conv2D", "c")]

    assert layers_of(tiny, pairs, ("first", "second", "third")) == ["first", "second", "third"]


def test_a_lost_name_stays_lost_where_two_layers_could_be_meant(tiny: Any) -> None:
    pairs = [("model/first/Conv2D", "a"), ("arith.constant3", "b"), ("model/fourth/Conv2D", "c")]

    assert layers_of(tiny, pairs, ("first", "second", "third", "fourth")) == ["first", "", "fourth"]


def test_a_layer_of_a_nested_model_is_known_by_both_names(tiny: Any) -> None:
    pairs = [("model/outer/conv/Conv2D", "model/outer/conv/BiasAdd"), ("model/conv/Conv2D", "model/conv/BiasAdd")]
    assert layers_of(tiny, pairs, ("outer/conv", "conv")) == ["outer/conv", "conv"]
    quantised = [("model/quant_outer/conv/Conv2D", "model/quant_outer/conv/Relu")]
    assert layers_of(tiny, quantised, ("outer/conv", "conv")) == ["outer/conv"]
