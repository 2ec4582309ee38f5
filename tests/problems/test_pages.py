"""Every page of docs/problems has its test, every test its page."""

from __future__ import annotations

import re
from pathlib import Path

from edgepipe.cli.commands import COMMANDS

PROJECT = Path(__file__).resolve().parents[2]
PAGES = PROJECT / "docs" / "problems"
TESTS = {
    name: path.name
    for path in Path(__file__).parent.glob("test_*.py")
    for name in re.findall(r"^def test_(\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    if path != Path(__file__)
}


def test_every_page_is_listed_and_names_its_test() -> None:
    pages = {page.stem: page.read_text(encoding="utf-8") for page in PAGES.glob("*.md") if page.stem != "README"}
    listed = re.findall(r"\((\w+)\.md\)", (PAGES / "README.md").read_text(encoding="utf-8"))
    assert sorted(listed) == sorted(pages) == sorted(TESTS)
    for name, text in pages.items():
        assert f"`test_{name}` in [tests/problems/{TESTS[name]}]" in text


def test_every_command_on_a_page_is_one_of_ours() -> None:
    for page in (PROJECT / "docs").rglob("*.md"):
        for verb in re.findall(r"^edgepipe ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE):
            assert verb.startswith("-") or verb in COMMANDS, f"{page.name}: edgepipe {verb}"
