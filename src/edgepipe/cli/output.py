"""What a command shows: progress on stderr, the result on stdout, nothing but JSON with --json."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgepipe.errors import EdgepipeError
from edgepipe.events import Emit, Event, Note, Progress, StepFinished, StepStarted, silent

if TYPE_CHECKING:
    from rich.console import Console

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Markdown = Annotated[bool, typer.Option("--markdown", help="Print Markdown, for a pull request or a wiki.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress; errors and the result only.")]


def console() -> Console:
    """Return a rich console on stdout: colour only on a terminal and where NO_COLOR is unset."""
    from rich.console import Console

    width = None if sys.stdout.isatty() or os.environ.get("COLUMNS") else 120
    return Console(width=width, soft_wrap=False, highlight=False)


_shown = False


def show_json(document: Any) -> None:
    """Print a JSON document on stdout; NaN is refused rather than written."""
    global _shown
    sys.stdout.write(json.dumps(document, indent=2, allow_nan=False, default=str) + "\n")
    _shown = True


def error_as_json(exc: EdgepipeError) -> dict[str, Any]:
    """Return what a message says as fields: what happened, all problems, the usual cause, and what to do."""
    return {"error": exc.slug, "message": exc.what, "problems": list(exc.problems), "cause": exc.cause, "todo": exc.todo}


def json_was_shown() -> bool:
    """Return whether stdout has its one document: an error after it, such as a gate that was missed, goes to stderr alone."""
    return _shown


@contextmanager
def progress(quiet: bool = False) -> Iterator[Emit]:
    """Yield an `Emit` that shows steps on stderr: bars with remaining time on a terminal, one line a step elsewhere."""
    if quiet:
        yield silent
    elif sys.stderr.isatty():
        with _bars() as emit:
            yield emit
    else:
        yield _line


def _line(event: Event) -> None:
    if isinstance(event, StepFinished):
        sys.stderr.write(f"{event.step}: {event.seconds:.1f} s{f' ({event.detail})' if event.detail else ''}\n")
    elif isinstance(event, Note):
        sys.stderr.write(f"{'warning: ' if event.warning else ''}{event.text}\n")


@contextmanager
def _bars() -> Iterator[Emit]:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars
    from rich.table import Column

    # What is left keeps its place on a narrow terminal; the detail gives way.
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis")),
        BarColumn(bar_width=16),
        TimeElapsedColumn(table_column=Column(no_wrap=True, min_width=7)),
        TextColumn("left", table_column=Column(min_width=4)),
        TimeRemainingColumn(table_column=Column(no_wrap=True, min_width=7)),
        TextColumn("[dim]{task.fields[detail]}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
    )
    tasks: dict[str, TaskID] = {}
    with Bars(*columns, expand=True, console=Console(stderr=True), transient=True) as bars:

        def emit(event: Event) -> None:
            if isinstance(event, StepStarted):
                tasks[event.step] = bars.add_task(escape(event.step), total=event.total, detail="")
            elif isinstance(event, Progress) and event.step in tasks:
                bars.update(tasks[event.step], completed=event.done, detail=escape(event.detail))
            elif isinstance(event, StepFinished) and event.step in tasks:
                bars.remove_task(tasks.pop(event.step))
                detail = f" [dim]{escape(event.detail)}[/]" if event.detail else ""
                sign = "[red]✗[/]" if event.failed else "[green]✓[/]"
                bars.console.print(f"{sign} {escape(event.step)} [dim]{event.seconds:.1f} s[/]{detail}")
            elif isinstance(event, Note):
                style = "yellow" if event.warning else "dim"
                bars.console.print(f"[{style}]{escape(event.text)}[/]")

        yield emit
