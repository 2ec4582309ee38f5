"""What a child does to itself before it touches a model: it dies with the agent, and first of all when memory is short."""

import ctypes
import os
import resource
import signal
import sys
from typing import List, Optional

PR_SET_PDEATHSIG = 1  # prctl(2)


def die_with(parent: int) -> None:
    """Be killed when the agent ends, however it ends."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the line above
        sys.exit("the agent is gone")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        with open("/proc/self/oom_score_adj", "w") as score:
            score.write("1000")
    except OSError:
        pass  # the kernel then chooses for itself


def pin(cores: Optional[List[int]]) -> None:
    """Run on these cores only; None: anywhere."""
    if cores is not None:
        os.sched_setaffinity(0, cores)


def cores() -> List[int]:
    """Return the cores that this process may run on."""
    return sorted(os.sched_getaffinity(0))


def limit_memory(limit_bytes: Optional[int]) -> int:
    """Let this process grow by `limit_bytes` at most, by what is free where None, from here on; returns the limit."""
    limit = memory_available_bytes() if limit_bytes is None else limit_bytes
    total = status_bytes("VmSize") + limit
    resource.setrlimit(resource.RLIMIT_AS, (total, total))
    return limit


def memory_available_bytes() -> int:
    """Return what the kernel believes could be used without swapping."""
    with open("/proc/meminfo") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")) * 1024


def status_bytes(field: str) -> int:
    """Return a size of /proc/self/status: VmSize, VmRSS, VmHWM (its peak)."""
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(field + ":")) * 1024


def reset_peak() -> None:
    """Let VmHWM begin anew at what is used now (proc(5), clear_refs); where the kernel cannot, imports stay in the peak."""
    try:
        with open("/proc/self/clear_refs", "w") as request:
            request.write("5")
    except OSError:
        pass
