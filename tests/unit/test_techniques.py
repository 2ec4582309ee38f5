"""The pages about techniques: all there, their commands real, their plots and tables those of the committed figures."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args, get_type_hints
from xml.etree import ElementTree

import pytest
import typer

from benchmarks.technique_curves import PLOTS, POISONS, SEEDS
from edgepipe.cli import build_app
from edgepipe.documents import read_yaml
from edgepipe.pipeline.recipe import read_recipe
from edgepipe.pipeline.stages import STAGES
from edgepipe.pipeline.stages.quantize import Quantize
from edgepipe.workflows.remedy import LADDER

PROJECT = Path(__file__).resolve().parents[2]
FOLDER = PROJECT / "docs" / "techniques"
PAGES = {page.stem: page.read_text(encoding="utf-8") for page in FOLDER.glob("*.md")}
TECHNIQUES = sorted(PAGES.keys() - {"README"})
RESULT = json.loads((PROJECT / "benchmarks" / "results" / "technique_curves.json").read_text(encoding="utf-8"))
FIGURES: dict[str, Any] = RESULT["figures"]


@pytest.fixture(scope="module")
def made() -> dict[str, dict[str, str]]:
    """What docs/plots.py makes of the committed figures: its pictures, and the pages with their tables."""
    program = (
        "import json, plots as p; figures = json.loads(p.RESULT.read_text('utf-8'))['figures']; "
        "pages = {page.stem: p.brought_up_to_date(page.read_text('utf-8'), figures) for page in p.PAGES.glob('*.md')}; "
        "print(json.dumps({'pictures': p.pictures(figures), 'pages': pages}))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT / "docs", capture_output=True, text=True, check=True)
    document: dict[str, dict[str, str]] = json.loads(done.stdout)
    return document


def test_the_plots_are_those_of_the_figures(made: dict[str, dict[str, str]]) -> None:
    drawn = {page.stem: page.read_bytes() for page in FOLDER.glob("*.svg")}
    assert {name: svg.encode() for name, svg in made["pictures"].items()} == drawn, "python docs/plots.py"


def test_the_tables_are_those_of_the_figures(made: dict[str, dict[str, str]]) -> None:
    assert made["pages"] == PAGES, "python docs/plots.py"


def test_another_figure_makes_another_plot_and_another_table(made: dict[str, dict[str, str]]) -> None:
    program = (
        "import json, plots as p; figures = json.loads(p.RESULT.read_text('utf-8'))['figures']; "
        "figures['pruning'][0]['points'] -= 1; print(json.dumps([p.pictures(figures), p.TABLES['pruning'](figures)]))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT / "docs", capture_output=True, text=True, check=True)
    pictures, table = json.loads(done.stdout)
    assert {name for name, svg in pictures.items() if svg != made["pictures"][name]} == {"pruning"}
    assert table not in PAGES["pruning"]


def test_the_figures_are_those_that_the_benchmark_measures() -> None:
    assert RESULT["command"] == "python -m benchmarks.technique_curves"
    assert FIGURES["seeds"] == len(SEEDS)
    for plot, settings in PLOTS.items():
        assert [(each["series"], each["x"]) for each in FIGURES[plot]] == [(each.series, each.x) for each in settings], plot
    rungs = [(words, rung.name) for words in POISONS.values() for rung in LADDER]
    assert [(each["poison"], each["rung"]) for each in FIGURES["remedies"]] == rungs


@pytest.mark.parametrize("name", TECHNIQUES)
def test_every_page_has_its_plot_and_says_when_it_pays_how_it_is_proved_and_where_to_read_on(name: str) -> None:
    text = PAGES[name]
    assert f"]({name}.svg)" in text and f"<!-- figures: {name} -->" in text
    for heading in ("How", "How it is proved", "Pitfalls", "Further reading"):
        assert f"\n## {heading}\n" in text or (heading == "How it is proved" and "\n## Modes\n" in text), heading
    assert len(re.findall(r"^## .*\b(?:pays?|do not|does not|does)$", text, re.MULTILINE)) == 2
    papers = text.split("## Further reading")[1]
    assert len(re.findall(r"arXiv:\d{4}\.\d{4,5}\b", papers)) == papers.count("\n- ") >= 3


@pytest.mark.parametrize("name", TECHNIQUES)
def test_every_plot_says_how_many_networks_it_is_made_of_and_reads_in_the_dark(name: str) -> None:
    svg = (FOLDER / f"{name}.svg").read_text(encoding="utf-8")
    said = " ".join(ElementTree.fromstring(svg).itertext())
    assert re.search(r"3 networks .*test answers", said)
    assert (
        "prefers-color-scheme: dark" in svg and "<script" not in svg and "http" not in svg.replace("http://www.w3.org/2000/svg", "")
    )
    assert "nan" not in svg.lower()


def test_every_stage_and_every_mode_has_a_page() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|\n").split("|")] for line in PAGES["README"].splitlines() if line.startswith("| `")
    ]
    assert {stage for row in rows for stage in re.findall(r"`(\w+)`", row[0])} == set(STAGES)
    assert {mode for row in rows for mode in re.findall(r"`(\w+)`", row[1])} == set(get_args(get_type_hints(Quantize)["mode"]))
    linked = [page for row in rows for page in re.findall(r"\((\w+)\.md\)", row[2])]
    assert sorted(linked) == TECHNIQUES


@pytest.mark.parametrize("name", TECHNIQUES)
def test_every_command_is_a_verb_with_the_options_that_it_has(name: str) -> None:
    verbs = typer.main.get_command(build_app()).commands  # type: ignore[attr-defined]
    commands = [line for block in re.findall(r"```sh\n(.*?)```", PAGES[name], re.DOTALL) for line in block.splitlines()]
    assert commands
    for command in commands:
        program, verb, *arguments = shlex.split(command)
        options = {option for parameter in verbs[verb].params for option in parameter.opts}
        assert program == "edgepipe"
        assert {word for word in arguments if word.startswith("-")} <= options, command


@pytest.mark.parametrize("name", TECHNIQUES)
def test_every_recipe_is_read(name: str, tmp_path: Path) -> None:
    whole = {"schema": 1, "model": {"path": "m.keras"}, "data": {"train": "t.npz", "test": "u.npz"}, "stages": [{"prune": {}}]}
    examples = re.findall(r"```yaml\n(.*?)```", PAGES[name], re.DOTALL)
    assert examples
    for number, text in enumerate(examples):
        path = tmp_path / f"{number}.yaml"
        path.write_text(text)
        read_recipe({**whole, **read_yaml(path)}, source=path.name, name="example", base=tmp_path)
