"""What this board has for running models, read from files alone; None where the system does not tell.

`root` is "/" on a board; tests give the tree of another one.
"""

import glob
import os
import re
import struct
import sys
from typing import Any, Dict, List, Optional

from . import conditions, governor

Facts = Dict[str, Any]
CORAL_PCIE = ("0x1ac1", "0x089a")
# A Coral USB stick is the first until something has used it, then the second (Coral's own documentation).
CORAL_USB = (("1a6e", "089a"), ("18d1", "9302"))
LIBRARIES = ("usr/lib/*/libedgetpu.so.1", "usr/lib/libedgetpu.so.1", "usr/local/lib/libedgetpu.so.1")


def probe(folder: str, root: str = "/") -> Facts:
    """Return the facts; `folder` is the agent's home, whose disk counts."""
    facts = software()
    facts.update(hardware(root))
    facts["home"] = folder
    facts["disk_free_bytes"] = _disk_free(folder)
    if facts["throttle_bits"] is None and root == "/":
        facts["throttle_bits"] = conditions.snapshot([])["throttle_bits"]
    return facts


def software() -> Facts:
    """Return what decides which runtime can be installed: that of the Python that runs this."""
    return {
        "arch": os.uname().machine,
        "bits": struct.calcsize("P") * 8,
        "glibc": _glibc(),
        "python": "%d.%d.%d" % sys.version_info[:3],
        "numpy": _numpy(),
    }


def hardware(root: str) -> Facts:
    """Return what stands below /proc and /sys."""
    cpufreq = "sys/devices/system/cpu/cpu0/cpufreq/"
    memory = _memory(root)
    return {
        "model": _text(root, "sys/firmware/devicetree/base/model") or _cpu_line(root, "model name"),
        "cores": len(glob.glob(os.path.join(root, "sys/devices/system/cpu/cpu[0-9]*"))) or None,
        "cpu_flags": (_cpu_line(root, "Features") or _cpu_line(root, "flags") or "").split(),
        "ram_bytes": memory.get("MemTotal"),
        "ram_available_bytes": memory.get("MemAvailable"),
        "governor": _text(root, cpufreq + "scaling_governor"),
        "governor_settable": governor.is_settable(root),
        "clock_mhz": _thousandth(_text(root, cpufreq + "scaling_cur_freq")),
        "clock_max_mhz": _thousandth(_text(root, cpufreq + "cpuinfo_max_freq")),
        "temperature_c": _temperature_c(root),
        "throttle_bits": _throttle_bits(root),
        "coral": coral(root),
    }


def coral(root: str) -> Facts:
    """Return which Edge TPUs there are, and what of their software."""
    found: Facts = {"pcie": False, "pcie_driver": None, "pcie_node": None, "pcie_usable": None, "pcie_temperature_c": None}
    for device in sorted(glob.glob(os.path.join(root, "sys/bus/pci/devices/*"))):
        if (_text(device, "vendor"), _text(device, "device")) == CORAL_PCIE:
            driver = os.path.join(device, "driver")
            found["pcie"] = True
            found["pcie_driver"] = os.path.basename(os.readlink(driver)) if os.path.islink(driver) else None
    if os.path.exists(os.path.join(root, "dev/apex_0")):
        found["pcie_node"] = "/dev/apex_0"
        found["pcie_usable"] = os.access(os.path.join(root, "dev/apex_0"), os.R_OK | os.W_OK)
    found["pcie_temperature_c"] = _thousandth(_text(root, "sys/class/apex/apex_0/temp"))
    found.update(_coral_usb(root))
    library = next((path for pattern in LIBRARIES for path in sorted(glob.glob(os.path.join(root, pattern)))), None)
    found["library"] = "/" + os.path.relpath(library, root) if library else None
    found["library_version"] = _package_version(root, "libedgetpu1-") if library else None
    return found


def _coral_usb(root: str) -> Facts:
    for device in sorted(glob.glob(os.path.join(root, "sys/bus/usb/devices/*"))):
        if (_text(device, "idVendor"), _text(device, "idProduct")) in CORAL_USB:
            speed = _text(device, "speed")
            return {"usb": True, "usb_speed_mbit": float(speed) if speed else None, "usb_usable": _usb_usable(root, device)}
    return {"usb": False, "usb_speed_mbit": None, "usb_usable": None}


def _usb_usable(root: str, device: str) -> Optional[bool]:
    """Whether this user may open a USB device; its file is named after its bus and its number there."""
    bus, number = _text(device, "busnum"), _text(device, "devnum")
    if not bus or not number:
        return None
    return os.access(os.path.join(root, "dev/bus/usb", bus.zfill(3), number.zfill(3)), os.R_OK | os.W_OK)


def _glibc() -> Optional[str]:
    """Return its version; None on a system with another C library."""
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (OSError, ValueError):
        return None
    return version if name == "glibc" else None


def _numpy() -> Optional[str]:
    """Return the version of numpy that this Python has, found without importing it."""
    for folder in sys.path:
        for path in glob.glob(os.path.join(glob.escape(folder), "numpy-*-info")):
            match = re.match(r"numpy-([0-9][^-]*?)(-py[0-9.]+)?\.(dist|egg)-info$", os.path.basename(path))
            if match:
                return match.group(1)
    return None


def _memory(root: str) -> Dict[str, int]:
    lines = (_text(root, "proc/meminfo") or "").splitlines()
    fields = [line.replace(":", " ").split() for line in lines]
    return {field[0]: int(field[1]) * 1024 for field in fields if len(field) == 3}


def _cpu_line(root: str, key: str) -> Optional[str]:
    for line in (_text(root, "proc/cpuinfo") or "").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return None


def _temperature_c(root: str) -> Optional[float]:
    readings: List[float] = []
    for zone in glob.glob(os.path.join(root, "sys/class/thermal/thermal_zone*")):
        reading = _thousandth(_text(zone, "temp"))
        if reading is not None:
            readings.append(reading)
    return max(readings) if readings else None


def _throttle_bits(root: str) -> Optional[int]:
    """The Raspberry Pi's firmware driver shows what `vcgencmd get_throttled` asks for, in hexadecimal."""
    try:
        return int(_text(root, "sys/devices/platform/soc/soc:firmware/get_throttled") or "", 16)
    except ValueError:
        return None


def _package_version(root: str, prefix: str) -> Optional[str]:
    """Return the version of the first installed Debian package whose name begins so."""
    for entry in (_text(root, "var/lib/dpkg/status") or "").split("\n\n"):
        fields = dict(line.partition(": ")[::2] for line in entry.splitlines() if not line.startswith(" "))
        if fields.get("Package", "").startswith(prefix) and fields.get("Status", "").endswith(" installed"):
            return fields.get("Version")
    return None


def _disk_free(folder: str) -> Optional[int]:
    try:
        state = os.statvfs(folder)
    except OSError:
        return None
    return state.f_bavail * state.f_frsize


def _thousandth(text: Optional[str]) -> Optional[float]:
    try:
        return int(text or "") / 1000
    except ValueError:
        return None


def _text(root: str, path: str) -> Optional[str]:
    try:
        with open(os.path.join(root, path), errors="replace") as file:
            return file.read().strip("\0\n ")
    except OSError:
        return None
