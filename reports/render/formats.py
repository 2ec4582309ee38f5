"""The table of file formats: how a report is written, by the ending of the file's name. A new format is one file and one line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from edgepipe.records import CompressionRecord, RunRecord
from edgepipe.reports.render.html import html_report
from edgepipe.reports.render.markdown import markdown_report

Format: TypeAlias = Callable[[Sequence[CompressionRecord], Sequence[RunRecord]], str]

PAGE = ".html"
FORMATS: dict[str, Format] = {
    PAGE: html_report,
    ".md": markdown_report,
}
