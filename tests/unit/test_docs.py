"""README and docs keep up with the code."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from edgepipe.cli.commands import COMMANDS
from edgepipe.errors import PRECEDENCE
from edgepipe.pipeline.recipe import Calibration, DataSpec, Gates, ModelSource, Recipe, TrainSpec
from edgepipe.pipeline.stages import STAGES

PROJECT = Path(__file__).resolve().parents[2]
README = (PROJECT / "README.md").read_text(encoding="utf-8")
RECIPE = (PROJECT / "docs" / "recipe.md").read_text(encoding="utf-8")
DERIVED = {"name", "base"}  # from the recipe's path, not from its keys


def first_cells(text: str) -> list[str]:
    """The first cell of every table row."""
    return [line.strip().strip("|").split("|")[0].strip() for line in text.splitlines() if line.strip().startswith("|")]


def keys(kind: type, prefix: str = "") -> list[str]:
    nested = {"model": ModelSource, "data": DataSpec, "train": TrainSpec, "gates": Gates, "calibration": Calibration}
    found: list[str] = []
    for field in fields(kind):  # type: ignore[arg-type]
        inner = nested.get(field.name) if kind is Recipe or field.name == "calibration" else None
        found += keys(inner, f"{prefix}{field.name}.") if inner else [prefix + field.name]
    return [key for key in found if key not in DERIVED]


def test_every_verb_stands_in_the_table_of_commands() -> None:
    documented = {match[1] for cell in first_cells(README) if (match := re.match(r"`(?:edgepipe )?([a-z-]+)", cell))}
    assert set(COMMANDS) - documented == set()


def test_every_exit_code_stands_in_a_table() -> None:
    documented = {int(number) for cell in first_cells(README) for number in re.findall(r"\b\d+\b", cell)}
    assert set(PRECEDENCE) - documented == set()


def test_every_key_of_a_recipe_stands_in_its_table() -> None:
    assert is_dataclass(Recipe)
    documented = {name for cell in first_cells(RECIPE) for name in re.findall(r"`([\w.]+)`", cell)}
    assert set(keys(Recipe)) - documented == set()


@pytest.mark.parametrize("stage", STAGES)
def test_every_parameter_of_a_stage_stands_under_its_heading(stage: str) -> None:
    section = RECIPE.split(f"### {stage}\n")[1].split("\n### ")[0]
    documented = {name for cell in first_cells(section) for name in re.findall(r"`(\w+)`", cell)}
    assert {field.name for field in fields(STAGES[stage])} == documented  # type: ignore[arg-type]


def test_every_link_leads_somewhere() -> None:
    for page in (PROJECT / "README.md", *(PROJECT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_path_in_the_page_about_extending_exists() -> None:
    text = (PROJECT / "docs" / "extending.md").read_text(encoding="utf-8")
    for path in re.findall(r"`((?:pipeline|devices|reports|src|tests)/[\w/.]+)`", text):
        assert (PROJECT / path).exists(), path
    for name, path in re.findall(r"`([A-Z]+)` in `([\w/.]+)`", text):
        assert re.search(rf"^{name}\b", (PROJECT / path).read_text(), re.MULTILINE), f"{name} in {path}"
