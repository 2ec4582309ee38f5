"""`edgepipe parity --device`: a board over SSH answers as this machine does, or is told how far off it is."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from commandline import Command
from sshd import Sshd

from benchmarks.ssh_overhead import write_inventory
from edgepipe.errors import GateMissed
from edgepipe.parity import Runtime
from edgepipe.workflows.board_parity import board_options, board_parity, require_boards_exact
from edgepipe.workflows.parity import Inputs

PAGE = Path(__file__).resolve().parents[3] / "docs" / "measuring.md"
LITERT = (Runtime.XNNPACK, Runtime.BUILTIN)


@pytest.fixture
def inventory(sshd: Sshd, tmp_path: Path) -> Path:
    return write_inventory(sshd, tmp_path / "farm_inventory.yaml")


def test_the_same_kernels_give_the_same_bits_and_others_are_told_apart(inventory: Path, kws: Path) -> None:
    found = board_parity(
        kws, device="board", inventory=inventory, inputs=Inputs(samples=60), runtimes=LITERT, options=board_options("litert-none")
    )
    (board,) = found.boards
    by_runtime = {each.runtime: each for each in board.agreements}
    assert by_runtime[Runtime.BUILTIN].alike
    assert by_runtime[Runtime.BUILTIN].decisions_changed == 0
    apart = by_runtime[Runtime.XNNPACK]
    assert 0 < apart.distance.exact < apart.distance.samples == 60
    assert apart.distance.lsb is not None and apart.distance.lsb > 0
    require_boards_exact(found, Runtime.BUILTIN)
    with pytest.raises(GateMissed) as missed:
        require_boards_exact(found, Runtime.XNNPACK)
    assert missed.value.problems == (f"board differs on {60 - apart.distance.exact} of 60 inputs",)
    assert "bit for bit as litert-none here" in found.advice[0]


def test_the_commands_on_the_page_about_measuring_work_as_they_stand_there(
    edgepipe: Command, inventory: Path, kws: Path, tmp_path: Path
) -> None:
    inventory.write_text(inventory.read_text().replace("  board:\n", "  pi-by-ssh:\n"))
    (tmp_path / "model.tflite").write_bytes(kws.read_bytes())
    values = np.random.default_rng(0).uniform(-100, 20, (12, 49, 10, 1)).astype("float32")
    np.savez(tmp_path / "test.npz", x=values, y=np.arange(12))
    commands = re.findall(r"^edgepipe .*$", PAGE.read_text(), re.MULTILINE)
    said = [edgepipe(*shlex.split(command, comments=True)[1:], COLUMNS="120") for command in commands]
    assert [done.code for done in said] == [0, 0, 0], [done.err for done in said]
    bench, evaluated, parity = said
    assert re.search(r"model\.tflite +pi-by-ssh .* 5/5 +ok", bench.out)
    assert "model.tflite on pi-by-ssh: accuracy" in evaluated.out
    assert re.search(r"pi-by-ssh .*litert-xnnpack +12 of 12 +0 LSB +0", parity.out), parity.out
    assert "bench model.tflite on pi-by-ssh:" in bench.err
    assert "answers of pi-by-ssh:" in parity.err


def test_a_dead_board_costs_its_row_only(edgepipe: Command, inventory: Path, kws: Path, tmp_path: Path) -> None:
    dead = "  gone: {board: fake, target: host, transport: {kind: fake, faults: [dead]}}\n"
    inventory.write_text(inventory.read_text() + dead)
    values = np.random.default_rng(0).uniform(-100, 20, (30, 49, 10, 1)).astype("float32")
    np.savez(tmp_path / "test.npz", x=values, y=np.arange(30) % 12)
    words = ("--data", "test.npz", "--device", "board,gone", "--inventory", inventory, "-n", 12, "--runtime", "host")
    both = edgepipe("parity", kws, *words, "--json")
    assert both.code == 4, both.err
    alive, gone = both.json["boards"]
    assert (alive["device"], alive["error"], gone["device"], gone["error"]) == ("board", "", "gone", "device-unreachable")
    assert alive["agreements"][0]["distance"]["exact"] == 12
    assert both.json["inputs"].startswith("12 of the 30 of ")


def test_a_board_that_answers_in_another_form_costs_its_row_only(edgepipe: Command, inventory: Path, kws: Path) -> None:
    inventory.write_text(inventory.read_text() + "  odd: {board: fake, target: host, transport: {kind: fake}}\n")
    done = edgepipe("parity", kws, "--device", "board,odd", "--inventory", inventory, "-n", 3, "--runtime", "host", "--json")
    assert done.code == 6, done.err
    sound, odd = done.json["boards"]
    assert (sound["error"], odd["error"]) == ("", "model-rejected")
    assert odd["reason"] == "the board gives another number of outputs than the 1 of the model"


def test_a_runtime_that_the_board_does_not_know_is_a_wrong_argument(edgepipe: Command, inventory: Path, good: Path) -> None:
    done = edgepipe("parity", good, "--device", "board", "--inventory", inventory, "-n", 2, "--board-runtime", "litrt")
    assert done.code == 2
    assert "known are litert, tflite, tflm" in done.err
