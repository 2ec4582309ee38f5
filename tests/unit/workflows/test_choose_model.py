"""Which model is meant for a board when none is named: the last one made that fits its target."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.synthetic import convolution
from edgepipe.devices.inventory import BUILT_IN, DeviceEntry, FakeLink
from edgepipe.errors import UsageError
from edgepipe.pipeline.inspect.flatbuffer import read_facts
from edgepipe.places import results_dir
from edgepipe.records import Artefact, CompressionRecord
from edgepipe.reports.store import Store
from edgepipe.workflows.choose_model import choose

LOCAL = BUILT_IN.devices["local"]
CHIP = DeviceEntry(name="chip", board="fake", target="mcu", transport=FakeLink())
FLOAT, OTHER_FLOAT = (convolution(side=4, channels=2, seed=seed) for seed in range(2))


@pytest.fixture(autouse=True)
def own_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEPIPE_RESULTS", str(tmp_path / "results"))


def test_a_folder_that_is_no_bundle_is_a_wrong_argument(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    with pytest.raises(UsageError, match="models is a folder, and no bundle"):
        choose(str(tmp_path / "models"), LOCAL)


def artefact(content: bytes, stage: str) -> Artefact:
    facts = read_facts(content)
    folder = results_dir() / "artefacts" / facts.sha256
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.tflite").write_bytes(content)
    return Artefact(
        sha256=facts.sha256,
        folder=str(folder),
        stage=stage,
        parent=None,
        parameters={},
        versions={},
        facts=facts,
        proofs=(),
        seconds=0.0,
    )


def keep(number: int, artefacts: Sequence[Artefact], recipe: str = "kws", at: str = "2026-01-01T00:00:00+00:00") -> None:
    record = CompressionRecord(
        id=f"{number:032x}",
        started_utc=at,
        recipe=recipe,
        target="host",
        metric="accuracy",
        test_samples=0,
        rows=(),
        gates=(),
        artefacts=tuple(artefacts),
        seconds=1.0,
    )
    Store().add(record)


def test_the_last_artefact_of_the_youngest_run_is_taken() -> None:
    keep(1, [artefact(FLOAT, "load"), artefact(OTHER_FLOAT, "prune")])
    choice = choose(None, LOCAL)
    assert (choice.content, choice.name) == (OTHER_FLOAT, "kws-prune.tflite")
    keep(2, [artefact(FLOAT, "load")], at="2026-01-02T00:00:00+00:00")
    assert choose(None, LOCAL).content == FLOAT


def test_one_that_does_not_fit_the_board_is_passed_over(kws: bytes) -> None:
    keep(1, [artefact(kws, "quantize"), artefact(FLOAT, "cluster")])
    assert choose(None, LOCAL).content == FLOAT
    assert choose(None, CHIP).content == kws


def test_a_board_that_nothing_fits_is_told_why() -> None:
    keep(1, [artefact(FLOAT, "load")])
    with pytest.raises(UsageError, match="fits chip") as raised:
        choose(None, CHIP)
    assert any("float32" in problem for problem in raised.value.problems)


def test_runs_of_the_same_moment_leave_the_choice_to_the_user() -> None:
    keep(1, [artefact(FLOAT, "load")])
    keep(2, [artefact(OTHER_FLOAT, "load")], recipe="other")
    with pytest.raises(UsageError, match="2 models may be meant") as raised:
        choose(None, LOCAL)
    assert len(raised.value.problems) == 2


def test_a_recipe_means_the_last_of_its_own_runs(tmp_path: Path) -> None:
    keep(1, [artefact(FLOAT, "load")], recipe="kws")
    keep(2, [artefact(OTHER_FLOAT, "load")], recipe="other", at="2026-01-02T00:00:00+00:00")
    recipe = tmp_path / "kws.yaml"
    recipe.write_text("schema: 1\nmodel: {path: m.keras}\nstages: [{convert: {}}]\n")
    assert choose(str(recipe), LOCAL).content == FLOAT
    with pytest.raises(UsageError, match="has not been run yet"):
        choose(str(recipe.rename(tmp_path / "never.yaml")), LOCAL)


@pytest.fixture
def kws() -> bytes:
    path = Path(__file__).parents[4] / "shared" / "data" / "models" / "kws_ref_model.tflite"
    if not path.exists():
        pytest.skip("the keyword-spotting model is not at ../shared/data/models")
    return path.read_bytes()
