"""docs/power.md as it stands: its commands with the meter that needs no sensor, and every meter that it names."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from commandline import Command

from benchmarks.synthetic import convolution
from edgepipe.devices.inventory import read_inventory
from edgepipe.devices.power import METERS

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


def test_every_inventory_of_the_page_is_right(tmp_path: Path) -> None:
    for number, text in enumerate(blocks("yaml", PAGE)):
        path = tmp_path / f"{number}.yaml"
        path.write_text(text)
        assert "pi4" in read_inventory(path).devices


def test_every_meter_stands_in_the_table() -> None:
    table = PAGE.split("\n## Other meters")[1].split("\n## ")[0]
    told = {name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert told == {"meter", *METERS}
