"""Plain tables that a terminal and Markdown show alike. Every cell may come from a model: neither of the two obeys one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgepipe.reports import words
from edgepipe.reports.render.markdown import escape, table

MOST_ROWS = 2000  # on a terminal, which nobody reads further
STYLES = {"−": "red", "+": "green"}  # of a row by its first cell


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A title, columns and rows of text; `numbers` are the columns that stand flush right. No columns: pairs of label and value."""

    title: str = ""
    columns: tuple[str, ...] = ()
    numbers: frozenset[str] = frozenset()
    rows: tuple[tuple[str, ...], ...]


def console(sheets: Iterable[Sheet]) -> RenderableType:
    """Return the sheets for a terminal, one below the other."""
    parts: list[RenderableType] = []
    for sheet in sheets:
        parts += [Text()] if parts else []
        parts += [Text(words.visible(sheet.title), style="bold")] if sheet.title else []
        parts.append(_rich(sheet))
        parts += [Text(f"… and {len(sheet.rows) - MOST_ROWS:,} more; --json lists all")] if len(sheet.rows) > MOST_ROWS else []
    return Group(*parts)


def markdown(sheets: Iterable[Sheet]) -> str:
    """Return the sheets as Markdown; nothing for no sheet."""
    parts = [f"**{escape(sheet.title)}**\n\n{_table(sheet)}" if sheet.title else _table(sheet) for sheet in sheets]
    return "\n\n".join(parts) + "\n" if parts else ""


def _rich(sheet: Sheet) -> Table:
    plain = not sheet.columns
    shown = Table(
        box=None if plain else box.SIMPLE_HEAD, show_header=not plain, pad_edge=False, collapse_padding=True, header_style="bold"
    )
    for name in sheet.columns or ("", ""):
        if name in sheet.numbers:
            shown.add_column(name, justify="right", no_wrap=True)
        else:
            shown.add_column(name, overflow="fold", style="dim" if plain and not shown.columns else "")
    for row in sheet.rows[:MOST_ROWS]:
        shown.add_row(*(Text(words.visible(cell)) for cell in row), style=STYLES.get(row[0], ""))
    return shown


def _table(sheet: Sheet) -> str:
    rows: list[Sequence[str]] = [[escape(words.visible(cell)) for cell in row] for row in sheet.rows]
    return table(sheet.columns or ("", ""), rows)
