"""`edgepipe compress`: run a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgepipe.cli.output import Json, Quiet
from edgepipe.cli.training import Allow, Memory, Timeout, Trust


def compress(
    recipe: Annotated[Path, typer.Argument(help="The recipe, a YAML file.", show_default=False)],
    memory: Memory = None,
    timeout: Timeout = 240.0,
    trust_model: Trust = False,
    allow_module: Allow = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Run a recipe: its stages in order, one row each, then its gates.

    Every stage is proved on the file it wrote; what was computed before comes from the cache.

    [bold]Examples[/]

      edgepipe compress recipe.yaml

      edgepipe compress recipe.yaml --json | jq .gates
    """
    from edgepipe.cli.training import run_recipe
    from edgepipe.pipeline.recipe import load_recipe

    return run_recipe(
        load_recipe(recipe),
        memory=memory,
        timeout=timeout,
        as_json=as_json,
        quiet=quiet,
        references=True,
        trusted=trust_model,
        modules=allow_module,
    )
