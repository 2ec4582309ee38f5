"""The arena is the smallest that invokes, shown by the interpreter itself."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from edgepipe.errors import ModelFileError, ModelRejected
from edgepipe.events import Event, StepFinished
from edgepipe.pipeline.export.arena import find_arena

pytestmark = pytest.mark.skipif(
    find_spec("tflite_micro") is None, reason="needs the tflite-micro wheel: pip install 'edgepipe[micro]'"
)

# Loads and runs a model in an arena of a given size; a crash is a "no", too.
INVOKE = """
import sys
import numpy as np
from tflite_micro.python.tflite_micro import runtime
interpreter = runtime.Interpreter.from_file(sys.argv[1], arena_size=int(sys.argv[2]))
details = interpreter.get_input_details(0)
interpreter.set_input(np.zeros(details["shape"], details["dtype"]), 0)
interpreter.invoke()
interpreter.get_output(0)
"""


def invokes(model: Path, arena_bytes: int) -> bool:
    command = [sys.executable, "-c", INVOKE, str(model), str(arena_bytes)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("real", ["kws", "ad01"])
def test_sixteen_bytes_less_do_not_invoke(real: str, request: pytest.FixtureRequest) -> None:
    model = request.getfixturevalue(real)
    arena = find_arena(model)

    assert arena.smallest_bytes % 16 == 0
    assert [invokes(model, arena.smallest_bytes + more) for more in (-16, 0, 16, 4096)] == [False, True, True, True]
    assert arena.recorded_bytes <= arena.smallest_bytes
    assert sum(arena.sections.values()) < arena.recorded_bytes
    assert arena.tool_version.startswith("tflite-micro ")


def test_the_search_says_how_long_it_took(tiny: Any, tmp_path: Path) -> None:
    model = tmp_path / "tiny.tflite"
    model.write_bytes(relu(tiny))
    events: list[Event] = []
    find_arena(model, emit=events.append)

    assert any(isinstance(event, StepFinished) for event in events)


def relu(tiny: Any) -> bytes:
    model = tiny()
    x, y = (model.tensor(name, (1, 64), scale=0.1) for name in "xy")
    model.op("RELU", [x], [y])
    model.ports([x], [y])
    return bytes(model.build())


def test_an_operator_that_tflm_lacks_is_the_reason(tiny: Any, tmp_path: Path) -> None:
    model = tiny()
    x, y = (model.tensor(name, (1, 4), scale=0.1) for name in "xy")
    model.op("GELU", [x], [y])
    model.ports([x], [y])
    (tmp_path / "gelu.tflite").write_bytes(model.build())

    with pytest.raises(ModelRejected) as caught:
        find_arena(tmp_path / "gelu.tflite")
    assert "refused" in caught.value.what
    assert caught.value.problems


def test_a_model_that_crashes_the_interpreter_is_rejected_and_this_process_lives(tiny: Any, tmp_path: Path) -> None:
    model = tiny()
    x, y = (model.tensor(name, (1, 4), scale=0.1) for name in "xy")
    model.op("MEAN", [x], [y])  # without the axes that TFLite Micro reads unasked
    model.ports([x], [y])
    (tmp_path / "hollow.tflite").write_bytes(model.build())

    with pytest.raises(ModelRejected, match="crashes TFLite Micro"):
        find_arena(tmp_path / "hollow.tflite")


def test_a_search_that_takes_too_long_is_ended(kws: Path) -> None:
    with pytest.raises(ModelRejected, match="not done after"):
        find_arena(kws, deadline_s=0.01)


def test_a_damaged_file_never_reaches_the_interpreter(kws: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.tflite").write_bytes(kws.read_bytes()[:1000])

    with pytest.raises(ModelFileError):
        find_arena(tmp_path / "cut.tflite")
