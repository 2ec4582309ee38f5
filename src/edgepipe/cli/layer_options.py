"""`--layer 'conv*=0.9'`: a number for single layers, as the verbs that treat layers one by one take it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from edgepipe.errors import UsageError

PerLayer = Annotated[
    list[str] | None,
    typer.Option(
        "--layer",
        metavar="NAME=NUMBER",
        help="Another number for the layers of this name or glob, 0 to leave them; may be given several times.",
        show_default="none",
    ),
]


def numbers_by_layer(given: Sequence[str] | None) -> dict[str, float] | None:
    """Return {'conv*': 0.9} for ['conv*=0.9'], None for nothing. Raises UsageError for anything else."""
    numbers: dict[str, float] = {}
    for entry in given or ():
        name, _, number = entry.rpartition("=")
        try:
            numbers[name] = int(number) if number.lstrip("-").isdecimal() else float(number)
        except ValueError:
            name = ""
        if not name:
            raise UsageError(f"--layer {entry}: it must be NAME=NUMBER", todo="For example --layer 'conv*=0.9' --layer head=0.")
    return numbers or None
