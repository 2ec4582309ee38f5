"""What docs/microcontrollers.md says of exported C works as it stands there."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[3]
SECTION = (
    (PROJECT / "docs" / "microcontrollers.md").read_text(encoding="utf-8").split("## C without the firmware")[1].split("\n## ")[0]
)


def test_its_commands_and_its_program_work(edgepipe: Any, kws: Path, tmp_path: Path) -> None:
    pytest.importorskip("tflite_micro", reason="needs the tflite-micro wheel: pip install 'edgepipe[micro]'")
    for program in ("make", "gcc", "arm-none-eabi-gcc", "qemu-system-arm"):
        if shutil.which(program) is None:
            pytest.skip(f"needs {program}: make system")
    shutil.copy(kws, tmp_path / "model.tflite")
    (commands,) = re.findall(r"```sh\n(.*?)```", SECTION, re.DOTALL)
    for program, *words in map(str.split, commands.splitlines()):
        if program == "edgepipe":
            done = edgepipe(*words)
            assert done.code == 0, done.err
        else:
            ran = subprocess.run([program, *words], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
            assert ran.returncode == 0 and ran.stdout.splitlines()[-2] == "PASS", ran.stdout + ran.stderr

    (program,) = re.findall(r"```c\n(.*?)```", SECTION, re.DOTALL)
    (tmp_path / "answer.c").write_text(f"{program}\nint main(void) {{ static float real[490]; return answer(real) == 0; }}\n")
    sources = [*map(str, (tmp_path / "model-c").rglob("*.c")), "answer.c"]
    strict = ("gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-O1", "-o", "answer")
    subprocess.run([*strict, *sources], check=True, cwd=tmp_path, capture_output=True)
    assert subprocess.run(["./answer"], cwd=tmp_path, check=False).returncode == 0
