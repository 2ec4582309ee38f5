"""What this board is, and the state it is in. What cannot be read is None: unknown, not fine."""

import contextlib
import glob
import hashlib
import os
import subprocess
import uuid
from time import monotonic, sleep
from typing import Callable, Dict, Iterable, List, Optional, Union

Value = Union[str, int, float, None]
COOLING_LOOK_S = 0.25


def identity(folder: str) -> Dict[str, str]:
    """Return the board's serial number, architecture, processor and system; `folder` is the agent's home."""
    system = os.uname()
    return {
        "serial": _serial(folder),
        "arch": system.machine,
        "cpu": _processor(),
        "os": "%s, Linux %s" % (_distribution(), system.release),
    }


def _serial(folder: str) -> str:
    """The board's own number; else the machine id, hashed since machine-id(5) asks for it; else one made here and kept."""
    own = _read("/sys/firmware/devicetree/base/serial-number")
    if own:
        return own.strip("\0\n ")
    machine = _read("/etc/machine-id")
    if machine:
        return hashlib.sha256(b"edgepipe" + machine.encode()).hexdigest()[:16]
    kept = os.path.join(folder, "device-id")
    if not os.path.exists(kept):
        with open(kept, "w") as note:
            note.write(uuid.uuid4().hex[:16])
    return _read(kept) or "unknown"


def _processor() -> str:
    model = _read("/sys/firmware/devicetree/base/model")
    if model:
        return model.strip("\0\n ")
    names = (
        line.partition(":")[2].strip() for line in (_read("/proc/cpuinfo") or "").splitlines() if line.startswith("model name")
    )
    return next(names, "unknown")


def _distribution() -> str:
    lines = (_read("/etc/os-release") or "").splitlines()
    return next((line[12:].strip('"') for line in lines if line.startswith("PRETTY_NAME=")), "unknown")


def snapshot(own_pids: Iterable[int], root: str = "/") -> Dict[str, Value]:
    """Return temperature, clock, governor, throttle bits, load and running processes other than `own_pids`, as they are now.

    `root` is "/" on a board; tests give the tree of another one.
    """
    clock = _read(os.path.join(root, "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq"))
    governor = _read(os.path.join(root, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"))
    return {
        "temperature_c": temperature_c(root),
        "clock_mhz": int(clock) / 1000 if clock else None,
        "governor": governor.strip() if governor else None,
        "throttle_bits": _throttle_bits(),
        "load_average_1m": os.getloadavg()[0],
        "other_processes": _running(set(own_pids)),
    }


def temperature_c(root: str = "/") -> Optional[float]:
    """Return that of the hottest zone."""
    readings: List[float] = []
    for zone in glob.glob(os.path.join(glob.escape(root), "sys/class/thermal/thermal_zone*/temp")):
        with contextlib.suppress(ValueError):
            readings.append(int(_read(zone) or "") / 1000)
    return max(readings) if readings else None


def cool_down(below_c: Optional[float], longest_s: float, alive: Callable[[], None], root: str = "/") -> float:
    """Wait until the board is no warmer than `below_c`, at most `longest_s`; returns the seconds. None, or unknown: no wait."""
    began = monotonic()
    while below_c is not None and monotonic() - began < longest_s:
        now = temperature_c(root)
        if now is None or now <= below_c:
            break
        alive()
        sleep(COOLING_LOOK_S)
    return monotonic() - began


def _throttle_bits() -> Optional[int]:
    """Raspberry Pi: `vcgencmd get_throttled` answers throttled=0x50000; bits 0-3 are now, 16-19 since boot."""
    try:
        answer = subprocess.run(["vcgencmd", "get_throttled"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=2).stdout
        return int(answer.decode().partition("=")[2], 16)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def _running(own_pids: Iterable[int]) -> Optional[int]:
    """Count the processes that want the processor right now (state R, see proc(5))."""
    if not os.path.isdir("/proc/self"):
        return None
    count = 0
    for pid in os.listdir("/proc"):
        if pid.isdigit() and int(pid) not in own_pids:
            state = (_read("/proc/%s/stat" % pid) or "").rpartition(")")[2].split()[:1]
            count += state == ["R"]
    return count


def _read(path: str) -> Optional[str]:
    try:
        with open(path, errors="replace") as file:
            return file.read()
    except OSError:
        return None
