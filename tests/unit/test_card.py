"""A model card says what was really done to raw values, which depends on what the data is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgepipe.facts import ModelFacts
from edgepipe.pipeline.data import load
from edgepipe.pipeline.inspect.flatbuffer import read_facts
from edgepipe.pipeline.recipe import read_recipe
from edgepipe.workflows.card import preprocessing
from tests.unit.pipeline.conftest import Tiny


@pytest.fixture(scope="module")
def facts() -> ModelFacts:
    return read_facts(Tiny.dense(np.ones((3, 4), np.int8), scale=0.1))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("cat", "dog"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        Image.new("L", (4, 4), 255).save(tmp_path / "pictures" / name / "0.png")
    np.savez(tmp_path / "numbers.npz", x=np.full((4, 4), 255, np.float32), y=np.arange(4))
    return tmp_path


@pytest.mark.parametrize(
    ("train", "scale", "largest", "told"),
    [
        ("pictures", None, 255, "edgepipe, which divides pictures by 255"),
        ("pictures", 127.5, 255, "data.scale of the recipe r"),
        ("pictures", 1.0, 255, "taken as it is"),
        ("numbers.npz", None, 255, "taken as it is"),
        ("numbers.npz", 255.0, 255, "taken as it is"),  # scale is about pictures only
        ("digits", None, 16, "the digits"),
    ],
)
def test_it_tells_what_the_data_was_divided_by(
    folder: Path, facts: ModelFacts, train: str, scale: float | None, largest: float, told: str
) -> None:
    data: dict[str, Any] = {"train": train, **({} if scale is None else {"scale": scale})}
    content = {"schema": 1, "model": {"path": "m.keras"}, "data": data, "stages": [{"convert": None}]}
    said = preprocessing(read_recipe(content, source="r", name="r", base=folder), None, facts)

    (values,) = load(train, base=folder, scale=scale).inputs.values()
    assert said.divided_by is not None
    assert float(np.max(values)) == pytest.approx(largest / said.divided_by), "what was read, and what the card says of it"
    assert told in said.known_from


def test_data_that_is_not_here_is_not_guessed_about(tmp_path: Path, facts: ModelFacts) -> None:
    content = {"schema": 1, "model": {"path": "m.keras"}, "data": {"train": "gone"}, "stages": [{"convert": None}]}
    said = preprocessing(read_recipe(content, source="r", name="r", base=tmp_path), None, facts)
    assert (said.divided_by, said.mean) == (None, None)
    assert "nobody" in said.known_from
