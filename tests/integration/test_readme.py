"""The README's five minutes, command by command as they stand there."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from commandline import Command, Demo

from edgepipe.devices.transports.qemu import missing_packages
from edgepipe.pipeline.data import load, split

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
TOUR = README.split("## Your own model in five minutes")[1].split("\n## ")[0]
COMMANDS = [shlex.split(line) for block in re.findall(r"```sh\n(.*?)```", TOUR, re.DOTALL) for line in block.splitlines() if line]


@pytest.fixture(scope="module")
def users_folder(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the README asks a user to have: a model, training data, test data; and the recipe it shows."""
    folder = tmp_path_factory.mktemp("user")
    shutil.copy(demo.model, folder / "model.keras")
    rest, test = split(load("digits", base=folder), 0.3, seed=0)
    for name, data in (("train", rest), ("test", test)):
        np.savez(folder / f"{name}.npz", x=next(iter(data.inputs.values())), y=data.labels)
    (folder / "recipe.yaml").write_text(re.findall(r"```yaml\n(.*?)```", TOUR, re.DOTALL)[0])
    return folder


def test_the_tour_has_a_command_for_each_of_its_steps() -> None:
    assert len(COMMANDS) >= 9 and all(words[0] == "edgepipe" for words in COMMANDS)


def test_every_command_of_the_tour_works_in_order(users_folder: Path) -> None:
    run = Command(users_folder)
    for words in COMMANDS:
        if words[-1] == "mcu-m4-qemu" and missing_packages("mps2-an386"):
            continue
        if words[-2:] == ["--to", "c"] and shutil.which("gcc") is None:
            continue
        done = run(*words[1:], EDGEPIPE_RESULTS=str(users_folder / "edgepipe-results"))
        assert done.code == 0, f"{words}: {done.err or done.out}"
    made = {path.name for path in users_folder.rglob("*")}
    assert {"small.tflite", "float.tflite", "small_model_data.cc", "small_op_resolver.h"} <= made
    assert list((users_folder / "edgepipe-results" / "reports").glob("*.html"))
