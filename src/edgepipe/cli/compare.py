"""`edgepipe compare`."""

from __future__ import annotations

from typing import Annotated

import typer

from edgepipe.cli import output


def compare(
    a: Annotated[str, typer.Argument(help="The old one: an id, `latest`, a JSON file, or a measured .tflite file or its SHA-256.")],
    b: Annotated[str, typer.Argument(help="The new one.")],
    control: Annotated[
        tuple[str, str] | None,
        typer.Option("--control", help="Two measurements of one other model, made together with A and with B."),
    ] = None,
    as_json: output.Json = False,
) -> int:
    """Say whether B is better or worse than A, from what is stored.

    Stored results were not measured in turns, so a change that drift could explain is called inconclusive.
    Exit code 0: as good or better, 1: worse, 3: could not be told, 5: not comparable. Energies of different meters are not
    comparable, and everything else of the two still is.

    [bold]Examples[/]

      edgepipe compare 3f2a latest

      edgepipe compare float.tflite int8.tflite
    """
    from edgepipe.records import as_json as plain
    from edgepipe.reports.compare import EXIT_CODES
    from edgepipe.reports.render import console as render
    from edgepipe.reports.store import Store
    from edgepipe.workflows.compare import compare as hold_against

    result = hold_against(Store(), a, b, control=control)
    if as_json:
        told = [{**plain(item), "exit_code": EXIT_CODES[item.verdict]} for item in result.quantities]
        output.show_json({**plain(result), "quantities": told, "exit_code": EXIT_CODES[result.verdict]})
    else:
        output.console().print(render.comparison(result))
    return EXIT_CODES[result.verdict]
