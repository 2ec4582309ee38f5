"""docs/power.md as it stands: its commands with the meter that needs no sensor, and every meter that it names."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from commandline import Command

from benchmarks.synthetic import convolution
from edgepipe.devices.inventory import read_inventory
from edgepipe.devices.power import METERS
from edgepipe.devices.power.meter import ErrorTerms, MeterFacts, Samples
from edgepipe.devices.power.trace_file import TraceWriter

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "power.md").read_text(encoding="utf-8")
TO_START = PAGE.split("\n## ")[0]


def blocks(kind: str, text: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)


def test_the_page_goes_from_nothing_to_a_report_with_the_simulated_meter(edgepipe: Command) -> None:
    (edgepipe.folder / "farm_inventory.yaml").write_text(blocks("yaml", TO_START)[0])
    (edgepipe.folder / "model.tflite").write_bytes(convolution(side=8, channels=4))
    places = {"EDGEPIPE_RESULTS": str(edgepipe.folder / "results")}
    said = [edgepipe(*shlex.split(line)[1:], **places) for line in blocks("sh", TO_START)[0].splitlines()]
    assert [done.err for done in said if done.code] == []
    judged, measured, _ = (" ".join(done.out.split()) for done in said)
    assert "simulated: there is no sensor" in judged
    assert re.search(r"energy simulated, no sensor measured this: [\d.]+ ± [\d.]+ .J an inference", measured)
    page = next((edgepipe.folder / "results" / "reports").glob("*.html")).read_text()
    assert "Energy of an inference" in page and 'class="window"' in page


def test_a_window_is_summed_up_anew_as_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = MeterFacts(
        name="x", serial="", period_s=0.01, jitter_s=0.0, errors=ErrorTerms(gain=0, volt=0, offset_a=0, source="none")
    )
    times, amps = 1000 + np.arange(1, 401) * 0.01, np.linspace(0.0, 0.5, 400)
    recorded = TraceWriter(tmp_path / "run.trace", facts, started_utc="")
    recorded.write(Samples(time_s=times, volts=np.full(400, 4.0), amps=amps))
    recorded.close()
    energy = {"trace": {"file_start_s": 1000.505}, "windows": [{"start_s": 0.5, "seconds": 2.0}]}
    names: dict[str, object] = {"energy": energy}
    monkeypatch.chdir(tmp_path)
    exec(blocks("python", PAGE)[0], names)  # the page's own words
    milliseconds = np.arange(1005, 3005)
    sample = np.ceil((milliseconds + 0.5) / 10).astype(int) - 1  # each counts for the time before it
    assert names["joules"] == pytest.approx(float(np.sum(4 * amps[sample]) * 1e-3), rel=1e-6)


def test_every_inventory_of_the_page_is_right(tmp_path: Path) -> None:
    *whole, _ = blocks("yaml", PAGE)  # the entries of other meters stand alone: tests/unit/devices/test_inventory.py
    assert len(whole) == 2
    for number, text in enumerate(whole):
        path = tmp_path / f"{number}.yaml"
        path.write_text(text)
        assert read_inventory(path).devices["pi4"].power is not None


def test_every_meter_stands_in_the_table() -> None:
    table = PAGE.split("\n## Other meters")[1].split("\n## ")[0]
    told = {name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert told == {"meter", *METERS}
