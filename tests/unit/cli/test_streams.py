"""Standard streams that are closed, full or left by their reader: the exit code holds, and is never that of a bug."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from commandline import EDGEPIPE, Command


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("{edgepipe} report --run none >&-", 2),
        ("{edgepipe} report --run none 2>&-", 2),
        ("{edgepipe} report --run none >&- 2>&- <&-", 2),
        ("{edgepipe} report --run none 2> /dev/full", 2),
        ("{edgepipe} report --run none --json > /dev/full", 2),
        ("{edgepipe} --help >&-", 0),
        ("{edgepipe} --help | head -1; exit ${{PIPESTATUS[0]}}", 0),
    ],
)
def test_the_exit_code_is_that_of_the_command(tmp_path: Path, command: str, code: int) -> None:
    whole = command.format(edgepipe=shlex.join(EDGEPIPE))
    done = subprocess.run(["bash", "-c", whole], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


def test_an_error_as_json_says_why_and_what_to_do_too(edgepipe: Command) -> None:
    (edgepipe.folder / "model.tflite").write_bytes(b"")
    (edgepipe.folder / "taken").write_text("")
    damaged = edgepipe("export", "model.tflite", "--to", "out", "--json")
    taken = edgepipe("export", "model.tflite", "--to", "taken/out", "--json")
    assert (damaged.code, damaged.json["exit_code"], damaged.json["error"]) == (2, 2, "model-file")
    assert all(damaged.json[part] in damaged.err for part in ("message", "cause", "todo"))
    assert (taken.code, taken.json["message"]) == (2, "taken is a file, and no folder to write into")
