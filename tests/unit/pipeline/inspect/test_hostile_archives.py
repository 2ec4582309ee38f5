"""No kind of hostile `.keras` reaches TensorFlow: each is refused by the command, in one message that says what and where."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from hostile import KINDS, archive, weights
from hostile_configurations import CANARY, COMPILED, layer, model

from edgepipe.errors import EdgepipeError, ModelFileError
from edgepipe.events import silent
from edgepipe.pipeline.inspect.admission import admit

# One process asks edgepipe to convert every kind, so that its start-up is paid once; each has its own standard error.
PROGRAM = """
import contextlib, io, json, sys
from edgepipe.cli import _run
answers = {}
for path in sys.argv[1:]:
    shown = io.StringIO()
    with contextlib.redirect_stderr(shown):
        code = _run(["convert", path, "--trust-model"])
    answers[path] = [code, shown.getvalue()]
print(json.dumps({"answers": answers, "modules": sorted(sys.modules)}))
"""


@dataclass(frozen=True)
class Refusals:
    """What edgepipe said of each kind, what it had imported in the end, and the logs of workers it had started."""

    said: dict[str, tuple[int, str]]
    modules: set[str]
    worker_logs: list[Path]


@pytest.fixture(scope="module")
def refusals(tmp_path_factory: pytest.TempPathFactory) -> Refusals:
    """Every kind, converted with one command after another; `--trust-model` is no word for a `.keras`."""
    folder, scratch = tmp_path_factory.mktemp("hostile"), tmp_path_factory.mktemp("scratch")
    paths = {str(folder / f"{number}.keras"): kind for number, kind in enumerate(KINDS)}
    for path, kind in paths.items():
        KINDS[kind][0](Path(path))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *paths],
        env={**os.environ, "TMPDIR": str(scratch)},
        capture_output=True,
        check=True,
        timeout=300,
    )
    document = json.loads(done.stdout)
    said = {paths[path]: (code, text) for path, (code, text) in document["answers"].items()}
    return Refusals(said, set(document["modules"]), [*scratch.glob("edgepipe-worker-*")])


def test_there_are_at_least_forty_kinds() -> None:
    assert len(KINDS) >= 40


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_refused_in_one_message_that_says_what_and_where(refusals: Refusals, kind: str) -> None:
    code, text = refusals.said[kind]
    assert code == 2, text
    assert KINDS[kind][1] in text
    assert ".keras" in text.splitlines()[0] or "nested" in text.splitlines()[0]
    assert text.count("edgepipe: ") == 1
    assert "Traceback" not in text
    assert len(text) < 3000


def test_tensorflow_is_not_imported_and_no_worker_started(refusals: Refusals) -> None:
    roots = {name.split(".")[0] for name in refusals.modules}
    assert not roots & {"tensorflow", "keras", "tf_keras", "h5py"}
    assert refusals.worker_logs == []


def test_the_same_file_without_the_danger_comes_in(tmp_path: Path) -> None:
    """Else everything could be refused for what all these files have in common."""
    found = admit(archive(tmp_path / "m.keras"), trusted=False, emit=silent)
    assert found is not None and found.inputs[0].name == "x"


@pytest.mark.parametrize("kind", COMPILED)
def test_what_a_harmless_model_was_compiled_with_is_no_reason_to_refuse_it(tmp_path: Path, kind: str) -> None:
    config = {**model(layer("Dense", "d", units=3)), "compile_config": COMPILED[kind]}
    found = admit(archive(tmp_path / "m.keras", config), trusted=False, emit=silent)
    assert found is not None and found.training == COMPILED[kind]
    assert "compile_config" not in found.config
    assert CANARY not in sys.modules


@pytest.mark.parametrize(
    "options", [{"libver": "earliest"}, {"libver": "latest"}, {"libver": "latest", "track_order": True}], ids=str
)
def test_every_way_hdf5_stores_plain_groups_comes_in(tmp_path: Path, options: dict[str, object]) -> None:
    assert admit(archive(tmp_path / "m.keras", h5=weights(**options)), trusted=False, emit=silent) is not None


@pytest.mark.parametrize("folder", ["numpy.py", "h5py.py"])
def test_what_lies_beside_the_model_is_not_imported(tmp_path: Path, folder: str) -> None:
    canary = tmp_path / "canary"
    (tmp_path / folder).write_text(f"import pathlib; pathlib.Path({str(canary)!r}).touch()")
    archive(tmp_path / "m.keras", h5=b"no HDF5")
    code = "import sys; from edgepipe.cli import main_inner; sys.exit(main_inner(['convert', 'm.keras']))"
    done = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert "HDF5 cannot read it" in done.stderr
    assert not canary.exists()


def test_names_in_a_model_do_not_steer_the_terminal(tmp_path: Path) -> None:
    evil = {"module": "os", "class_name": "system\x1b[2J", "config": {"name": "\x1b]0;title\x07"}}
    config = {"module": "keras", "class_name": "Sequential", "config": {"name": "m", "layers": [evil]}}
    with pytest.raises(EdgepipeError) as caught:
        admit(archive(tmp_path / "m.keras", config), trusted=False, emit=silent)
    assert all(problem.isprintable() for problem in caught.value.problems)


def test_a_pipe_in_place_of_the_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.keras")
    with pytest.raises(ModelFileError, match="pipe or device"):
        admit(tmp_path / "m.keras", trusted=False, emit=silent)
