"""The JSON Schema of farm_inventory.yaml, for editors: that of its types, with each kind of transport told by its `kind`."""

from __future__ import annotations

from typing import Any

from edgepipe.devices.flashing import TOOLS
from edgepipe.devices.inventory import LINKS, NAME, Defaults, DeviceEntry, SerialLink
from edgepipe.devices.power import METERS
from edgepipe.documents import json_schema

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def inventory_schema() -> dict[str, Any]:
    """Return a schema that accepts what `read_inventory` can read."""
    device = json_schema(DeviceEntry)
    definitions = device.pop("$defs", {})
    del device["properties"]["name"]  # what stands before the colon
    device["required"].remove("name")
    for kind, link in LINKS.items():
        _told_by("kind", definitions[link.__name__], kind)
    for name, tool in TOOLS.items():
        _told_by("tool", definitions[tool.__name__], name)
    for name, meter in METERS.items():
        _told_by("meter", definitions[meter.__name__], name)
    definitions[SerialLink.__name__]["oneOf"] = [{"required": ["by_id"]}, {"required": ["url"]}]
    defaults = json_schema(Defaults)
    definitions |= {**defaults.pop("$defs", {}), "Device": device, "Defaults": defaults}
    return {
        "$schema": DRAFT,
        "title": "edgepipe inventory",
        "type": "object",
        "properties": {
            "schema": {"const": 1, "description": "The version of this format."},
            "defaults": {"$ref": "#/$defs/Defaults"},
            "devices": {
                "type": "object",
                "description": "The boards by name.",
                "minProperties": 1,
                "propertyNames": {"pattern": f"^{NAME.pattern}$"},
                "additionalProperties": {"$ref": "#/$defs/Device"},
            },
        },
        "required": ["schema", "devices"],
        "additionalProperties": False,
        "$defs": definitions,
    }


def _told_by(key: str, definition: dict[str, Any], word: str) -> None:
    """Make `key` the one thing that tells which is meant; no default may say where this machine keeps Python."""
    definition["properties"][key] = {"const": word}
    definition["required"] = [key, *definition.get("required", ())]
    definition["properties"].get("python", {}).pop("default", None)
