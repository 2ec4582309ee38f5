"""From a trained model to proved artefacts, through the command line, on one demo run that all these tests share."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commandline import EDGEPIPE, Command, Demo

from edgepipe.pipeline.artefacts import open_artefact


@pytest.fixture(autouse=True)
def cache(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the demo has computed is not computed again."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(demo.folder / "cache"))
    return demo.folder / "cache" / "edgepipe" / "stages"


def test_the_demo_trains_a_network_of_at_least_50000_parameters(demo: Demo) -> None:
    facts = demo.document["compressions"][0]["artefacts"][0]["facts"]
    assert sum(weight["elements"] for weight in facts["weights"]) > 50_000


def test_every_gate_of_the_demo_passes(demo: Demo) -> None:
    for record in demo.document["compressions"]:
        assert {gate["verdict"] for gate in record["gates"]} == {"pass"}, record["recipe"]


def test_the_small_recipe_shows_float_dynamic_range_and_int8_beside_its_stages(demo: Demo) -> None:
    rows = demo.document["compressions"][1]["rows"]
    assert [row["stage"] for row in rows] == ["float", "dynamic range", "int8", "prune 0.8", "cluster 16", "quantize qat"]
    assert [row["reference"] for row in rows] == [True, True, True, False, False, False]


def test_the_last_file_is_sparse_clustered_and_int8_when_counted_without_our_reader(demo: Demo) -> None:
    """A second, independent count: the interpreter's own view of the weights."""
    np = pytest.importorskip("numpy")
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(model_path=str(demo.tflite(1, -1)))
    runner.allocate_tensors()
    counted = 0
    for tensor in runner.get_tensor_details():
        assert tensor["dtype"] in (np.int8, np.int32), tensor["name"]
        if (
            tensor["dtype"] is np.int8
            and len(tensor["shape"]) in (2, 4)
            and np.prod(tensor["shape"]) >= 288
            and tensor["shape"][0] > 1
        ):
            weights = runner.get_tensor(tensor["index"]).reshape(tensor["shape"][0], -1)
            assert abs(float(np.mean(weights == 0)) - 0.8) < 0.02, tensor["name"]
            assert max(len(np.unique(channel)) for channel in weights) <= 16, tensor["name"]
            counted += 1
    assert counted == 4
    assert runner.get_input_details()[0]["dtype"] is np.int8 and runner.get_output_details()[0]["dtype"] is np.int8


def test_sizes_in_the_ledger_are_those_of_the_files(demo: Demo) -> None:
    for record in demo.document["compressions"]:
        for row, artefact in zip(record["rows"], record["artefacts"], strict=True):
            content = (Path(artefact["folder"]) / "model.tflite").read_bytes()
            assert row["raw_bytes"] == len(content)
            assert row["gzip_bytes"] == len(gzip.compress(content, 9, mtime=0))
            assert row["artefact_sha256"] == hashlib.sha256(content).hexdigest()


def test_a_manifest_is_read_back_as_the_artefact_it_describes(demo: Demo) -> None:
    artefact = open_artefact(demo.tflite(1, -1).parent)
    assert artefact.stage == "quantize" and all(proof.holds for proof in artefact.proofs)
    assert {proof.claim.stage for proof in artefact.proofs} == {"prune", "cluster", "quantize"}


def test_the_same_recipe_again_trains_nothing(demo: Demo, edgepipe: Command) -> None:
    again = edgepipe("compress", demo.results / "demo" / "small.yaml", "--json")
    assert again.code == 0, again.err
    assert all(row["cached"] for row in again.json["rows"])
    assert "TensorFlow" not in again.err
    first = demo.document["compressions"][1]
    assert [row["correct"] for row in again.json["rows"]] == [row["correct"] for row in first["rows"]]
    assert again.json["seconds"] * 5 < first["seconds"]


def test_a_missed_gate_is_exit_1_and_keeps_the_artefact(demo: Demo, edgepipe: Command) -> None:
    recipe = (demo.results / "demo" / "ptq.yaml").read_text().replace("size_bytes: 98304", "size_bytes: 1000")
    shutil.copy(demo.model, edgepipe.folder)
    (edgepipe.folder / "strict.yaml").write_text(recipe)
    done = edgepipe("compress", "strict.yaml")
    assert done.code == 1
    assert "size_bytes" in done.err and "Traceback" not in done.err
    assert "quantize int8" in done.out


def test_stages_one_at_a_time_go_on_from_each_other(demo: Demo, edgepipe: Command) -> None:
    """A .keras that edgepipe wrote carries its promises: clustering keeps the zeros of the pruning before."""
    artefact = Path(demo.document["compressions"][1]["artefacts"][3]["folder"])
    done = edgepipe("cluster", artefact / "model.keras", "--data", "digits", "--clusters", "8", "--epochs", "1", "--json")
    assert done.code == 0, done.err
    proofs = done.json["artefacts"][-1]["proofs"]
    assert {(proof["claim"]["stage"], proof["holds"]) for proof in proofs} == {("prune", True), ("cluster", True)}


def test_data_in_another_scale_is_noticed_before_any_training(demo: Demo, edgepipe: Command) -> None:
    np = pytest.importorskip("numpy")
    from edgepipe.pipeline.data import load

    digits = load("digits", base=Path())
    np.savez(edgepipe.folder / "raw.npz", x=np.asarray(next(iter(digits.inputs.values()))) * np.float32(255), y=digits.labels)
    done = edgepipe("prune", demo.model, "--data", "raw.npz")
    assert done.code == 2
    assert "scale" in done.err and "divided by 255" in done.err
    assert "train (prune)" not in done.err


def test_ctrl_c_and_sigterm_end_at_once_with_their_codes_and_keep_finished_stages(demo: Demo, cache: Path, tmp_path: Path) -> None:
    text = (demo.results / "demo" / "small.yaml").read_text().replace("epochs: 20", "epochs: 500").replace("0.8", "0.7")
    shutil.copy(demo.model, tmp_path)
    (tmp_path / "long.yaml").write_text(text)
    before = {path.name for path in cache.iterdir()}
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        with subprocess.Popen([*EDGEPIPE, "compress", "long.yaml"], cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            for line in process.stderr:
                if line.startswith("start TensorFlow"):
                    break
            time.sleep(2)
            process.send_signal(number)
            rest = process.stderr.read()
            assert process.wait(timeout=30) == code, rest
            assert "Traceback" not in rest
            assert "edgepipe: stopped by" in rest
    after = {path.name for path in cache.iterdir()}
    assert before <= after and not [name for name in after if name.startswith(".")], "no half-written stage"


def test_a_full_disk_is_one_clear_error_and_loses_nothing(demo: Demo, edgepipe: Command) -> None:
    """A file-size limit stands in for a full disk: every write beyond it fails, as ENOSPC does."""
    shutil.copy(demo.model, edgepipe.folder)
    shutil.copy(demo.results / "demo" / "ptq.yaml", edgepipe.folder)
    before = sorted(path.name for path in (demo.results / "artefacts").iterdir())
    limited = "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    limited += "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000)); from edgepipe.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", limited, "compress", "ptq.yaml"],
        cwd=edgepipe.folder,
        env={**os.environ, "XDG_CACHE_HOME": str(edgepipe.folder / "cache"), "EDGEPIPE_RESULTS": str(edgepipe.folder / "results")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 4, done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in (demo.results / "artefacts").iterdir()) == before
    assert not list((edgepipe.folder / "cache" / "edgepipe" / "stages").glob("*"))


def test_json_is_pure_and_without_colour(demo: Demo, edgepipe: Command) -> None:
    done = edgepipe("compress", demo.results / "demo" / "ptq.yaml", "--json", "--quiet")
    assert json.loads(done.out)["recipe"] == "ptq"
    assert "\x1b[" not in done.out + done.err
