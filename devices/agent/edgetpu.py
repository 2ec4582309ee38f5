"""The Edge TPU's delegate, and the four ways in which it lets a model down, each with what to do about it.

libedgetpu is the only way to an Edge TPU (https://coral.ai/docs/edgetpu/inference/). It is loaded in a child process, which says
"stage": "delegate" first, so that a crash or a silence from there on is the delegate's and not the model's.
"""

import ctypes
from typing import Any, Dict, Tuple

NAME = "edgetpu"
LIBRARY = "libedgetpu.so.1"
STAGE, SLUG = "delegate", "delegate-failed"
LONGEST_S = 30.0  # a USB stick is started anew when it is first used, which takes some 3 s
MISSING, FAILING, HANGING, CRASHING = "missing", "failing", "hanging", "crashing"

Answer = Tuple[str, Tuple[str, ...]]
ANSWERS: Dict[str, Answer] = {
    MISSING: (
        "there is no " + LIBRARY + " on the board",
        (
            "on the board, with Coral's package source: sudo apt-get install libedgetpu1-std",
            "without an Edge TPU: measure the .tflite that was not compiled for it",
        ),
    ),
    FAILING: (
        "the Edge TPU's delegate does not start",
        (
            "is the Edge TPU there, with its driver? edgepipe farm probe says so",
            "USB: plug it in again; its user must be in the group plugdev (sudo usermod -aG plugdev USER, then log in again)",
            "PCIe: sudo modprobe apex; /dev/apex_0 must belong to the group apex, and its user be in it",
            "another program may hold it: an Edge TPU serves one process at a time",
            "where a library is named that cannot be found: sudo apt-get install libusb-1.0-0",
        ),
    ),
    HANGING: (
        "the Edge TPU's delegate does not answer",
        (
            "USB: take it out, wait for ten seconds, plug it in again, with its own cable and no hub",
            "a board's power supply may be too weak for it: edgepipe farm probe shows under-voltage",
            "PCIe: look for apex in dmesg; where it says that interrupts fail, restart the board with pcie_aspm=off",
            "let it cool down: above 100 degrees it stops",
        ),
    ),
    CRASHING: (
        "the Edge TPU's delegate crashes the process that loads it",
        (
            "it is often built for another runtime than the board's: install the libedgetpu of the same TensorFlow version",
            "try the other runtime: --runtime tflite",
            "libedgetpu1-max runs hotter and needs more power: sudo apt-get install libedgetpu1-std",
        ),
    ),
}


class Lost(Exception):
    """There is no delegate to be had; in words, with what to do."""


def attach(module: Any) -> Any:
    """Return the delegate, loaded by a runtime's module. Raises Lost; crashes and hangs where the library does."""
    try:
        ctypes.CDLL(LIBRARY)
    except OSError as exc:
        absent = str(exc).startswith(LIBRARY + ": cannot open")
        raise Lost(describe(MISSING if absent else FAILING, "" if absent else str(exc))) from None
    try:
        return module.load_delegate(LIBRARY)
    except (ValueError, RuntimeError, OSError, AttributeError) as exc:
        raise Lost(describe(FAILING, " ".join(str(exc).split()))) from None


def blame(reason: str) -> str:
    """Return what to say where a child ended for `reason` while it was loading the delegate."""
    return describe(HANGING if reason.startswith("it did not answer") else CRASHING, reason)


def describe(kind: str, words: str = "") -> str:
    """Return one of the four answers, with what was said, and what to do as a list."""
    what, fixes = ANSWERS[kind]
    lines = ["%s%s" % (what, ": %s" % words if words else ""), "What to do:"]
    return "\n".join(lines + ["  %d. %s" % (number, fix) for number, fix in enumerate(fixes, 1)])
