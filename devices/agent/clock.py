"""Which boot this is and how long it has lasted: what a wrong wall clock cannot change."""

import time


def boot_id() -> str:
    """Return the kernel's random name of this boot."""
    with open("/proc/sys/kernel/random/boot_id") as name:
        return name.read().strip()


def uptime_s() -> float:
    """Return the seconds since boot, those spent asleep too (CLOCK_BOOTTIME, see clock_gettime(2))."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def utc() -> str:
    """Return what the wall clock says, for people to read; nothing is decided by it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
