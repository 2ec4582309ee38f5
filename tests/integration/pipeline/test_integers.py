"""Integer files of one small model in every form: made by TensorFlow, proved on the file, run by LiteRT and by TFLite Micro."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgepipe.devices.protocols import RunOptions
from edgepipe.documents import parse
from edgepipe.errors import RecipeError, UnsupportedModel
from edgepipe.events import Event, StepStarted, silent
from edgepipe.facts import CalibrationFacts, Claim, ModelFacts
from edgepipe.pipeline.data import Dataset
from edgepipe.pipeline.export.arena import has_tflm
from edgepipe.pipeline.inspect.claims import prove
from edgepipe.pipeline.inspect.flatbuffer import read_facts
from edgepipe.pipeline.worker import Worker
from edgepipe.workflows.evaluate import evaluate

SAMPLES = 64
TRAIN = {"epochs": 1, "batch_size": 32, "learning_rate": 0.01, "loss": "sparse_categorical_crossentropy"}


@dataclass(frozen=True, kw_only=True)
class Made:
    """One file with its facts, its broken promises and the steps that were taken for it."""

    path: Path
    facts: ModelFacts
    broken: tuple[str, ...]
    calibration: CalibrationFacts | None
    skipped: tuple[str, ...]
    steps: tuple[str, ...]


@dataclass(kw_only=True)
class Bench:
    """A worker with a model in it and a cache of its own."""

    worker: Worker
    root: Path
    heard: list[Event]
    layers: dict[str, list[str]] = field(default_factory=dict)
    count: int = 0

    def load(self, name: str, model: Path) -> None:
        """Load a model as its float artefact."""
        (self.root / name).mkdir()
        done = self.worker.request(do="load", source=str(model), base="/", to=str(self.root / name), data={})
        self.layers[name] = done["layers"]

    def quantize(self, name: str, data: Path, **parameters: Any) -> Made:
        """Run a quantize stage and hold the file against its claims."""
        self.count += 1
        to = self.root / f"made{self.count}"
        to.mkdir()
        began = len(self.heard)
        done = self.worker.request(
            do="stage",
            stage="quantize",
            parameters=parameters,
            source=str(self.root / name),
            to=str(to),
            data=dict.fromkeys(("train", "validation", "calibration"), str(data)),
            train=TRAIN,
            base="/",
            seed=0,
            claims=[],
            cache=str(self.root / "cache"),
        )
        facts = read_facts((to / "model.tflite").read_bytes(), layers=self.layers[name])
        proofs = prove([parse(Claim, claim, source="a claim") for claim in done["claims"]], facts, stage="quantize")
        found = done["calibration"]
        return Made(
            path=to / "model.tflite",
            facts=facts,
            broken=tuple(failing for proof in proofs for failing in (*proof.failing, *([] if proof.holds else ["broken"]))),
            calibration=parse(CalibrationFacts, found, source="calibration") if found else None,
            skipped=tuple(done["skipped_layers"]),
            steps=tuple(event.step for event in self.heard[began:] if isinstance(event, StepStarted)),
        )


@pytest.fixture(scope="module")
def bench(zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    heard: list[Event] = []
    with Worker(heard.append) as worker:
        started = Bench(worker=worker, root=tmp_path_factory.mktemp("integers"), heard=heard)
        for name in ("keras3", "sequential", "two_inputs"):
            started.load(name, zoo / f"{name}.keras")
        yield started


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    x = np.random.default_rng(0).random((SAMPLES, 8, 8, 1), np.float32)
    return saved(tmp_path_factory.mktemp("pictures"), {"pixels": x})


def saved(folder: Path, inputs: dict[str, Any]) -> Path:
    labels = np.arange(len(next(iter(inputs.values())))) % 3
    Dataset(inputs=inputs, labels=labels, source="made here").save(folder / "data")
    return folder / "data"


def floats(made: Made) -> set[str]:
    return {op.layer for op in made.facts.ops if not op.in_integers and op.op not in ("QUANTIZE", "DEQUANTIZE")}


@pytest.mark.parametrize("runtime", ["litert", "tflm"])
def test_int16x8_answers_as_the_float_model_does(bench: Bench, pictures: Path, runtime: str) -> None:
    if runtime == "tflm" and not has_tflm():
        pytest.skip("needs TFLite Micro: pip install 'edgepipe[micro]' on x86-64 Linux")
    made = bench.quantize("keras3", pictures, mode="int16x8")
    assert made.broken == ()
    assert [(port.dtype, port.zero_point) for port in (*made.facts.inputs, *made.facts.outputs)] == [("int16", 0)] * 2

    given = Dataset.open(pictures)
    alike = []
    for path in (bench.root / "keras3" / "model.tflite", made.path):
        ran = evaluate(path, given, options=RunOptions(runtime=runtime if path == made.path else "litert"), emit=silent)
        assert ran.accuracy is not None
        assert ran.accuracy.correct is not None
        alike.append(ran.accuracy.correct)
    assert np.mean(np.equal(*alike)) >= 0.97


def test_exactly_the_chosen_layers_stay_in_float(bench: Bench, pictures: Path) -> None:
    made = bench.quantize("keras3", pictures, mode="int8", float_layers=["conv", "dig*"])

    assert made.broken == ()
    assert floats(made) == {"conv", "digit"}
    assert {port.dtype for port in (*made.facts.inputs, *made.facts.outputs)} == {"int8"}


def test_layers_left_in_float_are_neither_trained_with_rounding_nor_quantised(bench: Bench, tmp_path: Path) -> None:
    x = np.random.default_rng(0).random((SAMPLES, 4), np.float32)
    last = bench.layers["sequential"][-1]
    made = bench.quantize("sequential", saved(tmp_path, {"x": x}), mode="qat", float_layers=[last], epochs=1)

    assert made.broken == ()
    assert floats(made) == {last}


def test_a_misspelt_layer_is_told_with_the_nearest(bench: Bench, pictures: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        bench.quantize("keras3", pictures, float_layers=["digits"])
    assert caught.value.problems == ('"digits". Perhaps you meant "digit"?',)


def test_a_layer_that_was_merged_into_another_says_so(bench: Bench, pictures: Path) -> None:
    with pytest.raises(UnsupportedModel, match="no operator of the file is theirs alone"):
        bench.quantize("keras3", pictures, float_layers=["norm"])


@pytest.mark.parametrize("per_channel", [True, False])
def test_weights_have_a_scale_for_each_channel_or_one_for_all(bench: Bench, pictures: Path, per_channel: bool) -> None:
    made = bench.quantize("keras3", pictures, mode="int8", per_channel=per_channel)

    assert made.broken == ()
    scales = {weight.op: weight.scales for weight in made.facts.weights if weight.layer in ("conv", "digit")}
    assert scales == ({"CONV_2D": 8, "FULLY_CONNECTED": 10} if per_channel else {"CONV_2D": 1, "FULLY_CONNECTED": 1})


def test_the_same_model_on_the_same_data_is_calibrated_once(bench: Bench, tmp_path: Path) -> None:
    x = np.random.default_rng(7).random((SAMPLES, 8, 8, 1), np.float32)
    data = saved(tmp_path, {"pixels": x})
    first = bench.quantize("keras3", data, mode="int8")
    others = [
        bench.quantize("keras3", data, **how) for how in ({"mode": "int16x8"}, {"float_layers": ["conv"]}, {"per_channel": False})
    ]

    assert "watch the ranges" in first.steps
    assert {"calibrate", "watch the ranges"} & {step for made in others for step in made.steps} == set()
    assert {made.calibration for made in others} == {first.calibration}


def test_inputs_are_bound_by_name_whatever_the_order_of_the_arrays(bench: Bench, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    left, right = random.random((SAMPLES, 4), np.float32), 100 * random.random((SAMPLES, 4), np.float32)
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
    one = bench.quantize("two_inputs", saved(tmp_path / "one", {"left": left, "right": right}))
    other = bench.quantize("two_inputs", saved(tmp_path / "other", {"right": right, "left": left}))
    swapped = bench.quantize("two_inputs", saved(tmp_path, {"left": right, "right": left}))

    assert one.facts.sha256 == other.facts.sha256
    assert one.facts.sha256 != swapped.facts.sha256


def test_a_loud_sample_is_found_by_its_number(bench: Bench, tmp_path: Path) -> None:
    x = np.random.default_rng(0).random((SAMPLES, 8, 8, 1), np.float32)
    x[29] *= 40
    made = bench.quantize("keras3", saved(tmp_path, {"pixels": x}), mode="int8")

    assert made.calibration is not None
    assert not made.calibration.converged
    assert {lone.sample for lone in made.calibration.lone_samples} == {29}
    assert {lone.label for lone in made.calibration.lone_samples} == {29 % 3}


class TestAiEdgeQuantizer:
    """The other back end, held to the same claims."""

    @pytest.fixture(autouse=True)
    def installed(self) -> None:
        pytest.importorskip("ai_edge_quantizer", reason="needs AI Edge Quantizer: pip install 'edgepipe[aeq]'")

    @pytest.mark.parametrize("mode", ["int8", "int16x8", "dynamic", "int4"])
    def test_its_files_keep_the_same_claims(self, bench: Bench, pictures: Path, mode: str) -> None:
        made = bench.quantize("keras3", pictures, mode=mode, backend="aeq")

        assert made.broken == ()
        assert (made.calibration is None) == (mode in ("dynamic", "int4"))
        assert made.skipped == (("separable",) if mode == "int4" else ())  # its depthwise half has no 4-bit kernel

    @pytest.mark.parametrize("mode", ["int8", "int16x8", "dynamic", "int4"])
    def test_it_leaves_the_chosen_layers_alone(self, bench: Bench, pictures: Path, mode: str) -> None:
        made = bench.quantize("keras3", pictures, mode=mode, backend="aeq", float_layers=["digit"])

        assert made.broken == ()
        stored = {weight.layer: weight.dtype for weight in made.facts.weights}
        assert (stored["digit"], stored["conv"]) == ("float32", "int4" if mode == "int4" else "int8")

    def test_its_4_bit_weights_run_and_are_smaller_than_8_bit_ones(self, bench: Bench, pictures: Path) -> None:
        four, eight = (bench.quantize("keras3", pictures, mode=mode, backend="aeq") for mode in ("int4", "dynamic"))

        assert evaluate(four.path, Dataset.open(pictures), emit=silent).accuracy is not None
        stored = [sum(weight.size_bytes for weight in made.facts.weights if weight.layer == "digit") for made in (four, eight)]
        assert stored[0] == stored[1] / 2

    def test_it_calibrates_once_too(self, bench: Bench, tmp_path: Path) -> None:
        x = np.random.default_rng(8).random((SAMPLES, 8, 8, 1), np.float32)
        data = saved(tmp_path, {"pixels": x})
        first, second = (bench.quantize("keras3", data, mode="int8", backend="aeq") for _ in range(2))

        assert "calibrate" in first.steps
        assert "calibrate" not in second.steps
        assert first.facts.sha256 == second.facts.sha256
