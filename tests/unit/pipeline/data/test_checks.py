"""Everything wrong with the data is said before any work, in one line each, and nothing is said of good data."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgepipe.errors import DataError
from edgepipe.events import Event, Progress, StepStarted
from edgepipe.facts import TensorPort
from edgepipe.pipeline import data
from edgepipe.pipeline.data import Dataset, check, ordered, raise_errors

FLOAT = TensorPort(name="x", shape=(-1, 4, 3), dtype="float32")


def made(
    samples: int = 40, shape: tuple[int, ...] = (4, 3), seed: int = 0, scale: float = 1.0, classes: int = 3, name: str = "x"
) -> Dataset:
    values = np.random.default_rng(seed).random((samples, *shape), dtype=np.float32) * np.float32(scale)
    return Dataset(inputs={name: values}, labels=np.arange(samples) % classes, source="made up")


def with_x(dataset: Dataset, x: np.ndarray) -> Dataset:
    return replace(dataset, inputs={"x": x})


def lines(*args: object, **kwargs: object) -> list[str]:
    return [f"{problem.severity} {problem}" for problem in check(*args, **kwargs)]  # type: ignore[arg-type]


def test_nothing_is_said_of_good_data() -> None:
    splits = {"train": made(seed=1), "validation": made(seed=2), "test": made(seed=3)}
    assert lines(splits, [FLOAT], classes=3, expects={"x": (0.0, 1.0)}, normalizes=False) == []


def test_nothing_is_said_of_the_digits(tmp_path: Path) -> None:
    rest, test = data.split(data.load("digits", base=tmp_path), 0.3, seed=5)
    ports = [TensorPort(name="serving_default_input_1:0", shape=(-1, 8, 8, 1), dtype="float32")]
    assert lines({"train": rest, "test": test, "calibration": rest.take(range(50))}, ports, classes=10, normalizes=False) == []


# Shapes, names, dtypes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "wanted", "complaint"),
    [
        ((5, 4), (-1, 5, 4, 1), "a sample has the shape 5 x 4, the model takes 5 x 4 x 1: add the channel axis"),
        ((3, 8, 8), (1, 8, 8, 3), "the axes are in another order"),
        ((490,), (1, 49, 10, 1), "as many values, x.reshape(-1, 49, 10, 1)"),
        ((1,), (1,), "as many values, x.reshape(-1,)"),
        ((5, 4), (-1, -1, 6), "a sample has the shape 5 x 4, the model takes any x 6"),
        ((), (1, 4), "a sample has the shape one number, the model takes 4"),
    ],
)
def test_a_wrong_shape_says_the_way_out(given: tuple[int, ...], wanted: tuple[int, ...], complaint: str) -> None:
    found = lines({"train": made(shape=given)}, [TensorPort(name="x", shape=wanted, dtype="float32")])
    assert len(found) == 1
    assert found[0].startswith("error train/x: ")
    assert complaint in found[0]


def test_the_batch_and_open_dimensions_take_any_size() -> None:
    for shape in [(1, 4, 3), (-1, -1, 3), (16, -1, -1), ()]:
        assert lines({"train": made()}, [TensorPort(name="x", shape=shape, dtype="float32")]) == []


def two_inputs(*names: str) -> Dataset:
    random = np.random.default_rng(0)
    return Dataset(inputs={name: random.random((9, 2)) for name in names}, labels=None, source="two")


LEFT_RIGHT = [
    TensorPort(name="serving_default_left:0", shape=(1, 2), dtype="float32"),
    TensorPort(name="serving_default_right:0", shape=(1, 2), dtype="float32"),
]


def test_inputs_in_another_order_are_matched_by_name() -> None:
    swapped = two_inputs("right", "left")
    assert lines({"test": swapped}, LEFT_RIGHT) == []
    left, right = ordered(swapped, LEFT_RIGHT)
    assert left is swapped.inputs["left"]
    assert right is swapped.inputs["right"]


def test_a_name_that_is_nearly_right_gets_a_suggestion() -> None:
    assert lines({"test": two_inputs("lefft", "right")}, LEFT_RIGHT) == [
        'error test: the model\'s input "left" is missing from the data',
        'error test: "lefft" is no input of the model. Perhaps you meant "left"?',
    ]
    with pytest.raises(DataError, match='"left" is missing'):
        ordered(two_inputs("lefft", "right"), LEFT_RIGHT)


def test_an_input_too_many_or_too_few_is_named() -> None:
    assert '"mask" is no input' in lines({"test": two_inputs("left", "right", "mask")}, LEFT_RIGHT)[0]
    assert '"right" is missing' in lines({"test": two_inputs("left")}, LEFT_RIGHT)[0]
    assert '"mask" is no input' in lines({"test": two_inputs("left", "mask")}, LEFT_RIGHT[:1])[0]


def test_a_model_with_one_input_takes_one_array_of_any_name() -> None:
    dataset = made(name="pictures")
    assert lines({"train": dataset}, [FLOAT]) == []
    assert ordered(dataset, [FLOAT])[0] is dataset.inputs["pictures"]


@pytest.mark.parametrize("x", [np.array(["1", "2"]), np.array([1j, 2j]), np.array([{}, {}]), np.array(["2026-11-22"] * 2, "M8[D]")])
def test_what_is_not_numbers_is_an_error(x: np.ndarray) -> None:
    found = lines({"train": Dataset(inputs={"x": x}, labels=None, source="odd")})
    assert len(found) == 1
    assert found[0].endswith("not numbers")


def test_fractions_for_a_model_of_whole_numbers_are_an_error() -> None:
    tokens = TensorPort(name="x", shape=(-1, 4, 3), dtype="int32")
    assert "with fractions, but the model takes int32" in lines({"train": made()}, [tokens])[0]
    assert lines({"train": with_x(made(), np.arange(480).reshape(40, 4, 3))}, [tokens]) == []


# Values -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_counted_with_its_first_sample(value: float) -> None:
    x = made().inputs["x"].copy()
    x[17, 2, 1] = x[17, 0, 0] = x[30, 0, 0] = value
    assert lines({"test": with_x(made(), x)}) == [
        "error test/x[17]: 3 values are NaN or infinite; this is the first sample with one"
    ]


def test_constant_data_is_an_error_and_a_constant_second_input_a_warning() -> None:
    assert lines({"calibration": with_x(made(), np.full((40, 4, 3), 0.5))}) == [
        "error calibration/x: every value of all 40 samples is 0.5"
    ]
    dataset = two_inputs("left", "right")
    dataset.inputs["right"][:] = 0
    assert lines({"train": dataset}) == ["warning train/right: every value of all 9 samples is 0"]


def test_features_that_never_change_are_a_warning_for_tables_only() -> None:
    x = np.random.default_rng(0).random((20, 10))
    x[:, [2, 5]] = 7
    table = Dataset(inputs={"x": x}, labels=None, source="table")
    assert lines({"train": table}) == ["warning train/x: 2 of 10 features never change (feature 2, 5)"]
    image = Dataset(inputs={"x": x.reshape(20, 5, 2, 1)}, labels=None, source="images")
    assert lines({"train": image}) == []


def test_samples_that_stand_twice_are_a_warning_with_their_indices() -> None:
    x = made().inputs["x"].copy()
    x[8], x[30], x[31] = x[2], x[2], x[5]
    assert lines({"train": with_x(made(), x)}) == ["warning train[8]: 3 samples stand there more than once (8 = 2, 30 = 2, 31 = 5)"]


def test_minus_zero_is_zero_and_double_is_single_when_samples_are_compared() -> None:
    x = made().inputs["x"].copy()
    x[3] = 0
    test = x[[3]].astype(np.float64) * -1
    found = lines({"train": with_x(made(), x), "test": Dataset(inputs={"x": test}, labels=None, source="t")})
    assert found == ["warning test[0]: 1 of 1 samples also stand in train (the first is train[3])"]


def test_test_data_that_stand_in_train_are_a_warning_and_calibration_data_are_not() -> None:
    train = made(seed=1)
    test = with_x(made(samples=5), np.concatenate([made(seed=2).inputs["x"][:3], train.inputs["x"][[7, 9]]]))
    found = lines({"train": train, "test": test, "calibration": train.take([1, 2, 3])})
    assert found == ["warning test[3]: 2 of 5 samples also stand in train (the first is train[7])"]


def test_equal_parts_of_samples_with_several_inputs_are_not_equal_samples() -> None:
    dataset = two_inputs("left", "right")
    dataset.inputs["left"][3] = dataset.inputs["left"][4]
    assert lines({"train": dataset}) == []
    dataset.inputs["right"][3] = dataset.inputs["right"][4]
    assert lines({"train": dataset}) == ["warning train[4]: one sample stands there more than once (4 = 3)"]


# Scales -----------------------------------------------------------------------------------------------------------------------


def test_splits_of_another_scale_are_an_error_that_names_both_ranges() -> None:
    found = lines({"train": made(seed=1, scale=1), "test": made(seed=2, scale=255)})
    assert len(found) == 1
    assert found[0].startswith("error test/x: another scale than train: ")
    assert found[0].endswith(" in train (divide by 255)")
    assert "(multiply by 255)" in lines({"train": made(seed=1, scale=255), "test": made(seed=2)})[0]


def test_one_outlier_is_not_another_scale() -> None:
    test = made(seed=2)
    test.inputs["x"][0, 0, 0] = 100
    assert lines({"train": made(seed=1, samples=400), "test": with_x(made(), test.inputs["x"])}) == []


INT8_0_TO_1 = TensorPort(name="x", shape=(1, 4, 3), dtype="int8", scale=1 / 255, zero_point=-128)


@pytest.mark.parametrize(
    ("scale", "shift", "says"),
    [
        (255.0, 0.0, "times too wide (divide by 255)"),
        (1 / 255, 0.0, "times too narrow (multiply by 255)"),
        (1.0, 5.0, "most of it lies outside"),
        (2.0, -0.8, "what lies outside is clipped"),
        (1.0, 0.0, None),
        (0.3, 0.5, None),
    ],
)
def test_an_int8_models_own_scale_is_held_against_the_data(scale: float, shift: float, says: str | None) -> None:
    found = lines({"calibration": with_x(made(), made().inputs["x"] * scale + shift)}, [INT8_0_TO_1])
    assert [line for line in found if says is None or says not in line] == []
    assert len(found) == (says is not None)


def test_a_model_that_begins_with_rescaling_expects_pixels() -> None:
    found = lines({"train": made()}, [FLOAT], expects={"x": (0.0, 255.0)})
    assert "but the model was made for 0 to 255" in found[0]
    assert lines({"train": made(scale=255)}, [FLOAT], expects={"x": (0.0, 255.0)}) == []


def test_pixels_for_a_float_model_without_normalisation_are_suspicious() -> None:
    pixels = with_x(made(), np.random.default_rng(0).integers(0, 256, (40, 4, 3)).astype(np.uint8))
    found = lines({"train": pixels}, [FLOAT], normalizes=False)
    assert len(found) == 1
    assert found[0].startswith("warning train/x: ")
    assert "the model may expect 0..1 (divide by 255)" in found[0]
    for knows in (True, None):
        assert lines({"train": pixels}, [FLOAT], normalizes=knows) == []
    assert lines({"train": pixels}, [FLOAT], normalizes=False, expects={"x": (0.0, 255.0)}) == []


def test_a_single_sample_has_no_scale() -> None:
    zero = Dataset(inputs={"x": np.zeros((1, 4, 3))}, labels=None, source="one")
    assert lines({"train": made(), "test": zero, "calibration": zero}, [INT8_0_TO_1]) == []


# Lengths and labels -----------------------------------------------------------------------------------------------------------


def test_lengths_that_disagree_are_errors() -> None:
    assert lines({"train": replace(made(), labels=np.zeros(39, int))}) == ["error train/labels: there are 39 for 40 samples"]
    uneven = Dataset(inputs={"a": np.arange(6.0).reshape(3, 2), "b": np.arange(8.0).reshape(4, 2)}, labels=None, source="uneven")
    assert lines({"train": uneven}) == ["error train: inputs differ in length: a 3, b 4"]


@pytest.mark.parametrize("x", [np.zeros((0, 4, 3)), np.zeros(()), None])
def test_no_samples_are_an_error(x: np.ndarray | None) -> None:
    empty = Dataset(inputs={} if x is None else {"x": x}, labels=np.zeros(0), source="empty")
    assert "error train: there are no samples" in lines({"train": empty}, classes=3)


@pytest.mark.parametrize(
    ("labels", "complaint"),
    [
        (np.arange(40) % 3 + 1, "labels[2]: 13 lie outside 0..2; the first is 3 (they start at 1: subtract 1)"),
        (np.where(np.arange(40) == 5, -1, np.arange(40) % 3), "labels[5]: 1 lie outside 0..2; the first is -1"),
        (np.where(np.arange(40) == 9, 0.5, np.arange(40) % 3), "labels[9]: 0.5 is not a class"),
        (np.where(np.arange(40) == 9, np.nan, np.arange(40) % 3), "labels[9]: 1 of them are NaN or infinite"),
        (np.eye(3)[np.arange(40) % 3], "for one-hot labels of 3 classes write y.argmax(axis=1)"),
        (np.array(["a"] * 40), "they are <U1, not numbers"),
        (np.array(3), "there are 1 for 40 samples"),
    ],
)
def test_labels_that_are_no_classes_are_errors(labels: np.ndarray, complaint: str) -> None:
    found = lines({"test": replace(made(), labels=labels)}, classes=3)
    assert any(complaint in line and line.startswith("error test/labels") for line in found), found


def test_labels_of_a_regression_may_be_anything() -> None:
    assert lines({"train": replace(made(), labels=np.random.default_rng(0).normal(size=(40, 2)))}) == []


def test_a_class_missing_in_train_is_an_error_where_test_asks_for_it() -> None:
    names = ("cat", "dog", "emu", "fox")
    train = replace(made(seed=1), labels=np.arange(40) % 2, class_names=names)
    test = replace(made(seed=2), labels=np.arange(40) % 3, class_names=names)
    assert lines({"train": train, "test": test}) == [
        'error train/labels: class 2 ("emu") has no sample, though other splits ask for it',
        'warning train/labels: 1 of the classes have no sample: 3 ("fox")',
    ]


def test_class_names_that_differ_between_splits_are_an_error() -> None:
    train = replace(made(seed=1), class_names=("cat", "dog", "emu"))
    test = replace(made(seed=2, classes=2), class_names=("cat", "emu"))
    assert "class names differ, so the numbers mean other classes: cat, emu there" in lines({"train": train, "test": test})[0]


# All at once ------------------------------------------------------------------------------------------------------------------


def test_one_error_lists_every_error_and_no_warning() -> None:
    x = made().inputs["x"].copy()
    x[3], x[5, 0, 0] = x[2], np.nan
    found = check({"train": with_x(replace(made(), labels=np.arange(7) % 3), x), "test": made(shape=(2, 2))}, [FLOAT], classes=3)
    with pytest.raises(DataError) as caught:
        raise_errors(found)
    assert caught.value.problems == tuple(str(problem) for problem in found if problem.severity == "error")
    assert [problem.split("/")[0] for problem in caught.value.problems] == ["train", "train", "test"]
    assert {problem.severity for problem in found} == {"error", "warning"}


def test_warnings_alone_raise_nothing() -> None:
    train = made()
    raise_errors(check({"train": train, "test": train}))


def test_names_from_a_hostile_file_stay_on_one_line() -> None:
    hostile = Dataset(inputs={"x\n\x1b[31mok": np.array(["a"])}, labels=None, source="hostile")
    assert lines({"train": hostile}) == ["error train/x??[31mok: holds <U1, not numbers"]


def test_progress_is_told_in_samples() -> None:
    events: list[Event] = []
    check({"train": made(40), "test": made(10, seed=1)}, emit=events.append)
    assert isinstance(events[0], StepStarted) and events[0].total == 50
    assert [event.done for event in events if isinstance(event, Progress)] == [40, 50]


def test_memory_mapped_data_are_checked_in_pieces(tmp_path: Path) -> None:
    import tracemalloc

    big = Dataset(
        inputs={"x": np.random.default_rng(0).random((100_000, 200), dtype=np.float32)}, labels=np.arange(100_000) % 5, source="big"
    )
    big.save(tmp_path / "big")
    mapped = Dataset.open(tmp_path / "big")
    tracemalloc.start()
    assert lines({"train": mapped}, classes=5) == []
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < big.inputs["x"].nbytes
