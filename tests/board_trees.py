"""What /proc and /sys look like on boards that are not here: files by path, as much of them as a probe reads."""

from __future__ import annotations

import sys
from pathlib import Path

PI4_CPUINFO = """\
processor\t: 0
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU part\t: 0xd08

Revision\t: c03115
Serial\t\t: 100000006f1c1c1c
Model\t\t: Raspberry Pi 4 Model B Rev 1.5
"""
PI4 = {
    "proc/cpuinfo": PI4_CPUINFO,
    "proc/meminfo": "MemTotal:        3884032 kB\nMemAvailable:    3312000 kB\nHugePages_Total:       0\n",
    "sys/firmware/devicetree/base/model": "Raspberry Pi 4 Model B Rev 1.5\0",
    **{f"sys/devices/system/cpu/cpu{core}/online": "1\n" for core in range(4)},
    "sys/devices/system/cpu/cpufreq/policy0/affected_cpus": "0 1 2 3\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "performance\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1800000\n",
    "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "1800000\n",
    "sys/class/thermal/thermal_zone0/temp": "47712\n",
    "sys/devices/platform/soc/soc:firmware/get_throttled": "0\n",
}
THROTTLED_PI4 = {
    **PI4,
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "600000\n",
    "sys/class/thermal/thermal_zone0/temp": "82303\n",
    "sys/devices/platform/soc/soc:firmware/get_throttled": "50004\n",
}
# A Coral USB stick in the wrong port, its library installed.
PI4_WITH_CORAL = {
    **PI4,
    "sys/bus/usb/devices/1-1.3/idVendor": "18d1\n",
    "sys/bus/usb/devices/1-1.3/idProduct": "9302\n",
    "sys/bus/usb/devices/1-1.3/speed": "480\n",
    "sys/bus/usb/devices/usb1/idVendor": "1d6b\n",
    "sys/bus/usb/devices/usb1/idProduct": "0002\n",
    "usr/lib/aarch64-linux-gnu/libedgetpu.so.1": "",
    "var/lib/dpkg/status": "Package: libc6\nStatus: install ok installed\nVersion: 2.36-9\n\n"
    "Package: libedgetpu1-std\nStatus: install ok installed\nDescription: support\n for Edge TPU\nVersion: 16.0\n",
}
CORAL_DEV_BOARD = {
    "proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid\n",
    "proc/meminfo": "MemTotal:        1022960 kB\nMemAvailable:     89000 kB\n",
    "sys/firmware/devicetree/base/model": "Freescale i.MX8MQ Phanbell\0",
    **{f"sys/devices/system/cpu/cpu{core}/online": "1\n" for core in range(4)},
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "500000\n",
    "sys/class/thermal/thermal_zone0/temp": "52000\n",
    "sys/bus/pci/devices/0000:01:00.0/vendor": "0x1ac1\n",
    "sys/bus/pci/devices/0000:01:00.0/device": "0x089a\n",
    "sys/bus/pci/devices/0000:00:00.0/vendor": "0x16c3\n",
    "sys/bus/pci/devices/0000:00:00.0/device": "0xabcd\n",
    "sys/bus/pci/drivers/apex/bind": "",
    "sys/class/apex/apex_0/temp": "58800\n",
    "dev/apex_0": "",
    "usr/lib/aarch64-linux-gnu/libedgetpu.so.1": "",
}


def plant(root: Path, tree: dict[str, str], *, driver: bool = True) -> Path:
    """Write a tree below `root`; with `driver` a Coral on PCIe is bound to apex."""
    for name, content in tree.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    bound = root / "sys/bus/pci/drivers/apex"
    if driver and bound.exists():
        (root / "sys/bus/pci/devices/0000:01:00.0/driver").symlink_to(bound)
    return root


# Starts the agent that it is given, which then finds another board's /proc and /sys.
STAND_IN = """\
#!/bin/sh
exec {python} -I -c 'import sys
root, agent = "{root}", sys.argv[2]
sys.argv = [agent, "serve"]
sys.path.insert(0, agent)
from edgepipe_agent.serve import serve
sys.exit(serve(root))' "$@"
"""


def python_of(root: Path) -> str:
    """Return what an inventory names as `python`, so that the agent takes the tree below `root` for its board's."""
    path = root.with_name(f"{root.name}-python")
    path.write_text(STAND_IN.format(python=sys.executable, root=root))
    path.chmod(0o755)
    return str(path)
