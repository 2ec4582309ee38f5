"""`edgepipe export`: C sources for a microcontroller."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgepipe.cli.output import Json, Quiet, console, progress, show_json
from edgepipe.errors import UsageError

if TYPE_CHECKING:
    from edgepipe.events import Emit


class Form(StrEnum):
    """What a model is exported as."""

    ARRAYS = "arrays"
    PROJECT = "project"
    C = "c"


class Engine(StrEnum):
    """What runs the model of a project."""

    BUILTIN = "builtin"
    TFLM = "tflm"


def export(
    model: Annotated[Path, typer.Argument(help="The .tflite file.", show_default=False)],
    to: Annotated[
        str, typer.Option("--to", help="The folder to write into; the word c alone: as C, into NAME-c.", show_default=False)
    ],
    form: Annotated[Form | None, typer.Option("--as", help="arrays by default.", show_default=False)] = None,
    board: Annotated[
        str | None,
        typer.Option("--board", help="The board of a project, or the one to count flash and RAM of C for.", show_default=False),
    ] = None,
    engine: Annotated[Engine | None, typer.Option("--engine", help="Of a project; builtin by default.", show_default=False)] = None,
    name: Annotated[str | None, typer.Option("--name", help="The name in files and symbols; the model's own by default.")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Write a model as C sources for a microcontroller.

    [bold]arrays[/]: the file as a C array for TensorFlow Lite Micro, with its operator resolver and its measured arena size.

    [bold]project[/]: a folder that `make run` builds and runs on a board that QEMU emulates, or here: the model, the built-in
    engine, its arena to the byte, quantize_input(), and a main that runs golden inputs and says pass or fail. With --engine tflm
    it links the TensorFlow Lite Micro that you have built (make run TFLM=CHECKOUT), with the operators of the model and no others.

    [bold]c[/]: C99 that runs the model on its own, bit for bit as TensorFlow Lite Micro does: weights, settings and straight calls
    of the kernels that it needs, no interpreter and no .tflite on the chip. Says what it takes of flash and RAM.

    Refuses, with exit code 1 and before anything is written, a model that does not fit; all that is wrong with it at once.

    [bold]Examples[/]

      edgepipe export model.tflite --to firmware/model

      edgepipe export model.tflite --to firmware --as project --board mps2-an386

      edgepipe export model.tflite --to c

      edgepipe export model.tflite --to firmware/model --as c --board mps2-an500 --name keyword_spotting
    """
    if form is None and to == Form.C:
        form, to = Form.C, f"{name or model.stem}-c"
    if board is not None and form in (None, Form.ARRAYS):
        raise UsageError("--board goes with --as project and --as c: arrays are the same for every board", todo="Leave it out.")
    if engine is not None and form is not Form.PROJECT:
        what = "--engine goes with --as project: arrays are TensorFlow Lite Micro's, C is the built-in engine's"
        raise UsageError(what, todo="Leave it out, or give --as project.")
    with progress(quiet) as emit:
        if form is Form.C:
            document, last = _as_c(model, Path(to), name, board, emit)
        elif form is Form.PROJECT:
            document, last = _as_project(model, Path(to), name, board, engine or Engine.BUILTIN, emit)
        else:
            document, last = _as_arrays(model, Path(to), name, emit)
    if as_json:
        show_json(document)
        return 0
    shown = console()
    for line in (*document["files"], last):
        shown.print(line, markup=False)
    return 0


def _as_arrays(model: Path, to: Path, name: str | None, emit: Emit) -> tuple[dict[str, Any], str]:
    from edgepipe.records import as_json as fields
    from edgepipe.workflows.export import export as run

    exported = run(model, to=to, name=name, emit=emit)
    kinds = len({op.op for op in exported.facts.ops})
    room = "not measured" if exported.arena is None else f"{exported.arena.smallest_bytes:,} bytes"
    arena = None if exported.arena is None else fields(exported.arena)
    document = {"name": exported.name, "files": list(map(str, exported.files)), "sha256": exported.facts.sha256, "arena": arena}
    return document, f"{exported.facts.size_bytes:,} bytes of model, {kinds} operators, arena {room}"


def _as_project(
    model: Path, to: Path, name: str | None, board: str | None, engine: Engine, emit: Emit
) -> tuple[dict[str, Any], str]:
    from edgepipe.workflows import export_project as workflow

    chosen = workflow.Engine(engine)
    exported = workflow.export_project(model, to=to, name=name, board=board, engine=chosen, emit=emit)
    document = {
        "name": exported.name,
        "files": list(map(str, exported.files)),
        "sha256": exported.facts.sha256,
        "board": exported.board,
        "engine": exported.engine,
        "golden": exported.samples,
        "arena_bytes": exported.arena_bytes,
    }
    inputs = "1 golden input" if exported.samples == 1 else f"{exported.samples} golden inputs"
    return document, f"{inputs}, arena {exported.arena_bytes:,} bytes; make -C {to} run says pass or fail"


def _as_c(model: Path, to: Path, name: str | None, board: str | None, emit: Emit) -> tuple[dict[str, Any], str]:
    from edgepipe.records import as_json as fields
    from edgepipe.workflows.export_c import export_c

    exported = export_c(model, to=to, name=name, board=board, emit=emit)
    taken = exported.footprint
    room = "flash not counted" if taken is None else f"{taken.flash_bytes:,} bytes of flash"
    ram = exported.memory_bytes if taken is None else taken.ram_bytes
    by = "" if taken is None else f", by {taken.compiler}"
    document = {
        "name": exported.name,
        "files": list(map(str, exported.files)),
        "sha256": exported.facts.sha256,
        "memory_bytes": exported.memory_bytes,
        "footprint": None if taken is None else fields(taken),
    }
    return document, f"{room}, {ram:,} bytes of RAM beside the stack{by}"
