"""`edgepipe deploy`, `farm status` and `rollback` for a microcontroller, as docs/deploying.md has them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from commandline import Command

from tests.firmware.dense import dense
from tests.firmware.emulated_board import needs_emulator

PAGE = (Path(__file__).parents[3] / "docs" / "deploying.md").read_text()
HERE = ("--device", "mcu-m4-qemu", "--yes")


@pytest.fixture(autouse=True)
def models(tmp_path: Path, builds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two models, and an emulated board whose flash is this test's own; its firmware is built once for all tests."""
    needs_emulator()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    builds.mkdir(exist_ok=True)
    (tmp_path / "cache" / "edgepipe").mkdir(parents=True)
    (tmp_path / "cache" / "edgepipe" / "firmware").symlink_to(builds)
    for seed, name in enumerate(("kws", "newer")):
        (tmp_path / f"{name}.tflite").write_bytes(dense(seed))


def test_the_page_about_microcontrollers_is_right_with_tflite_micro_and_without(edgepipe: Command, tmp_path: Path) -> None:
    section = PAGE[PAGE.index("## Microcontrollers") :]
    (commands,) = re.findall(r"```sh\n(.*?)```", section[: section.index("\n## ")], re.DOTALL)
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "sitecustomize.py").write_text('import sys\nsys.modules["tflite_micro"] = None\n')
    done = [
        edgepipe(*shlex.split(line, comments=True)[1:], **({"PYTHONPATH": str(tmp_path / "hidden")} if "newer" in line else {}))
        for line in commands.splitlines()
    ]
    assert [each.code for each in done] == [0, 0, 0, 0], [each.err for each in done]
    assert re.search(r"an inference took [\d.]+ ms on an emulator", done[0].out)
    assert "golden answers of TensorFlow Lite Micro for kws.tflite" in done[0].err
    assert "golden answers of LiteRT's reference kernels for newer.tflite" in done[1].err
    assert "which may be a step off: tflite-micro is not installed" in done[1].err
    assert "newer (" in done[2].out
    assert "kws (" in done[3].out
    standing = edgepipe("farm", "status", "mcu-m4-qemu", "--json").json["boards"][0]
    assert (standing["state"], standing["previous"], standing["boot_hook"]) == ("rolled back", None, "firmware")


def test_a_trial_cannot_be_left_running_on_a_board_that_ends_with_the_command(edgepipe: Command) -> None:
    done = edgepipe("deploy", "kws.tflite", *HERE, "--no-confirm")
    assert done.code == 2
    assert "mcu-m4-qemu ends with the command" in done.err


def test_a_model_that_does_not_fit_the_board_is_refused_before_a_byte_of_it_is_sent(edgepipe: Command, tmp_path: Path) -> None:
    (tmp_path / "padded.tflite").write_bytes(dense(0) + bytes(1 << 20))
    done = edgepipe("deploy", "padded.tflite", *HERE)
    assert done.code == 6
    assert "padded.tflite does not fit mcu-m4-qemu, and nothing was sent" in done.out
    assert "golden answers" not in done.err
    for memory in ("RAM for the file", "flash"):
        assert re.search(rf"{memory}: [\d,]+ bytes, [\d,]+ more than the 1,048,576 allowed", done.out)
    (cell,) = edgepipe("deploy", "padded.tflite", *HERE, "--json").json["deployments"]
    assert cell["emulated"]
    assert len(cell["error"]["problems"]) == 2


def test_where_signatures_are_demanded_nothing_is_sent(edgepipe: Command, tmp_path: Path) -> None:
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIO0YqTJrB8hPEPQbY2rmnVRwrE5DLEHZ9sDPyGLE5q4D"
    (tmp_path / "farm_inventory.yaml").write_text(
        f'schema: 1\ndefaults: {{signing: {{signers: ["{key} release"]}}}}\ndevices:\n'
        "  m4: {board: mcu, target: mcu, transport: {kind: qemu, machine: mps2-an386}, emulated: true}\n"
    )
    done = edgepipe("deploy", "kws.tflite", "--device", "m4", "--yes")
    assert done.code == 6
    assert "m4 cannot check signatures" in done.err
