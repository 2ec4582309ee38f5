"""The user's own functions are found without being run, and a change in them is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgepipe.errors import RecipeError
from edgepipe.pipeline.user_code import code_problems, code_sha256, failed, load_code

NEVER_RUN = "raise SystemExit('this was imported')\n"


def test_a_function_is_found_by_reading_its_module_only(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(f"{NEVER_RUN}def fit(): ...\nclass Loss: ...\nfrom math import tau as turn\nother = 1\n")
    for name in ("fit", "Loss", "turn", "other"):
        assert code_problems("train.fit", f"mine:{name}", tmp_path) == []
    assert code_problems("train.fit", "mine:fitt", tmp_path) == [
        '"train.fit": mine has no function "fitt". Perhaps you meant "fit"?'
    ]


def test_packages_are_searched_without_running_them(tmp_path: Path) -> None:
    (tmp_path / "lab" / "deep").mkdir(parents=True)
    (tmp_path / "lab" / "__init__.py").write_text(NEVER_RUN)
    (tmp_path / "lab" / "deep" / "losses.py").write_text("def focal(): ...\n")
    assert code_problems("train.loss", "lab.deep.losses:focal", tmp_path) == []
    assert "no module lab.deep.loses" in code_problems("train.loss", "lab.deep.loses:focal", tmp_path)[0]


def test_what_a_module_defines_on_the_way_is_not_judged(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("try:\n    def fit(): ...\nexcept ImportError:\n    pass\n")
    (tmp_path / "stars.py").write_text("from math import *\n")
    assert code_problems("train.fit", "mine:fit", tmp_path) == code_problems("train.fit", "stars:sin", tmp_path) == []


def test_its_hash_follows_its_source_and_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import beside\n")
    (tmp_path / "beside.py").write_text("a = 1\n")
    first = code_sha256(["mine:fit"], tmp_path)
    assert first == code_sha256(["mine:fit", "mine:loss"], tmp_path) != code_sha256([], tmp_path) == ""
    (tmp_path / "beside.py").write_text("a = 2\n")
    assert code_sha256(["mine:fit"], tmp_path) != first


def test_code_that_raises_while_it_is_imported_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "raises_on_import.py").write_text("a = 1\nb = 1 / 0\n")
    with pytest.raises(RecipeError, match=r"raises_on_import:fit failed: ZeroDivisionError: .* \(raises_on_import.py, line 2\)"):
        load_code("raises_on_import:fit", tmp_path)


def test_an_error_without_words_is_still_one_line() -> None:
    assert failed("a:b", ValueError()).what == "a:b failed: ValueError: no reason given"
