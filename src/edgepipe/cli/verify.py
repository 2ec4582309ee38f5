"""`edgepipe verify`: does a .tflite fit where it is to run?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgepipe.cli.output import Json, Quiet, console, progress, show_json

if TYPE_CHECKING:
    from edgepipe.workflows.verify import Verified

TODO = "Each line says what helps; `edgepipe compress` makes a model that fits from a Keras one."
PROVE = "What to hold it against"


def verify(
    model: Annotated[Path, typer.Argument(help="The .tflite file.", show_default=False)],
    target: Annotated[str, typer.Option("--target", "-t", help="host, pi, coral or mcu.", rich_help_panel=PROVE)] = "host",
    data: Annotated[
        str | None,
        typer.Option("--data", help="Real inputs, such as test.npz: do they fit the input's quantisation?", rich_help_panel=PROVE),
    ] = None,
    flash_bytes: Annotated[
        int | None, typer.Option("--flash-bytes", min=1, help="Room for the model in flash.", rich_help_panel=PROVE)
    ] = None,
    arena_bytes: Annotated[
        int | None, typer.Option("--arena-bytes", min=1, help="Room for the arena in RAM; measures it.", rich_help_panel=PROVE)
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Read a .tflite back and list everything that keeps it from its target.

    Needs no TensorFlow. Exit code 1 when something stands in the way; warnings (calibration that fits no real data, an open batch)
    do not change it.

    [bold]Examples[/]

      edgepipe verify model.tflite --target mcu

      edgepipe verify model.tflite --target mcu --flash-bytes 65536 --arena-bytes 32768

      edgepipe verify model.tflite --data test.npz --json
    """
    from edgepipe.errors import VerifyFailed
    from edgepipe.workflows.verify import verify_model

    with progress(quiet) as emit:
        verified = verify_model(model, target=target, data=data, flash_bytes=flash_bytes, arena_bytes=arena_bytes, emit=emit)
    problems = verified.verification.problems
    if as_json:
        _show_json(model, verified)
        return VerifyFailed.exit_code if problems else 0
    _show(model, verified)
    if problems:
        what = "one thing stands" if len(problems) == 1 else f"{len(problems)} things stand"
        raise VerifyFailed(
            f'{what} between {model.name} and "{target}"', problems=[str(problem) for problem in problems], todo=TODO
        )
    return 0


def _show_json(model: Path, verified: Verified) -> None:
    from edgepipe.records import as_json

    body = as_json(verified.verification)
    show_json({"model": str(model), "fits": verified.verification.fits, **body, "facts": as_json(verified.facts)})


def _show(model: Path, verified: Verified) -> None:
    from rich.markup import escape
    from rich.table import Table

    facts, needed = verified.facts, verified.verification.requirements
    share = facts.int8_mac_share
    zeros = f"{1 - facts.nonzero / facts.elements:.1%} zero" if facts.elements else "none"
    rows = {
        "file": f"{model} (sha256 {facts.sha256[:12]})",
        "size": f"{facts.size_bytes:,} bytes, {facts.gzip_bytes:,} gzipped",
        "inputs": ", ".join(f"{port.name} {port.dtype} {list(port.shape)}" for port in facts.inputs),
        "outputs": ", ".join(f"{port.name} {port.dtype} {list(port.shape)}" for port in facts.outputs),
        "operators": f"{len(facts.ops)} of {len(needed.ops)} kinds, {facts.macs:,} multiply-accumulates",
        "in integers": "nothing multiplies" if share is None else f"{share:.0%} of the multiply-accumulates",
        "weights": f"{facts.elements:,} ({zeros})",
        "float tensors": str(len(facts.float_tensors)),
        **({"arena": f"{needed.arena_bytes:,} bytes (TFLite Micro, x86-64)"} if needed.arena_bytes is not None else {}),
    }
    table = Table(show_header=False, box=None, pad_edge=False)
    for label, value in rows.items():
        table.add_row(f"[dim]{label}[/]", escape(value))
    shown = console()
    shown.print(table)
    for warning in verified.verification.warnings:
        shown.print(f"[yellow]warning[/] {escape(str(warning))}")
    if verified.verification.fits:
        shown.print(f'[green]✓[/] fits "{verified.verification.target}"')
