"""`edgepipe farm` from the command line: real boards made of this machine, enrolled, listed, probed, ended."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import socket
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
import virtual_pi
from commandline import Command

from benchmarks.synthetic import convolution
from benchmarks.virtual_pi import BOARD, SAMPLES, WRONG, labelled
from benchmarks.virtual_pi import MODEL as KEYWORDS
from edgepipe.devices import virtual_board
from edgepipe.documents import read_yaml
from edgepipe.errors import Terminated
from edgepipe.events import Event, StepStarted
from edgepipe.places import cache_dir
from edgepipe.workflows.farm_boards import status

PAGE = Path(__file__).resolve().parents[3] / "docs" / "farm.md"


@pytest.fixture
def ssh_board(edgepipe: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if not Path(virtual_board.SSHD).exists():
        pytest.skip("there is no sshd: apt-get install openssh-server")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    done = edgepipe("farm", "up", "localhost-ssh", "--quiet")
    assert done.code == 0, done.err
    yield "localhost-ssh"
    edgepipe("farm", "down", "localhost-ssh")


def answers(port: int) -> bool:
    with socket.socket() as line:
        return line.connect_ex(("127.0.0.1", port)) == 0


def test_a_board_made_of_this_machine_comes_answers_and_goes(edgepipe: Command, ssh_board: str) -> None:
    path = edgepipe.folder / "farm_inventory.yaml"
    jsonschema.validate(read_yaml(path), edgepipe("farm", "schema").json)
    again = edgepipe("farm", "up", ssh_board, "--json").json
    (listed,) = edgepipe("farm", "list", "virtual=yes+target=host", "--json").json["boards"]
    assert (listed["name"], listed["transport"], listed["reachable"], listed["emulated"]) == (ssh_board, "ssh", "yes", False)
    (probed,) = edgepipe("farm", "probe", ssh_board, "--json").json["boards"]
    assert probed["state"]["arch"] == os.uname().machine
    assert any(finding["subject"] == "runtime" for finding in probed["findings"])

    (standing,) = edgepipe("farm", "status", ssh_board, "--json").json["boards"]
    assert (standing["state"], standing["current"]) == ("idle", None)

    assert "has ended" in edgepipe("farm", "down", ssh_board).out
    assert ssh_board not in path.read_text()
    assert not answers(again["port"])
    assert "was not running" in edgepipe("farm", "down", ssh_board).out
    assert edgepipe("farm", "down", ssh_board, "--json").json == {"name": ssh_board, "ran": False}


def test_a_board_is_enrolled_with_the_key_that_it_shows(edgepipe: Command, ssh_board: str) -> None:
    path = edgepipe.folder / "farm_inventory.yaml"
    path.write_text(path.read_text() + "\n# the end\n")
    link = read_yaml(path)["devices"][ssh_board]["transport"]
    where = f"{link['user']}@127.0.0.1:{link['port']}"
    refused = edgepipe("farm", "add", "twin", "--ssh", where)
    assert refused.code == 2
    assert "nobody is there to compare" in refused.err
    assert "twin" not in path.read_text()

    done = edgepipe("farm", "add", "twin", "--ssh", where, "--key", link["key"], "--label", "lab=a", "--yes", "--json")
    assert done.code == 0, done.err
    assert done.json["fingerprint"].startswith("ssh-ed25519 SHA256:")
    assert done.json["fingerprint"] in done.err
    written = read_yaml(path)["devices"]["twin"]
    assert written["transport"]["host_key"] == link["host_key"]
    assert written["labels"] == {"lab": "a"}
    assert path.read_text().endswith("# the end\n")
    (listed,) = edgepipe("farm", "list", "twin", "--json").json["boards"]
    assert listed["reachable"] == "yes"
    assert edgepipe("farm", "remove", "twin", "--json").json["name"] == "twin"
    assert "twin" not in path.read_text()


def test_a_dead_board_costs_its_own_row_only(edgepipe: Command) -> None:
    (edgepipe.folder / "farm_inventory.yaml").write_text(
        "schema: 1\ndevices:\n"
        "  ghost: {board: linux, target: pi, transport: {kind: fake, faults: [dead]}}\n"
        "  pulled: {board: mcu, target: mcu, transport: {kind: serial, by_id: usb-pulled-out, baud: 115200}}\n"
        "  alive: {board: linux, target: pi, transport: {kind: fake}}\n"
    )
    boards = {each["name"]: each for each in edgepipe("farm", "list", "--json").json["boards"]}
    assert {name: each["reachable"] for name, each in boards.items()} == {"ghost": "no", "pulled": "no", "alive": "yes"}
    assert boards["ghost"]["reason"] and boards["pulled"]["reason"]
    offline = edgepipe("farm", "list", "--offline", "--json").json["boards"]
    assert {each["reachable"] for each in offline} == {"unknown"}
    probed = edgepipe("farm", "probe", "ghost", "--json")
    assert probed.code == 4
    assert probed.json["boards"][0]["error"] == "device-unreachable"


def test_sigterm_ends_the_command_and_not_one_board_of_it(tmp_path: Path) -> None:
    inventory = tmp_path / "farm_inventory.yaml"
    boards = [f"  {name}: {{board: linux, target: host, transport: {{kind: local}}}}" for name in ("first", "second")]
    inventory.write_text("\n".join(["schema: 1", "devices:", *boards]) + "\n")
    begun: list[str] = []

    def terminate(event: Event) -> None:
        if isinstance(event, StepStarted):
            begun.append(event.step)
            raise Terminated("stopped by SIGTERM")

    with pytest.raises(Terminated):
        status("*", inventory=inventory, emit=terminate)
    assert begun == ["ask first"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["add", "a;b", "--ssh", "me@pi"], "no name for a board"),
        (["add", "pi", "--ssh", "pi"], "no address"),
        (["add", "pi", "--ssh", "me@pi", "--label", "lab"], "KEY=VALUE"),
        (["up", "pi-virtul"], 'Perhaps you meant "pi-virtual"'),
        (["remove", "pi"], "cannot read|no device"),
        (["provision", "local", "--upgrade", "--remove"], "takes away what --upgrade"),
    ],
)
def test_what_cannot_be_done_is_a_usage_error(edgepipe: Command, arguments: list[str], words: str) -> None:
    done = edgepipe("farm", *arguments)
    assert done.code == 2
    assert any(word in done.err for word in words.split("|"))


def test_the_page_on_boards_works_word_for_word_with_the_virtual_pi(edgepipe: Command) -> None:
    if reason := virtual_pi.lacks():
        pytest.skip(reason)
    other, model = edgepipe.folder / "other.tflite", edgepipe.folder / "model.tflite"
    other.write_bytes(convolution(side=8, channels=4))
    model.write_bytes((KEYWORDS if KEYWORDS.exists() else other).read_bytes())
    with virtual_pi.lent():
        folder = cache_dir() / "virtual" / "pi-virtual"
        try:
            up = edgepipe("farm", "up", "pi-virtual", "--json")
            assert up.code == 0, up.err
            assert up.json["emulated"]
            said = {command: edgepipe(*shlex.split(command)[1:], "--json") for command in commands_of_the_page("pi-virtual")}
            assert {command: done.err for command, done in said.items() if done.code} == {}
            probed, _, measured, _ = said.values()
            assert (probed.json["boards"][0]["state"]["arch"], probed.json["boards"][0]["state"]["bits"]) == ("aarch64", 64)
            assert measured.json["runs"][0]["record"]["device"]["emulated"]
            if KEYWORDS.exists():
                keywords_are_deployed_evaluated_and_rolled_back(edgepipe, other, model)
        finally:
            assert edgepipe("farm", "down", "pi-virtual").code == 0
        assert not answers(up.json["port"])
        assert str(folder) not in Path("/proc/mounts").read_text()
        assert not folder.exists()


def keywords_are_deployed_evaluated_and_rolled_back(edgepipe: Command, other: Path, model: Path) -> None:
    """What `benchmarks.virtual_pi` does, on the board that runs already."""
    there = ("--device", BOARD, "--json")
    for each in (other, model):
        deployed = edgepipe("deploy", each, *there, "--yes", "--no-reboot-protection", "--deadline", "300")
        assert deployed.code == 0, deployed.err
        assert deployed.json["deployments"][0]["deployed"]["outcome"] == "committed"
    scored = edgepipe("eval", model, "--data", labelled(model, edgepipe.folder), *there)
    assert scored.code == 0, scored.err
    accuracy = scored.json["runs"][0]["record"]["accuracy"]
    assert accuracy["samples"] == SAMPLES
    assert abs(accuracy["value"] - (1 - WRONG / SAMPLES)) <= 0.02  # other kernels, so a decision or two may fall otherwise
    back = edgepipe("rollback", *there)
    assert back.json["current"] == hashlib.sha256(other.read_bytes()).hexdigest(), back.err


def commands_of_the_page(board: str) -> list[str]:
    """Return the commands from unboxing to the first measurement, for another board; a virtual one is enrolled already."""
    steps = re.findall(r"^(?:\d\.|   ).*$", PAGE.read_text(), re.MULTILINE)
    commands = re.findall(r"`(edgepipe [^`]*\bpi4\b[^`]*)`", "\n".join(steps))
    return [command.replace("pi4", board) for command in commands if " add " not in command]
