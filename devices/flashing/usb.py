"""What the kernel knows of this machine's USB: the devices that have a serial number (Documentation/ABI/testing/sysfs-bus-usb)."""

from __future__ import annotations

from pathlib import Path

from edgepipe.devices.flashing.tool import Probe

DEVICES = Path("/sys/bus/usb/devices")


def connected(folder: Path = DEVICES) -> tuple[Probe, ...]:
    """Return them, each named by vendor, product and what it calls itself."""
    found = []
    for place in sorted(folder.glob("*/serial")):
        serial = _read(place)
        if serial:
            name = f"{_read(place.with_name('idVendor'))}:{_read(place.with_name('idProduct'))} {_read(place.with_name('product'))}"
            found.append(Probe(id=serial, name=name.strip()))
    return tuple(found)


def _read(path: Path) -> str:
    """Return a value, "" where the device does not tell it or has gone."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
