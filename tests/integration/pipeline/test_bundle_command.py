"""`edgepipe bundle` as a user runs it: a compressed model with its history, and the check of what arrived."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from commandline import Demo

needs_tflm = pytest.mark.skipif(
    find_spec("tflite_micro") is None, reason="needs the tflite-micro wheel: pip install 'edgepipe[micro]'"
)
RECIPE = "schema: 1\nmodel: {path: m.keras}\ndata: {train: digits, test: 0.2, scale: 16}\ntarget: mcu\nstages:\n  - quantize:\n"


@needs_tflm
def test_a_compressed_model_knows_its_way_back_to_the_trained_one(edgepipe: Any, demo: Demo, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    model = demo.tflite(0, -1)
    place = {"EDGEPIPE_RESULTS": str(demo.results)}
    done = edgepipe("bundle", model, "--to", "digits.bundle", "--recipe", "recipe.yaml", "--name", "digits", "--json", **place)
    assert done.code == 0, done.err

    lineage = done.json["lineage"]
    recorded = demo.document["compressions"][0]["artefacts"]
    assert lineage["missing"] == ""
    assert lineage["steps"][0]["stage"] == "float"
    assert lineage["steps"][-1]["sha256"] == recorded[-1]["sha256"] == done.json["model_sha256"]
    assert len(lineage["source_sha256"]) == 64
    assert set(lineage["steps"][0]["data_sha256"]) == {"train", "validation"}
    assert done.json["preprocessing"]["divided_by"] == 16
    assert done.json["preprocessing"]["model_rescales"] is not None
    assert done.json["golden"]["samples"] == 16
    card = json.loads((tmp_path / "digits.bundle" / "model_card.json").read_text())
    row = demo.document["compressions"][0]["rows"][-1]
    accuracy = next(figure for figure in card["figures"] if figure["what"] == "accuracy")
    assert accuracy["value"] == f"{100 * row['accuracy']:.1f} %"
    assert row["accuracy_engine"] in accuracy["how"]

    sound = edgepipe("bundle", "verify", "digits.bundle")
    assert (sound.code, "all golden answers bit for bit" in sound.out) == (0, True)
    (tmp_path / "digits.bundle" / "digits_quantize.h").write_text("")
    (tmp_path / "digits.bundle" / "more.txt").write_text("")
    damaged = edgepipe("bundle", "verify", "digits.bundle", "--json")
    assert (damaged.code, damaged.json["sound"]) == (1, False)
    assert len(damaged.json["problems"]) >= 2


def test_wrong_words_say_how_it_is_meant(edgepipe: Any, tmp_path: Path) -> None:
    for arguments, told in (
        (("bundle", "verify"), "edgepipe bundle verify kws.bundle/"),
        (("bundle", "m.tflite"), "--to is missing"),
        (("bundle", "m.tflite", "more", "--to", "x"), "one argument too many"),
        (("bundle", "m.tflite", "--to", "x"), "m.tflite"),
        (("bundle", "verify", "nothing"), "there is no bundle"),
    ):
        done = edgepipe(*arguments)
        assert (done.code, told in done.err) == (2, True), done.err
    assert not (tmp_path / "x").exists()
