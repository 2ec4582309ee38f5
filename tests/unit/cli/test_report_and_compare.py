"""`edgepipe report` and `edgepipe compare`, as they are typed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import pytest

from edgepipe.cli import main_inner
from edgepipe.errors import NotComparable, StorageError, UsageError
from edgepipe.records import RunRecord
from edgepipe.reports.store import Store, read_record

RECORDS = Path(__file__).parents[2] / "golden" / "records"


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty results folder that the commands use."""
    monkeypatch.setenv("EDGEPIPE_RESULTS", str(tmp_path / "results"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "results"


@pytest.fixture
def filled(results: Path) -> Path:
    store = Store()
    for path in RECORDS.glob("*.json"):
        store.add(read_record(path))
    return results


def golden(name: str) -> RunRecord:
    record = read_record(RECORDS / f"run-{name}.json")
    assert isinstance(record, RunRecord)
    return record


def test_nothing_measured_yet_says_where_to_start_and_leaves_nothing(results: Path) -> None:
    with pytest.raises(UsageError, match="nothing has been measured yet") as caught:
        main_inner(["report"])
    assert "edgepipe demo" in caught.value.todo
    assert not results.exists()


def test_report_prints_the_tables_and_the_path_of_the_page(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main_inner(["report"]) == 0
    shown = capsys.readouterr().out
    page = Path(shown.splitlines()[-1])
    assert page.parent == filled / "reports"
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "keyword spotting, small for mcu" in shown


def test_report_quiet_prints_the_path_only(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main_inner(["report", "--quiet", "--to", "my.html"]) == 0
    assert capsys.readouterr().out.splitlines() == [str(Path("my.html").absolute())]


def test_report_json_is_one_document(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main_inner(["report", "--json", "--csv", "b.csv", "--to", "b.md"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert Path(document["page"]).exists()
    assert len(document["compressions"]) == 1
    assert len(document["runs"]) == 7
    assert Path("b.csv").read_text().startswith("run_id,")
    assert Path("b.md").read_text().startswith("**keyword spotting, small**")


def test_a_format_that_is_unknown_is_a_usage_error_before_anything_is_written(filled: Path) -> None:
    with pytest.raises(UsageError, match="no format") as caught:
        main_inner(["report", "--to", "page.html", "--to", "page.pdf"])
    assert ".html or .md" in caught.value.todo
    assert not Path("page.html").exists()


def test_one_measurement_alone_has_a_page(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = golden("pi4-small")
    assert main_inner(["report", "--run", run.id[:8], "--to", "one.html"]) == 0
    text = Path("one.html").read_text(encoding="utf-8")
    assert "pi4" in text
    assert "keyword spotting" not in text


def test_a_recipe_alone_brings_the_measurements_of_its_files(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (recipe,) = Store().compressions()
    stranger = dataclasses.replace(golden("local-float"), id="f" * 32, artefact_sha256="e" * 64, artefact_name="stranger")
    Store().add(stranger)
    assert main_inner(["report", "--run", recipe.id, "--json"]) == 0
    names = {run["artefact_name"] for run in json.loads(capsys.readouterr().out)["runs"]}
    assert names == {"kws float", "kws dynamic", "kws prune+cluster+qat"}


def test_only_the_last_measurement_of_a_cell_is_shown(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    again = dataclasses.replace(golden("local-float"), id="f" * 32, started_utc="2026-11-23T00:00:00Z")
    Store().add(again)
    assert main_inner(["report", "--json"]) == 0
    shown = [run["id"] for run in json.loads(capsys.readouterr().out)["runs"]]
    assert again.id in shown
    assert golden("local-float").id not in shown


def test_a_page_that_cannot_be_written_is_a_storage_error(filled: Path) -> None:
    Path("file").write_text("in the way")
    with pytest.raises(StorageError):
        main_inner(["report", "--to", "file/page.html"])
    assert Path("file").read_text() == "in the way"


def test_compare_by_id_by_file_and_by_hash_is_the_same(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = golden("local-float"), golden("local-small")
    answers = set()
    files = (str(RECORDS / "run-local-float.json"), str(RECORDS / "run-local-small.json"))
    for names in ((old.id[:6], new.id[:6]), files, (old.artefact_sha256[:10], new.id)):
        assert main_inner(["compare", *names]) == 0
        answers.add(capsys.readouterr().out)
    assert len(answers) == 1


def test_a_tflite_file_stands_for_its_youngest_measurement(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("model.tflite").write_bytes(b"the model")
    sha256 = hashlib.sha256(b"the model").hexdigest()
    for number, when in enumerate(("2026-11-23", "2026-11-24")):
        record = dataclasses.replace(
            golden("local-float"), id=f"{number:032x}", artefact_sha256=sha256, started_utc=f"{when}T00:00:00Z"
        )
        Store().add(dataclasses.replace(record, model_bytes=number))
    assert main_inner(["compare", "model.tflite", f"{1:032x}", "--json"]) == 3
    sizes = json.loads(capsys.readouterr().out)["quantities"][0]
    assert (sizes["a"], sizes["b"]) == ("1 B", "1 B")


def test_worse_ends_with_one(filled: Path) -> None:
    larger = dataclasses.replace(golden("local-float"), id="f" * 32, model_bytes=999_999)
    Store().add(larger)
    assert main_inner(["compare", golden("local-float").id, larger.id]) == 1


def test_a_control_can_be_named(filled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    control = golden("local-dynamic").id[:8]
    names = ["compare", golden("local-float").id, golden("local-small").id, "--control", control, control, "--json"]
    assert main_inner(names) == 0
    assert "control" in capsys.readouterr().out


def test_different_ways_of_measuring_are_not_compared(filled: Path) -> None:
    with pytest.raises(NotComparable, match="device"):
        main_inner(["compare", golden("local-small").id, golden("pi4-small").id])


@pytest.mark.parametrize("name", ["", "nothing", "%", "none.json", "none.tflite", "../x"])
def test_a_name_that_is_nothing_is_a_usage_error(filled: Path, name: str) -> None:
    with pytest.raises(UsageError):
        main_inner(["compare", name, "latest"])


def test_latest_without_results_says_where_to_start(results: Path) -> None:
    with pytest.raises(UsageError, match="nothing has been measured yet"):
        main_inner(["compare", "latest", "latest"])
