"""`edgepipe demo`: see it work."""

from __future__ import annotations

from edgepipe.cli.output import Json, Quiet, console, progress, show_json


def demo(as_json: Json = False, quiet: Quiet = False) -> int:
    """See it work: train a digits network, make it small in two ways, prove it, measure it, report it.

    Takes a few minutes, needs no board and no data. Everything it makes is in edgepipe-results/demo.

    [bold]Examples[/]

      edgepipe demo
    """
    from edgepipe.records import as_json as to_json
    from edgepipe.workflows.demo import demo as run_demo

    with progress(quiet) as emit:
        result = run_demo(emit=emit)
    if as_json:
        records = {"compressions": result.compressions, "runs": result.runs}
        show_json({"report": str(result.report), **{name: [to_json(one) for one in many] for name, many in records.items()}})
        return 0
    from edgepipe.reports.render.console import compression, runs

    out = console()
    for record in result.compressions:
        out.print(compression(record))
    out.print(runs(result.runs, result.compressions))
    recipes = f"{result.folder}/ptq.yaml and small.yaml; change one and run: edgepipe compress …"
    for line in (f"The report:  {result.report}", f"The recipes: {recipes}"):
        out.print(line, soft_wrap=True, markup=False)
    return 0
