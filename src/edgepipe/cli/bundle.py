"""`edgepipe bundle`: a model with all that is needed to use and to check it; `edgepipe bundle verify` checks one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgepipe.cli.output import Json, Quiet, console, progress, show_json

if TYPE_CHECKING:
    from edgepipe.bundles import BundleManifest

VERIFY = "verify"
HOLDS = "What it holds"


def bundle(
    model: Annotated[
        str, typer.Argument(metavar="MODEL | verify", help="The .tflite file; or the word verify.", show_default=False)
    ],
    path: Annotated[
        Path | None, typer.Argument(metavar="[BUNDLE]", help="After verify: the bundle, a folder or .zip.", show_default=False)
    ] = None,
    to: Annotated[Path | None, typer.Option(help="Where to put it: a folder, or one file if it ends with .zip.")] = None,
    recipe: Annotated[
        Path | None, typer.Option(help="The recipe it was made with: tells target, scale and test data.", rich_help_panel=HOLDS)
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--target", "-t", help="The recipe's, else mcu where it fits one, else host.", rich_help_panel=HOLDS),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Where golden inputs are drawn from; made up otherwise.", rich_help_panel=HOLDS)
    ] = None,
    golden: Annotated[int, typer.Option(min=1, max=4096, help="How many golden inputs.", rich_help_panel=HOLDS)] = 16,
    seed: Annotated[int, typer.Option(min=0, help="Of the choice of golden inputs.", rich_help_panel=HOLDS)] = 0,
    name: Annotated[
        str | None, typer.Option(help="What it is called in C and Python; the file's name.", rich_help_panel=HOLDS)
    ] = None,
    licence: Annotated[str, typer.Option(help="What the model card says of the licence.", rich_help_panel=HOLDS)] = "",
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Pack a model with all that is needed to use and to check it elsewhere; or check such a bundle.

    Model, C arrays, quantize_input() and dequantize_output() in C and Python, golden inputs with the answers that must come out, a
    model card, and a manifest with every hash and the way back to the trained model. The same inputs give the same bytes.

    With [bold]verify[/]: hashes, files too many or too few, arrays, constants and requirements are held against the model, and the
    golden inputs are run again. All problems are listed, exit code 1; 3 where their runtime is not installed here.

    [bold]Examples[/]

      edgepipe bundle kws.tflite --to kws.bundle/ --recipe recipe.yaml --licence Apache-2.0

      edgepipe bundle kws.tflite --to kws.zip --data test.npz --golden 32

      edgepipe bundle verify kws.bundle/
    """
    from edgepipe.errors import UsageError

    if model == VERIFY:
        if path is None or to is not None:
            raise UsageError("verify takes a bundle and nothing else", todo="edgepipe bundle verify kws.bundle/")
        return _verify(path, as_json=as_json, quiet=quiet)
    if path is not None:
        raise UsageError(f"{path} is one argument too many", todo="--to says where the bundle goes.")
    if to is None:
        raise UsageError("--to is missing", todo="edgepipe bundle MODEL --to kws.bundle/")
    from edgepipe.pipeline.recipe import load_recipe
    from edgepipe.workflows.bundle import Wishes
    from edgepipe.workflows.bundle import bundle as pack

    wishes = Wishes(
        name=name,
        target=target,
        recipe=None if recipe is None else load_recipe(recipe),
        data=data,
        golden=golden,
        seed=seed,
        licence=licence,
    )
    with progress(quiet) as emit:
        made = pack(Path(model), to=to, wishes=wishes, emit=emit)
    _show(made.path, made.manifest, as_json=as_json)
    return 0


def _verify(path: Path, *, as_json: bool, quiet: bool) -> int:
    from edgepipe.errors import Inconclusive, VerifyFailed
    from edgepipe.workflows.bundle import verify_bundle

    try:
        with progress(quiet) as emit:
            found = verify_bundle(path, emit=emit)
    except (VerifyFailed, Inconclusive) as exc:
        if not as_json:
            raise
        show_json({"bundle": str(path), "sound": False, "message": exc.what, "problems": exc.problems})
        return exc.exit_code
    if as_json:
        show_json({"bundle": str(path), "sound": True, "problems": [], "model_sha256": found.model_sha256, "target": found.target})
        return 0
    console().print(f"[green]✓[/] {found.name} for {found.target}: all files as packed, all golden answers bit for bit")
    return 0


def _show(path: Path, manifest: BundleManifest, *, as_json: bool) -> None:
    from rich.markup import escape

    from edgepipe.records import as_json as plain

    if as_json:
        show_json({"bundle": str(path), **plain(manifest)})
        return
    shown = console()
    for file, entry in manifest.files.items():
        shown.print(f"{escape(file)} [dim]{entry.size_bytes:,} bytes[/]")
    golden = manifest.golden
    shown.print(
        f"{escape(str(path))}: {manifest.name} for {manifest.target}, {golden.samples} golden answers of {golden.runtime}, "
        f"{len(manifest.lineage.steps)} ancestors"
    )
