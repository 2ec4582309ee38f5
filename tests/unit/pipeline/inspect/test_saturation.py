"""Real inputs are held against the input's quantisation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgepipe.errors import DataError
from edgepipe.facts import ModelFacts
from edgepipe.pipeline.data import Dataset, load
from edgepipe.pipeline.inspect.flatbuffer import read_facts
from edgepipe.pipeline.inspect.saturation import check_inputs

SAMPLES = np.random.default_rng(2).uniform(-12.8, 12.7, (50, 4)).astype(np.float32)  # what a scale of 0.1 holds


@pytest.fixture
def facts(tiny: Any) -> ModelFacts:
    return read_facts(tiny.dense(np.ones((4, 4), np.int8), scale=0.1))


def saved(folder: Path, **arrays: Any) -> Dataset:
    np.savez(folder / "data.npz", **arrays)
    return load("data.npz", base=folder)


def test_data_that_fits_is_silent(facts: ModelFacts, tmp_path: Path) -> None:
    assert check_inputs(saved(tmp_path, x=SAMPLES), facts) == ()


def test_data_that_saturates_is_told(facts: ModelFacts, tmp_path: Path) -> None:
    (problem,) = check_inputs(saved(tmp_path, x=SAMPLES * 10), facts)

    assert "saturate" in problem.reason
    assert problem.where == 'input "x"'


def test_data_that_uses_few_levels_is_told(facts: ModelFacts, tmp_path: Path) -> None:
    (problem,) = check_inputs(saved(tmp_path, x=SAMPLES / 255), facts)

    assert "of 256 levels" in problem.reason


@pytest.mark.parametrize("arrays", [{"x": np.zeros((3, 5))}, {"x": np.array(["a", "b"])}, {"x": np.zeros((0, 4))}])
def test_data_of_another_shape_or_kind_is_refused(facts: ModelFacts, tmp_path: Path, arrays: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="no numbers for the input"):
        check_inputs(saved(tmp_path, **arrays), facts)


def test_pickled_objects_are_not_loaded(facts: ModelFacts, tmp_path: Path) -> None:
    with pytest.raises(DataError):
        check_inputs(saved(tmp_path, x=np.array([{"a": 1}], dtype=object)), facts)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"text"])
def test_a_broken_file_is_refused(facts: ModelFacts, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data.npz").write_bytes(content)
    with pytest.raises(DataError):
        check_inputs(load("data.npz", base=tmp_path), facts)


def test_labels_beside_the_inputs_are_no_input(facts: ModelFacts, tmp_path: Path) -> None:
    assert check_inputs(saved(tmp_path, y=np.arange(50), x=SAMPLES), facts) == ()
