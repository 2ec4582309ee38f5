"""Boards on a serial line of another machine, as a user measures them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from commandline import Command

from tests.firmware.host_board import HostBoard, KeptLine, firmware
from tests.firmware.line_server import served
from tests.firmware.random_models import random_model

INVENTORY = """schema: 1
devices:
  loose: {{board: mcu, target: mcu, transport: {{kind: serial, url: "{url}"}}}}
  wrong: {{board: mcu, target: mcu, board_id: 0042-nucleo, transport: {{kind: serial, url: "{url}"}}}}
  text: {{board: mcu, target: mcu, protocol: mlperf-tiny, transport: {{kind: serial, url: "{url}"}}}}
"""


@pytest.fixture
def model(edgepipe: Command, tmp_path: Path, builds: Path) -> Iterator[Path]:
    """A small model in the folder of the command, and an inventory with a board that has it in its firmware."""
    content, _ = random_model("SOFTMAX", 1, rows=1)
    path = tmp_path / "small.tflite"
    path.write_bytes(content)
    board = HostBoard(firmware(builds))
    KeptLine(board).flash(content, "small")
    with served(board, "socket") as server:
        (tmp_path / "farm_inventory.yaml").write_text(INVENTORY.format(url=server.url))
        yield path
    board.close()


def test_a_board_with_somebody_elses_firmware_is_measured_and_its_coarse_clock_told(edgepipe: Command, model: Path) -> None:
    done = edgepipe("bench", model.name, "--device", "text", "--blocks", "1", "--json")
    assert done.code == 0, done.err
    record = done.json["runs"][0]["record"]
    assert (record["device"]["board"], record["runtime"]["name"]) == ("mlperf-tiny", "mlperf-tiny")
    assert record["blocks"][0]["resolution_ns"] > 0
    assert "text tells no single runs: a sample is the mean of" in done.err


def test_what_was_not_heeded_and_a_board_that_is_not_pinned_are_told_and_another_board_refused(
    edgepipe: Command, model: Path
) -> None:
    loose = edgepipe(
        "bench", model.name, "--device", "loose", "--json", "--threads", "4", "--runtime", "tflm", "--delegate", "none"
    )
    assert loose.code == 0, loose.err
    assert "loose does not heed --threads, --runtime, --delegate" in loose.err
    assert "board_id: host-host in the inventory" in loose.err
    wrong = edgepipe("bench", model.name, "--device", "wrong", "--json")
    assert wrong.code == 4
    assert 'wrong should be the board "0042-nucleo", but "host-host" is on its line' in wrong.json["runs"][0]["record"]["reason"]
    refused = edgepipe("deploy", model.name, "--device", "text", "--yes")
    assert refused.code == 2
    assert "speaks mlperf-tiny, which can bring no model" in refused.out
