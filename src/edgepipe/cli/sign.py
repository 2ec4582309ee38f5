"""`edgepipe sign`: say with a key of one's own that a model may run on boards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgepipe.cli.output import Json, console, show_json

MANIFEST = "What the manifest says"


def sign(
    model: Annotated[
        str, typer.Argument(help="A .tflite, a bundle, or the beginning of an artefact's SHA-256.", show_default=False)
    ],
    key: Annotated[
        Path,
        typer.Option(
            "--key", "-k", help="An Ed25519 key of ssh-keygen; the .pub file where ssh-agent has the key.", show_default=False
        ),
    ],
    target: Annotated[
        str, typer.Option("--target", "-t", help="The boards it is for: host, pi or coral.", rich_help_panel=MANIFEST)
    ] = "pi",
    version: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Grows with each release: no older one is taken.",
            show_default="date and time, as 20261122093000",
            rich_help_panel=MANIFEST,
        ),
    ] = None,
    floor: Annotated[
        int,
        typer.Option(min=0, help="Once it is confirmed, nobody goes back to a version below this.", rich_help_panel=MANIFEST),
    ] = 0,
    days: Annotated[int, typer.Option(min=0, help="How long the signature counts; 0: for ever.", rich_help_panel=MANIFEST)] = 365,
    as_json: Json = False,
) -> int:
    """Sign a model, so that boards which demand that take it.

    Writes MODEL.manifest.json and MODEL.manifest.sig beside it: hash, size, name, target, dates, version and floor, signed by
    ssh-keygen. `edgepipe deploy` finds them there. Anybody can check them with ssh-keygen alone; docs/deploying.md says how.

    [bold]Examples[/]

      edgepipe sign kws.tflite --key ~/.ssh/edgepipe_signing --target pi

      edgepipe sign kws.tflite --key ~/.ssh/edgepipe_signing --version 12 --floor 11 --days 90
    """
    from edgepipe.records import as_json as plain
    from edgepipe.workflows.sign import sign_model

    sealed = sign_model(model, key=key, target=target, version=version, floor=floor, valid_days=days)
    manifest = sealed.manifest
    if as_json:
        show_json({"signer": sealed.signer, "files": [str(file) for file in sealed.files], "manifest": plain(manifest)})
    else:
        until = f"until {manifest.expires_utc}" if manifest.expires_utc else "for ever"
        console().print(
            f"✓ {manifest.name} ({manifest.sha256[:12]}) version {manifest.version} for {manifest.target}, {until}, signed by"
            f" {sealed.signer}\n{sealed.files[0]}\n{sealed.files[1]}",
            markup=False,
            soft_wrap=True,
        )
    return 0
