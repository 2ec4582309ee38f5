"""Samples go in as the model takes them, and answers are judged by the labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from edgepipe.errors import DataError, InfrastructureError, UnsupportedModel
from edgepipe.facts import ModelFacts, TensorPort
from edgepipe.pipeline.data.dataset import Dataset
from edgepipe.pipeline.scoring import check_labels, decode, encode, samples, score

INT8 = TensorPort(name="x", shape=(1, 2), dtype="int8", scale=0.5, zero_point=3)
FLOAT = TensorPort(name="x", shape=(1, 2), dtype="float32")


def facts(inputs: Sequence[TensorPort] = (FLOAT,), outputs: Sequence[TensorPort] = (FLOAT,)) -> ModelFacts:
    return ModelFacts(
        sha256="0" * 64,
        size_bytes=0,
        gzip_bytes=0,
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        ops=(),
        weights=(),
        float_tensors=(),
        dynamic_tensors=(),
        custom_ops=(),
        flex_ops=(),
    )


def dataset(labels: object, x: object = ((0, 0), (0, 0), (0, 0))) -> Dataset:
    return Dataset(inputs={"x": np.asarray(x, np.float32)}, labels=None if labels is None else np.asarray(labels), source="test")


def floats(*values: float) -> bytes:
    return np.array(values, "<f4").tobytes()


@pytest.mark.parametrize(
    ("real", "code"),
    [(0.0, 3), (0.5, 4), (0.25, 4), (-0.25, 2), (0.24, 3), (0.75, 5), (-0.75, 1), (1e9, 127), (-1e9, -128), (0.249999985, 3)],
)
def test_values_are_quantised_half_away_from_zero_and_clipped(real: float, code: int) -> None:
    assert encode(np.array([real], np.float32), INT8).tolist() == [code]


def test_codes_of_the_ports_own_dtype_stay_as_they_are() -> None:
    codes = np.array([-128, 0, 127], np.int8)
    assert encode(codes, INT8).tolist() == codes.tolist()


def test_whole_numbers_go_into_a_float_model_as_floats() -> None:
    assert encode(np.array([0, 255], np.uint8), FLOAT).tolist() == [0.0, 255.0]


def test_what_was_quantised_comes_back() -> None:
    real = np.array([-1.0, 0.5, 2.0], np.float32)
    assert decode(encode(real, INT8).tobytes(), INT8).tolist() == real.tolist()


def test_inputs_go_by_name_not_by_position() -> None:
    data = Dataset(
        inputs={"right": np.full((2, 1), 2, np.float32), "left": np.full((2, 3), 1, np.float32)}, labels=None, source="test"
    )
    ports = (
        TensorPort(name="serving_default_left:0", shape=(1, 3), dtype="float32"),
        TensorPort(name="serving_default_right:0", shape=(1, 1), dtype="float32"),
    )
    assert next(samples(data, facts(ports))) == (floats(1, 1, 1), floats(2))


def test_samples_of_another_shape_are_refused_before_the_first() -> None:
    with pytest.raises(DataError) as raised:
        samples(dataset([0], [[0, 0, 0]]), facts())
    assert "(2,)" in str(raised.value)


def test_a_model_with_a_larger_batch_is_refused() -> None:
    port = TensorPort(name="x", shape=(8, 2), dtype="float32")
    with pytest.raises(DataError, match="does not fit") as raised:
        samples(dataset([0]), facts([port]))
    assert "takes 8 samples at once" in str(raised.value)


def test_classes_are_the_largest_output() -> None:
    accuracy = score([(floats(1, 0),), (floats(0, 1),), (floats(0, 1),)], dataset([0, 1, 0]), facts())
    assert accuracy.metric == "accuracy"
    assert accuracy.correct == (True, True, False)
    assert accuracy.value == pytest.approx(2 / 3)
    assert accuracy.samples == 3
    assert accuracy.data_sha256 == dataset([0, 1, 0]).sha256


def test_one_sigmoid_output_is_yes_above_a_half() -> None:
    port = TensorPort(name="y", shape=(1, 1), dtype="int8", scale=1 / 256, zero_point=-128)
    codes = [np.array([code], np.int8).tobytes() for code in (0, 1, -1)]  # exactly one half, just above, just below
    accuracy = score([(code,) for code in codes], dataset([[0], [1], [0]]), facts(outputs=[port]))
    assert accuracy.correct == (True, True, True)


def test_real_targets_give_the_mean_squared_error_of_real_outputs() -> None:
    codes = [encode(np.array(row, np.float32), INT8).tobytes() for row in ((0.0, 0.5), (1.0, 1.0), (0.0, 0.0))]
    targets = np.array([(0.0, 0.0), (1.0, 1.0), (2.0, 0.0)], np.float32)
    accuracy = score([(code,) for code in codes], dataset(targets), facts(outputs=[INT8]))
    assert accuracy.metric == "mse"
    assert accuracy.value == pytest.approx((0.25 / 2 + 0 + 4 / 2) / 3)
    assert accuracy.correct is None


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
def test_one_hot_labels_are_classes_and_not_targets(dtype: str) -> None:
    labels = np.array([[1, 0], [0, 1], [1, 0]], dtype)
    accuracy = score([(floats(0.9, 0.4),), (floats(0.1, 0.2),), (floats(0, 1),)], dataset(labels), facts())
    assert (accuracy.metric, accuracy.correct) == ("accuracy", (True, True, False))


def test_with_several_labels_a_sample_is_right_where_all_are() -> None:
    labels = np.array([[1, 1], [0, 0], [0, 1]], np.float32)
    accuracy = score([(floats(0.9, 0.6),), (floats(0.9, 0.1),), (floats(0.5, 0.51),)], dataset(labels), facts())
    assert (accuracy.metric, accuracy.correct) == ("accuracy", (True, False, True))


def test_yes_and_no_stored_as_floats_are_classes() -> None:
    port = TensorPort(name="y", shape=(1, 1), dtype="float32")
    accuracy = score([(floats(0.7),), (floats(0.7),), (floats(0.2),)], dataset([1.0, 0.0, 0.0]), facts(outputs=[port]))
    assert (accuracy.metric, accuracy.correct) == ("accuracy", (True, False, True))


def test_class_numbers_stored_as_floats_are_classes() -> None:
    assert score([(floats(0, 1),)] * 3, dataset([1.0, 0.0, 1.0]), facts()).correct == (True, False, True)


def test_what_an_autoencoder_must_give_back_is_no_label_even_when_it_is_0_or_1() -> None:
    pixels = np.array([[1, 0], [0, 1], [1, 1]], np.float32)
    accuracy = score([(floats(*row),) for row in pixels], dataset(pixels, pixels), facts())
    assert (accuracy.metric, accuracy.value) == ("mse", 0.0)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (None, "has no labels"),
        ([0, 1, 2], "labels from 0 to 2; the model knows 2 classes"),
        ([-1, 0, 1], "labels from -1 to 1"),
        ([0, 1], "2 labels for 3 samples"),
        ([[0.5], [1.0], [2.0]], "the model answers 2 numbers"),
    ],
)
def test_labels_that_the_model_cannot_mean_are_refused(labels: object, words: str) -> None:
    with pytest.raises(DataError, match=words):
        check_labels(dataset(labels), facts())


def test_answers_of_another_size_are_not_judged() -> None:
    int8 = facts(outputs=[INT8])
    assert score([(b"\0\x01",)], dataset([1], x=((0, 0),)), int8).value == 1.0
    with pytest.raises(InfrastructureError, match="8 numbers of int8, where the model's output has 2"):
        score([(floats(0.25, 0.75),)], dataset([1], x=((0, 0),)), int8)  # scores as a board tells them in text


def test_a_model_with_two_outputs_is_refused() -> None:
    with pytest.raises(UnsupportedModel, match="2 outputs"):
        check_labels(dataset([0, 1, 0]), facts(outputs=[FLOAT, FLOAT]))
