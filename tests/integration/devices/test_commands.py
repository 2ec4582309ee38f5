"""`edgepipe bench` and `edgepipe eval` from the command line to the store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

COMMAND = Path(sys.executable).with_name("edgepipe")


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "results"
    monkeypatch.setenv("EDGEPIPE_RESULTS", str(folder))
    monkeypatch.setenv("COLUMNS", "120")
    return folder


def edgepipe(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(COMMAND), *map(str, arguments)], capture_output=True, text=True, cwd=folder, timeout=120, check=False
    )


def farm(folder: Path, **faults: str) -> Path:
    lines = [
        f"  {name}: {{board: fake, target: pi, transport: {{kind: fake, faults: [{fault}]}}}}" for name, fault in faults.items()
    ]
    path = folder / "farm_inventory.yaml"
    path.write_text("\n".join(["schema: 1", "devices:", *lines]))
    return path


def test_bench_prints_one_pure_json_document_and_stores_the_record(good: Path, results: Path, tmp_path: Path) -> None:
    run = edgepipe("bench", good, "--blocks", "1", "--json", folder=tmp_path)
    assert run.returncode == 0, run.stderr
    (cell,) = json.loads(run.stdout)["runs"]
    assert cell["exit_code"] == 0
    assert cell["record"]["outcome"] == "ok"
    assert len(cell["record"]["blocks"]) == 1
    assert json.loads(Path(cell["file"]).read_text()) == cell["record"]
    assert (results / "store.db").exists()


def test_bench_shows_a_table_and_nothing_else_when_quiet(good: Path, results: Path, tmp_path: Path) -> None:
    run = edgepipe("bench", good, "--blocks", "1", "--quiet", folder=tmp_path)
    assert run.returncode == 0
    assert "good.tflite" in run.stdout
    assert run.stderr == ""


def test_a_model_that_crashes_exits_with_6(good: Path, results: Path, tmp_path: Path) -> None:
    farm(tmp_path, crashing="crash")
    run = edgepipe("bench", good, "--device", "crashing", "--quiet", folder=tmp_path)
    assert run.returncode == 6
    assert "rejected" in run.stdout


def test_a_dead_board_costs_its_own_cell_only(good: Path, results: Path, tmp_path: Path) -> None:
    farm(tmp_path, alive="", dead="dead")
    run = edgepipe("bench", good, "--device", "*", "--blocks", "2", "--json", folder=tmp_path)
    assert run.returncode == 4
    cells = json.loads(run.stdout)["runs"]
    assert [cell["exit_code"] for cell in cells] == [0, 4]
    assert [cell["record"]["outcome"] for cell in cells] == ["ok", "infra"]


def test_changed_conditions_exit_with_5(good: Path, results: Path, tmp_path: Path) -> None:
    farm(tmp_path, hot="throttled")
    assert edgepipe("bench", good, "--device", "hot", "--blocks", "3", folder=tmp_path).returncode == 5


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.tflite"], "cannot read none.tflite"),
        (["empty.tflite"], "empty.tflite"),
        (["good.tflite", "--device", "lokal"], 'Perhaps you meant "local"?'),
        (["good.tflite", "--inventory", "none.yaml"], "cannot read none.yaml"),
        (["good.tflite", "--runtime", "litrt"], "known are litert, tflite, tflm"),
        (["good.tflite", "--delegate", "gpu"], "known are xnnpack, none, ref"),
    ],
)
def test_a_wrong_argument_is_one_clear_message_and_exit_2(
    good: Path, results: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    (tmp_path / "empty.tflite").write_bytes(b"")
    run = edgepipe("bench", *arguments, folder=tmp_path)
    assert run.returncode == 2
    assert words in run.stderr
    assert "Traceback" not in run.stderr
    assert not results.exists()


def test_eval_measures_the_error_of_a_model_that_answers_numbers(good: Path, results: Path, tmp_path: Path) -> None:
    pictures = np.zeros((5, 4, 4, 2), np.float32)
    pictures += np.linspace(0, 1, 5 * 32, dtype=np.float32).reshape(pictures.shape)
    np.savez(tmp_path / "test.npz", x=pictures, y=np.zeros((5, 4, 4, 2), np.float32))
    run = edgepipe("eval", good, "--data", "test.npz", "--json", folder=tmp_path)
    assert run.returncode == 0, run.stderr
    accuracy = json.loads(run.stdout)["runs"][0]["record"]["accuracy"]
    assert accuracy["metric"] == "mse"
    assert accuracy["samples"] == 5
    assert accuracy["value"] > 0


def test_eval_of_the_real_model_agrees_with_the_interpreter(kws: Path, results: Path, tmp_path: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    random = np.random.default_rng(0)
    sounds = random.normal(-40, 40, size=(40, 49, 10, 1)).astype(np.float32)
    interpreter = Interpreter(model_path=str(kws), num_threads=1)
    interpreter.allocate_tensors()
    answers = []
    for sound in sounds:
        codes = np.clip(np.round(sound / np.float32(0.5847029) + 83), -128, 127).astype(np.int8)
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], codes[None])
        interpreter.invoke()
        answers.append(int(np.argmax(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))))
    labels = np.array(answers)
    labels[:10] = (labels[:10] + 1) % 12
    np.savez(tmp_path / "test.npz", x=sounds, y=labels)
    run = edgepipe("eval", kws, "--data", "test.npz", "--json", "--quiet", folder=tmp_path)
    assert run.returncode == 0, run.stderr
    record = json.loads(run.stdout)["runs"][0]["record"]
    assert record["accuracy"]["value"] == 0.75
    assert record["accuracy"]["correct"] == [False] * 10 + [True] * 30


def test_eval_without_labels_says_so(good: Path, results: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "test.npz", x=np.random.default_rng(0).random((3, 4, 4, 2), np.float32))
    run = edgepipe("eval", good, "--data", "test.npz", folder=tmp_path)
    assert run.returncode == 2
    assert "labels" in run.stderr


def test_a_held_board_is_named_with_its_holder(good: Path, results: Path, tmp_path: Path) -> None:
    from edgepipe.devices.boards.linux import LinuxBoard
    from edgepipe.devices.transports.local import LocalTransport

    holder = LinuxBoard("local", LocalTransport())
    holder.open()
    try:
        run = edgepipe("bench", good, "--json", folder=tmp_path)
    finally:
        holder.close()
    assert run.returncode == 4
    assert f"edgepipe process {os.getpid()}" in json.loads(run.stdout)["runs"][0]["record"]["reason"]
