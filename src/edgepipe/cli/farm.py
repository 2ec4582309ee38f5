"""`edgepipe farm`: the boards of the inventory, one small command for each thing one does with them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgepipe.cli.farm_boards import probe, provision, status
from edgepipe.cli.farm_ports import ports
from edgepipe.cli.measuring import Inventory
from edgepipe.cli.output import Json, Quiet, console, progress, show_json
from edgepipe.errors import UsageError

if TYPE_CHECKING:
    from edgepipe.devices.enrol import HostKey

Selector = Annotated[str, typer.Argument(help="Boards: names, globs or labels, such as pi4, lab=a+kind=mcu; commas between.")]
Virtual = Annotated[str, typer.Argument(help="pi-virtual or localhost-ssh.", show_default=False)]


def schema() -> int:
    """Print the JSON Schema of the inventory, for editors that complete keys and mark mistakes.

    [bold]Examples[/]

      edgepipe farm schema > farm_inventory.schema.json
    """
    from edgepipe.devices.inventory_schema import inventory_schema

    show_json(inventory_schema())
    return 0


def list_boards(
    device: Selector = "*",
    inventory: Inventory = None,
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask the boards whether they answer.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """List the boards of the inventory, and whether they answer.

    [bold]Examples[/]

      edgepipe farm list

      edgepipe farm list "lab=a+target=pi" --json
    """
    from edgepipe.records import as_json as plain
    from edgepipe.reports.render.sheets import Sheet
    from edgepipe.reports.render.sheets import console as sheets
    from edgepipe.workflows.farm import listing

    with progress(quiet) as emit:
        boards = listing(device=device, inventory=inventory, ask=not offline, emit=emit)
    if as_json:
        show_json({"boards": [plain(board) for board in boards]})
        return 0
    rows = tuple(
        (
            each.name,
            each.board,
            each.target,
            f"{each.transport}{', emulated' if each.emulated else ''}",
            " ".join(f"{key}={value}" for key, value in each.labels.items()),
            f"{each.reachable}: {each.reason}" if each.reason else each.reachable,
        )
        for each in boards
    )
    console().print(sheets([Sheet(columns=("name", "board", "target", "transport", "labels", "answers"), rows=rows)]))
    return 0


def add(
    name: Annotated[str, typer.Argument(help="What to call it.", show_default=False)],
    ssh: Annotated[str, typer.Option("--ssh", metavar="USER@HOST[:PORT]", help="Where it is reached.", show_default=False)],
    key: Annotated[Path | None, typer.Option("--key", help="The private key to log in with.", show_default=False)] = None,
    label: Annotated[list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="A label; may be repeated.")] = None,
    target: Annotated[str, typer.Option("--target", "-t", help="What its models must fit: host, pi or coral.")] = "pi",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Take the host key that is shown without asking.")] = False,
    inventory: Inventory = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Enrol a board: shows the fingerprint of its host key, asks, and writes it into the inventory.

    From then on only a machine with this very key is talked to. Comments and order of the file stay as they are.

    [bold]Examples[/]

      edgepipe farm add pi4 --ssh edge@pi4.lab --key ~/.ssh/id_ed25519

      edgepipe farm add pi5 --ssh edge@10.0.0.7:2222 --label lab=a --label cooled=yes
    """
    from edgepipe.workflows.farm import add as run

    labels = _labels(label or [])
    with progress(quiet) as emit:
        done = run(name, ssh, key=key, labels=labels, target=target, inventory=inventory, agree=_agreement(yes), emit=emit)
    if as_json:
        show_json({"name": done.name, "inventory": str(done.inventory), "fingerprint": done.fingerprint, "target": done.target})
    else:
        console().print(f"{name} is enrolled. Next: edgepipe farm provision {name}", markup=False, soft_wrap=True)
        probe([name], inventory=inventory, quiet=quiet)  # it is enrolled, whatever can or cannot be asked of it yet
    return 0


def remove(
    name: Annotated[str, typer.Argument(help="The board, by its name.", show_default=False)],
    inventory: Inventory = None,
    as_json: Json = False,
) -> int:
    """Take a board out of the inventory; nothing on the board changes.

    [bold]Examples[/]

      edgepipe farm remove pi4
    """
    from edgepipe.workflows.farm import remove as run

    path = run(name, inventory=inventory)
    if as_json:
        show_json({"name": name, "inventory": str(path)})
    else:
        console().print(f"{name} is out of {path}", markup=False, soft_wrap=True)
    return 0


def up(name: Virtual, inventory: Inventory = None, as_json: Json = False, quiet: Quiet = False) -> int:
    """Start a board made of this machine and enrol it: a virtual Raspberry Pi, or this machine over SSH.

    pi-virtual is a real arm64 Debian with a real sshd on an emulated processor: all of it works, its times mean nothing. It takes
    root, and is built once, for some minutes. localhost-ssh needs only openssh-server.

    [bold]Examples[/]

      edgepipe farm up pi-virtual

      edgepipe farm up localhost-ssh
    """
    from edgepipe.workflows.farm_virtual import up as run

    with progress(quiet) as emit:
        board = run(name, inventory=inventory, emit=emit)
    if as_json:
        show_json({"name": board.name, "user": board.user, "port": board.port, "pid": board.pid, "emulated": board.emulated})
    else:
        text = f"{name} runs on 127.0.0.1:{board.port}. Next: edgepipe farm provision {name}"
        console().print(text, markup=False, soft_wrap=True)
    return 0


def down(name: Virtual, inventory: Inventory = None, as_json: Json = False) -> int:
    """End a board that `farm up` started: its processes, its files and its place in the inventory.

    [bold]Examples[/]

      edgepipe farm down pi-virtual
    """
    from edgepipe.workflows.farm_virtual import down as run

    ran = run(name, inventory=inventory)
    if as_json:
        show_json({"name": name, "ran": ran})
    else:
        console().print(f"{name} {'has ended' if ran else 'was not running'}", markup=False, soft_wrap=True)
    return 0


def _labels(words: Sequence[str]) -> dict[str, str]:
    wrong = [f'"{word}" has no key, no = or no value' for word in words if not all(word.partition("="))]
    if wrong:
        raise UsageError("labels are written KEY=VALUE", problems=wrong)
    return {word.partition("=")[0]: word.partition("=")[2] for word in words}


def _agreement(yes: bool) -> Callable[[str, HostKey], bool]:
    """Return how a person is asked about a key; where nobody can be asked, that is an error."""

    def agree(where: str, host_key: HostKey) -> bool:
        sys.stderr.write(f"{where} shows this host key: {host_key.fingerprint}\n")
        if yes:
            return True
        if not sys.stdin.isatty():
            raise UsageError("nobody is there to compare the fingerprint", todo="Compare it and give --yes.")
        sys.stderr.write("At the board, this must print the same: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub\n")
        return typer.confirm("Is it the same?", default=False, err=True)

    return agree


COMMANDS: dict[str, Callable[..., int]] = {
    "list": list_boards,
    "schema": schema,
    "add": add,
    "remove": remove,
    "probe": probe,
    "provision": provision,
    "status": status,
    "up": up,
    "down": down,
    "ports": ports,
}
