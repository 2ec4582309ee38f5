"""`edgepipe deploy`: a model goes to boards, on trial first, and back by itself where it is bad."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from edgepipe.cli.measuring import Delegate, Inventory, Runtime, Threads, run_options
from edgepipe.cli.output import Json, Quiet, console, error_as_json, progress, show_json

if TYPE_CHECKING:
    from edgepipe.workflows.deploy import Delivery, Planned

TRIAL = "The trial"
Device = Annotated[str, typer.Option(help="The boards: names, globs or labels.", show_default=False)]


def deploy(
    device: Device,
    model: Annotated[
        str | None,
        typer.Argument(
            help="A .tflite, a bundle, a recipe, or the beginning of an artefact's SHA-256.",
            show_default="the last artefact that fits the board",
        ),
    ] = None,
    inventory: Inventory = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    no_confirm: Annotated[
        bool, typer.Option("--no-confirm", help="Leave the trial running: edgepipe confirm keeps the model.", rich_help_panel=TRIAL)
    ] = False,
    deadline: Annotated[
        float, typer.Option(min=5, help="Seconds until the board goes back unless confirmed.", rich_help_panel=TRIAL)
    ] = 120.0,
    slowest_ms: Annotated[
        float | None, typer.Option("--slowest-ms", min=0, help="Longest median time of one inference.", rich_help_panel=TRIAL)
    ] = None,
    version: Annotated[
        int | None, typer.Option(min=1, help="Older than one that was confirmed there is refused.", rich_help_panel=TRIAL)
    ] = None,
    protect: Annotated[
        bool,
        typer.Option(
            "--protect",
            help="Install what rolls a trial back after a reboot: a systemd unit, else a line for cron.",
            rich_help_panel=TRIAL,
        ),
    ] = False,
    no_reboot_protection: Annotated[
        bool,
        typer.Option(
            "--no-reboot-protection",
            help="Also where nothing rolls the trial back after a reboot; this is recorded.",
            rich_help_panel=TRIAL,
        ),
    ] = False,
    runtime: Runtime = "litert",
    delegate: Delegate = "auto",
    threads: Threads = 1,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Bring a model to boards. It is tried there first; a bad one never stays, whether this machine is there or not.

    The board hashes what arrives, arms a guard, switches with one rename, and lets the model answer golden inputs (a bundle's, else
    made-up ones with the answers of this machine). A model that crashes, hangs, needs too much memory, answers wrongly or is slower
    than --slowest-ms is rolled back: exit code 6. So is one that nobody confirms by the deadline. A model that is there already is
    neither sent nor tried again. Where the inventory has "signing", or the board trusts somebody, only signed models go out:
    edgepipe sign. A microcontroller keeps it in flash; having no clock, it goes back at its next reset: docs/deploying.md.

    [bold]Examples[/]

      edgepipe deploy --device pi4

      edgepipe deploy kws.tflite --device "pi*" --yes --slowest-ms 20

      edgepipe deploy kws.bundle/ --device pi4 --no-confirm --deadline 600
    """
    from edgepipe.errors import worst_exit_code
    from edgepipe.workflows.deploy import Wishes, plan
    from edgepipe.workflows.deploy import deploy as run

    planned = plan(model, device=device, inventory=inventory)
    if not (yes and quiet):
        _announce(planned, asked=not yes)
    wishes = Wishes(
        deadline_s=deadline,
        confirm=not no_confirm,
        slowest_us=None if slowest_ms is None else 1000 * slowest_ms,
        version=version,
        protected=not no_reboot_protection,
        install_hook=protect,
        options=run_options(runtime, delegate, threads),
    )
    with progress(quiet) as emit:
        deliveries = run(planned, wishes, emit=emit)
    codes = [0 if each.error is None else each.error.exit_code for each in deliveries]
    if as_json:
        show_json({"deployments": [_plain(each, code) for each, code in zip(deliveries, codes, strict=True)]})
    else:
        _show(deliveries, deadline)
    return worst_exit_code(codes)


def _announce(planned: Sequence[Planned], *, asked: bool) -> None:
    """Say what would go where, and ask; raises UsageError where nobody is there to answer."""
    from edgepipe.errors import Interrupted, UsageError

    for each in planned:
        facts = each.choice.facts
        said = f"{each.entry.name}: {each.choice.name}, {facts.size_bytes:,} bytes, sha256 {facts.sha256[:12]}; {each.choice.why}"
        sys.stderr.write(f"{said}{_signature(each)}\n")
    if not asked:
        return
    if not sys.stdin.isatty():
        raise UsageError("nobody is there to say yes", todo="Read the lines above, and give --yes.")
    sys.stderr.write("Deploy? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Interrupted("nothing was sent", todo="Give --yes, or answer y.")


def _signature(each: Planned) -> str:
    from edgepipe.devices.signing import signed_version

    if each.signed:
        return f"; signed as version {signed_version(each.signed)}"
    return f"; to be signed with {each.entry.signing.key}" if each.signers and each.entry.signing else ""


def _plain(delivery: Delivery, code: int) -> dict[str, object]:
    from edgepipe.records import as_json

    deployed = None if delivery.deployed is None else as_json(delivery.deployed)
    error = None if delivery.error is None else error_as_json(delivery.error)
    cell = {"device": delivery.device, "emulated": delivery.emulated, "model": delivery.model, "sha256": delivery.sha256}
    return {**cell, "exit_code": code, "deployed": deployed, "error": error}


def _show(deliveries: Sequence[Delivery], deadline_s: float) -> None:
    from rich.markup import escape

    shown = console()
    for each in deliveries:
        where = f"{escape(each.device)}: {escape(each.model)} ({each.sha256[:12]})"
        if each.error is not None:
            shown.print(f"[red]✗[/] {where}\n{escape(str(each.error))}")
        elif each.deployed is not None and each.deployed.outcome == "trial":
            until = "before its next reset" if each.deployed.protected == "firmware" else f"within {deadline_s:g} s"
            shown.print(
                f"[yellow]…[/] {where} is on trial: `edgepipe confirm --device {escape(each.device)}` {until}", soft_wrap=True
            )
        elif each.deployed is not None:
            took = each.deployed.measured.median_us
            words = "was current already, and was not tried anew" if each.deployed.unchanged else "is current"
            if took is not None:
                words += f"; an inference took {took / 1000:.3g} ms" + (" on an emulator" if each.emulated else "")
            shown.print(f"[green]✓[/] {where} {words}")
            if each.deployed.signed:
                shown.print(f"  [dim]signed by {each.deployed.signer}; the {each.deployed.signed} verified that[/]", soft_wrap=True)
            if each.deployed.protected == "no":
                shown.print("  [dim]without protection against a reboot during the trial[/]")
