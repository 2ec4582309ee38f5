"""`edgepipe recipe`: what a recipe may hold, and whether one is right."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from edgepipe.cli.output import console, show_json
from edgepipe.errors import UsageError


class Question(StrEnum):
    """What is asked of recipes."""

    SCHEMA = "schema"
    CHECK = "check"


def recipe(
    question: Annotated[
        Question, typer.Argument(help="schema: a JSON Schema for editors. check: all mistakes of a recipe at once.")
    ],
    path: Annotated[Path | None, typer.Argument(help="The recipe to check, a YAML file.", show_default=False)] = None,
) -> int:
    """Print the JSON Schema of recipes, or check one without running it.

    With the schema, an editor completes keys and marks mistakes while a recipe is written.

    [bold]Examples[/]

      edgepipe recipe schema > recipe.schema.json

      edgepipe recipe check recipe.yaml
    """
    from edgepipe.pipeline.recipe import load_recipe
    from edgepipe.pipeline.recipe_schema import recipe_schema

    if question is Question.SCHEMA:
        if path is not None:
            raise UsageError("recipe schema takes no file", todo="edgepipe recipe schema > recipe.schema.json")
        show_json(recipe_schema())
        return 0
    if path is None:
        raise UsageError("recipe check needs a recipe", todo="edgepipe recipe check recipe.yaml")
    read = load_recipe(path)
    stages = ", ".join(step.stage for step in read.steps)
    console().print(f"{path} can be read: {stages} for the target {read.target}", markup=False, soft_wrap=True)
    return 0
