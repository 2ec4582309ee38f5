"""The JSON Schema says what the reader says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from edgepipe.devices.inventory import read_inventory
from edgepipe.devices.inventory_schema import inventory_schema
from edgepipe.documents import read_yaml

ROOT = Path(__file__).parents[3]
LOCAL = {"board": "linux", "target": "host", "transport": {"kind": "local"}}


def farm(**devices: Any) -> dict[str, Any]:
    return {"schema": 1, "devices": devices}


def test_it_accepts_the_sample_with_its_commented_boards(tmp_path: Path) -> None:
    lines = (ROOT / "farm_inventory.yaml").read_text().splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("  # pi4:"))
    path = tmp_path / "farm_inventory.yaml"
    path.write_text("\n".join(lines[:at] + [line.replace("  # ", "  ", 1).rstrip("#") for line in lines[at:]]))
    assert len(read_inventory(path).devices) >= 4
    jsonschema.validate(read_yaml(path), inventory_schema())


@pytest.mark.parametrize(
    "document",
    [
        {"schema": 1},
        {"schema": 2, "devices": {"a": LOCAL}},
        farm(),
        farm(**{"a b": LOCAL}),
        farm(a={**LOCAL, "lables": {}}),
        farm(a={**LOCAL, "name": "b"}),
        farm(a={**LOCAL, "transport": {}}),
        farm(a={**LOCAL, "transport": {"kind": "ssh", "host": "pi", "user": "me"}}),
        farm(a={**LOCAL, "transport": {"kind": "qemu", "machine": "m", "python": "p"}}),
        farm(a={**LOCAL, "transport": {"kind": "serial", "baud": 9600}}),
        farm(a={**LOCAL, "transport": {"kind": "serial", "by_id": "usb-1", "url": "socket://lab:4000"}}),
        farm(a={**LOCAL, "transport": {"kind": "serial", "url": "http://lab:4000"}}),
        farm(a={**LOCAL, "board": "toaster"}),
        farm(a={**LOCAL, "power": {"meter": "hwmonn", "chip": "ina226"}}),
        farm(a={**LOCAL, "power": {"chip": "ina226"}}),
        farm(a={**LOCAL, "power": {"meter": "hwmon", "chip": "ina226", "shunt": 0.1}}),
    ],
)
def test_it_refuses_what_the_reader_refuses(document: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, inventory_schema())


def test_it_says_nothing_of_the_machine_that_made_it() -> None:
    assert "/bin/python" not in str(inventory_schema())
