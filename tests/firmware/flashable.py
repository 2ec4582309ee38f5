"""Boards that can be written: the host's firmware behind a PTY, and stand-ins for the tools that write flash.

A stand-in takes the arguments and prints the words that its tool's documentation shows, and does to a board of `bench` what the
tool would: it puts the file into its flash and starts it anew. None of the real tools is run anywhere in the tests.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import tty
from contextlib import suppress
from pathlib import Path

FLASH, RUNNING = "flash", "pid"

# What every stand-in can do. `bench` has a folder for each board, named by its probe.
COMMON = """#!{python}
import json, os, re, shutil, signal, sys, time
from pathlib import Path

BENCH = Path({bench!r})
given = sys.argv[1:]
with (BENCH / "ran").open("a") as log:
    log.write(json.dumps([Path(sys.argv[0]).name, *given]) + "\\n")
(BENCH / "tool-pid").write_text(str(os.getpid()))
if (BENCH / "hangs").exists() and not {{"json", "list"}} & set(given):
    print("connecting ...", flush=True)
    time.sleep(60)


def boards():
    return sorted(path.name for path in BENCH.iterdir() if path.is_dir())


def after(option):
    return given[given.index(option) + 1] if option in given else None


def write(probe, file):
    if (BENCH / "verify-fails").exists():
        sys.exit("verify failed at 0x08000200")
    place = BENCH / probe
    shutil.copy(file, place / "new")
    os.replace(place / "new", place / "{flash}")
    if (place / "{running}").exists():
        os.kill(int((place / "{running}").read_text()), signal.SIGKILL)


"""
# https://pyocd.io/docs/command_reference.html: `load` takes the first probe whose id holds what it was given.
PYOCD = """
if given == ["json", "--probes"]:
    found = [{"unique_id": name, "info": "ST-Link", "board_name": "NUCLEO-L4R5ZI", "target": "stm32l4r5zi"} for name in boards()]
    print(json.dumps({"pyocd_version": "0.36.0", "version": {"major": 1, "minor": 0}, "status": 0, "boards": found}))
else:
    assert given[0] == "load"
    found = [name for name in boards() if after("--uid").lower() in name.lower()]
    if not found:
        sys.exit("No connected debug probe matches unique ID '" + after("--uid") + "'")
    write(found[0], given[-1])
"""
# https://docs.espressif.com/projects/esptool: what it prints of a chip, and `write_flash`.
ESPTOOL = """
name = Path(after("--port")).name
print("esptool v5.0.0\\nSerial port /dev/ttyUSB0:\\nConnecting...\\nMAC:                7c:df:a1:e0:00:" + name)
if given[-1] == "read_mac":
    print("MAC:                7c:df:a1:e0:00:" + name)
else:
    assert given[-3] == "write_flash"
    write(name, given[-1])
    print("Hash of data verified.")
"""
# A tool of the user's own: `list`, and `write FILE SERIAL`.
OWN = """
if given == ["list"]:
    print("\\n".join(name + "  a board" for name in boards()))
else:
    write(given[2], given[1])
"""
TOOLS = {"pyocd": PYOCD, "esptool": ESPTOOL, "own-tool": OWN}


def install(folder: Path, bench: Path, name: str) -> None:
    """Put the stand-in of a tool into `folder`, for a PATH."""
    folder.mkdir(exist_ok=True)
    values = {"python": sys.executable, "bench": str(bench), "flash": FLASH, "running": RUNNING}
    path = folder / name
    path.write_text(COMMON.format(**values) + TOOLS[name])
    path.chmod(0o755)


class FlashableBoard:
    """A board behind a PTY at `line`: what stands in its flash runs, and anew when it ends; without anything there it is silent."""

    def __init__(self, bench: Path, probe: str, line: Path, program: Path | None) -> None:
        self.place = bench / probe
        self.place.mkdir(parents=True)
        if program is not None:
            shutil.copy(program, self.place / FLASH)
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        line.symlink_to(os.ttyname(self._slave))
        self._off = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._off.is_set():
            if not (self.place / FLASH).exists():
                self._off.wait(0.05)
                continue
            with suppress(OSError):  # "text file busy" for a moment
                self._process = subprocess.Popen([self.place / FLASH], stdin=self._master, stdout=self._master)
                (self.place / RUNNING).write_text(str(self._process.pid))
                self._process.wait()
                self._off.wait(0.02)

    def close(self) -> None:
        """Switch it off."""
        self._off.set()
        if self._process is not None:
            self._process.kill()
        self._thread.join(10)
        os.close(self._master)
        os.close(self._slave)
