"""`edgepipe report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgepipe.cli import output

if TYPE_CHECKING:
    from edgepipe.records import CompressionRecord, RunRecord


def report(
    run: Annotated[str, typer.Option("--run", help="Only the record whose id starts so.")] = "",
    to: Annotated[
        list[Path] | None,
        typer.Option("--to", help="Write it here: .html the page, .md its tables for a pull request. May be repeated."),
    ] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    csv: Annotated[Path | None, typer.Option("--csv", help="Write everything ever measured as CSV too, one row a block.")] = None,
    as_json: output.Json = False,
    quiet: output.Quiet = False,
) -> int:
    """Show what was made and measured, and write it as one page.

    The page is a single HTML file: it opens offline, on a phone too, and can be mailed.

    [bold]Examples[/]

      edgepipe report --open

      edgepipe report --run 3f2a --to kws.html --to kws.md

      edgepipe report --csv blocks.csv
    """
    from edgepipe.records import as_json as plain
    from edgepipe.reports import to_csv
    from edgepipe.reports.store import Store
    from edgepipe.workflows.report import report as write_report

    store = Store()
    made = write_report(store, run=run, to=to or ())
    if csv:
        to_csv(csv, store)
    if as_json:
        records = {name: [plain(record) for record in getattr(made, name)] for name in ("compressions", "runs")}
        output.show_json({"page": str(made.page), "csv": str(csv.absolute()) if csv else None, **records})
    else:
        if not quiet:
            _show(made.compressions, made.runs)
        typer.echo(made.page)
    if open_page:
        typer.launch(made.page.as_uri())
    return 0


def _show(compressions: tuple[CompressionRecord, ...], runs: tuple[RunRecord, ...]) -> None:
    from edgepipe.reports.render import console as render

    console = output.console()
    for record in compressions:
        console.print(render.compression(record))
        console.print()
    if runs:
        console.print(render.runs(runs, compressions))
