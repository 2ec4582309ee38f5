"""What the doctor knows by heart of TF-MOT, the bridge and the converter, held against the installed ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgepipe.diagnosis import Examination, Severity, Verdict
from edgepipe.pipeline.inspect.doctor import examine
from edgepipe.pipeline.inspect.doctor.techniques import QAT_LAYERS, SPELT_OUT

PROJECT = Path(__file__).resolve().parents[3]
GOLDEN = json.loads((PROJECT / "benchmarks" / "results" / "layer_table.json").read_text())["figures"]["table"]
PROGRAM = """
import json, sys
from pathlib import Path
import tensorflow, tensorflow_model_optimization
from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import default_8bit_quantize_registry as registry
from benchmarks.layer_table import LAYERS
from edgepipe.pipeline import keras_twins
for number, make in enumerate(LAYERS.values()):
    make(None).save(Path(sys.argv[1]) / f"{number}.keras")
known = registry.Default8BitQuantizeRegistry()._layer_quantize_map
print(json.dumps({"names": list(LAYERS), "qat": [kind.__name__ for kind in known], "spelt_out": list(keras_twins.activations())}))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What TF-MOT and the bridge say of themselves, and a folder with every model of the layer table."""
    folder = tmp_path_factory.mktemp("layers")
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)], env=environment, capture_output=True, text=True, timeout=300, check=True
    )
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    examined = {name: examine(folder / f"{number}.keras", target="mcu") for number, name in enumerate(said["names"])}
    return {**said, "examined": examined}


def test_the_layers_that_tf_mot_trains_are_those_of_its_registry(installed: dict[str, Any]) -> None:
    assert set(installed["qat"]) == QAT_LAYERS


def test_the_activations_that_the_bridge_spells_out_are_known(installed: dict[str, Any]) -> None:
    assert set(installed["spelt_out"]) == SPELT_OUT


@pytest.mark.parametrize("name", GOLDEN)
def test_the_doctor_says_of_each_layer_what_then_really_happens(installed: dict[str, Any], name: str) -> None:
    found: Examination = installed["examined"][name]
    row = GOLDEN[name]
    assert found.fits == (row["float_tensors"] == 0 and not row["problems_for_mcu"]), found.findings
    assert [each.code for each in found.findings if each.code == "EP104"] == []
    skipped = {each.kind for each in found.layers if each.treatments["qat"].verdict is Verdict.SKIPPED and each.ops}
    assert skipped == set(row["skipped"]) - {"Sequential", "Functional"} - rewritten(found)


def rewritten(found: Examination) -> set[str]:
    return {each.kind for each in found.layers if each.treatments["qat"].verdict is Verdict.REWRITTEN}


def test_what_tf_mot_refuses_to_prune_is_not_promised(installed: dict[str, Any]) -> None:
    refused = [name for name, row in GOLDEN.items() if row["prune_by_tfmot"] == "refused"]
    assert refused
    for name in refused:
        about = [each for each in installed["examined"][name].layers if each.kind == name.split()[0]]
        assert [each.treatments["prune"].verdict for each in about] in ([Verdict.SKIPPED], [Verdict.NOTHING]), name


def test_every_error_names_its_layer(installed: dict[str, Any]) -> None:
    for found in installed["examined"].values():
        assert all(each.layer for each in found.findings if each.severity is Severity.ERROR)
