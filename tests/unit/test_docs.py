"""README and docs keep up with the code."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from edgepipe.cli.commands import COMMANDS
from edgepipe.documents import field_docs, read_yaml
from edgepipe.errors import PRECEDENCE
from edgepipe.pipeline.augment import Augmentation
from edgepipe.pipeline.recipe import DERIVED, Calibration, DataSpec, Gates, ModelSource, Recipe, TrainSpec, read_recipe
from edgepipe.pipeline.stages import STAGES

PROJECT = Path(__file__).resolve().parents[2]
README = (PROJECT / "README.md").read_text(encoding="utf-8")
RECIPE = (PROJECT / "docs" / "recipe.md").read_text(encoding="utf-8")


def first_cells(text: str) -> list[str]:
    """The first cell of every table row."""
    return [line.strip().strip("|").split("|")[0].strip() for line in text.splitlines() if line.strip().startswith("|")]


def test_every_verb_stands_in_the_table_of_commands() -> None:
    documented = {match[1] for cell in first_cells(README) if (match := re.match(r"`(?:edgepipe )?([a-z-]+)", cell))}
    assert set(COMMANDS) - documented == set()


def test_every_exit_code_stands_in_a_table() -> None:
    documented = {int(number) for cell in first_cells(README) for number in re.findall(r"\b\d+\b", cell)}
    assert set(PRECEDENCE) - documented == set()


def test_the_tables_of_the_recipes_page_are_those_of_its_types() -> None:
    made = subprocess.run(
        [sys.executable, "-c", "import recipe_reference as r; print(r.brought_up_to_date(r.PAGE.read_text()), end='')"],
        cwd=PROJECT / "docs",
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert made == RECIPE, "python docs/recipe_reference.py"


@pytest.mark.parametrize("name", ["recipe", "augment", *(name for name, stage in STAGES.items() if fields(stage))])  # type: ignore[arg-type]
def test_every_kind_of_keys_has_a_table(name: str) -> None:
    assert f"<!-- table: {name} -->" in RECIPE


@pytest.mark.parametrize("kind", [Recipe, ModelSource, DataSpec, Calibration, TrainSpec, Augmentation, Gates, *STAGES.values()])
def test_every_key_has_a_docstring_that_ends_like_a_sentence(kind: type) -> None:
    docs = field_docs(kind)
    for field in fields(kind):  # type: ignore[arg-type]
        assert (kind is Recipe and field.name in DERIVED) or docs[field.name].endswith("."), f"{kind.__name__}.{field.name}"


def test_every_yaml_on_the_recipes_page_is_read(tmp_path: Path) -> None:
    """Examples are whole recipes, or the value of one key of one."""
    whole = {"schema": 1, "model": {"path": "m.keras"}, "data": {"train": "t.npz", "test": "u.npz"}, "stages": [{"prune": {}}]}
    for number, text in enumerate(re.findall(r"```yaml\n(.*?)```", RECIPE, re.DOTALL)):
        path = tmp_path / f"{number}.yaml"
        path.write_text(text)
        read_recipe({**whole, **read_yaml(path)}, source=path.name, name="example", base=tmp_path)


def test_every_link_leads_somewhere() -> None:
    for page in (PROJECT / "README.md", *(PROJECT / "docs").rglob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_path_in_the_page_about_extending_exists() -> None:
    text = (PROJECT / "docs" / "extending.md").read_text(encoding="utf-8")
    for path in re.findall(r"`((?:pipeline|devices|reports|src|tests)/[\w/.]+)`", text):
        assert (PROJECT / path).exists(), path
    for name, path in re.findall(r"`([A-Z]+)` in `([\w/.]+)`", text):
        assert re.search(rf"^{name}\b", (PROJECT / path).read_text(), re.MULTILINE), f"{name} in {path}"
