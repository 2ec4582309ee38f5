"""What was published with a trace is what its import says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import published_energy
from edgepipe.errors import DataError, UsageError
from edgepipe.workflows.power_import import power_import

WINDOW = 11_000  # samples of 1 ms


def trials(folder: Path, **change: Any) -> Path:
    """Write five trials of 10 mW, 20 inferences in 11 s each."""
    trial = {
        "infer": {"iterations": change.get("inferences", 20)},
        "power": {"samples": [1e-5] * (WINDOW + 100), "timestamps": [["00", 50], ["01", 50 + change.get("window", WINDOW)]]},
    }
    path = folder / "trials.json"
    path.write_text(json.dumps([trial] * change.get("count", 5)))
    return path


@pytest.fixture
def published() -> Path:
    if not published_energy.TRACES.is_dir():
        pytest.skip(f"needs {published_energy.TRACES} (../shared/data beside the checkout)")
    return published_energy.TRACES


def test_published_energies_are_found_again(published: Path) -> None:
    found = published_energy.measure(published)
    assert len(found["v0.5"]["windows_uj"]) == 5
    assert found["v0.5"]["furthest_apart_percent"] < 0.1
    assert found["v1.3"]["median_uj"] == {"published": "1430.6681", "found": "1430.6681"}
    assert found["v1.3"]["windows_to_every_digit"] == 5


def test_a_pair_of_files_is_one_trace(published: Path) -> None:
    files = [published / "v05_kws.json", published / "v05_kws.bin", published / "v13_L4R5_kws.json"]
    imported = power_import(files, inferences=100)
    assert [(item.name, item.version) for item in imported] == [("v05_kws", "v0.5"), ("v13_L4R5_kws", "v1.3")]


def test_an_older_trace_needs_to_be_told_how_many_inferences_it_has(published: Path) -> None:
    with pytest.raises(UsageError, match="does not say how many inferences"):
        power_import([published / "v05_kws.bin"])


def test_an_import_claims_no_more_than_the_file_says(tmp_path: Path) -> None:
    (imported,) = power_import([trials(tmp_path)])
    energy = imported.energy
    assert energy.energy_uj == pytest.approx(10e3 * 11 / 20)
    assert energy.power_mw == pytest.approx(10)
    assert energy.uncertainty_uj_k2 is None
    assert energy.dynamic_uj is None
    assert energy.counters.dropped is None
    assert energy.sync_class == "S2"
    assert energy.trace is not None
    assert len(energy.trace.power_mw) * energy.trace.period_s == pytest.approx(5 * (WINDOW + 100) / 1000)


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("4 windows were published", {"count": 4}),
        ("window 5 is 9.999 s long", {"window": 9_999}),
        ("window 1 has 9 inferences", {"inferences": 9}),
    ],
)
def test_what_breaks_the_rules_gives_no_energy(tmp_path: Path, reason: str, change: dict[str, Any]) -> None:
    (imported,) = power_import([trials(tmp_path, **change)])
    assert imported.energy.energy_uj is None
    assert reason in imported.energy.reason
    assert imported.energy.windows == ()


def test_one_bad_file_is_an_error(tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text("[1]")
    with pytest.raises(DataError):
        power_import([trials(tmp_path), bad])
