"""The arm64 Debian of the virtual Pi, built once and kept as an archive; every start unpacks it anew, as one flashes a card."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from pathlib import Path
from time import monotonic

from edgepipe.errors import InfrastructureError, UsageError
from edgepipe.events import Emit, Note, step
from edgepipe.places import cache_dir, storage_errors, whole_file, write_whole

RELEASE = "bookworm"
PACKAGES = ("openssh-server", "python3", "python3-numpy", "python3-venv")
BUILD_S = 3600.0
UNPACK_S = 600.0
BINFMT = Path("/proc/sys/fs/binfmt_misc")
ELSE = "Without root, `edgepipe farm up localhost-ssh` is a board over real SSH with this machine's own processor."


def image() -> Path:
    """Return where the archive is, or will be."""
    return cache_dir() / "virtual-pi" / f"{RELEASE}-arm64.tar"


def note() -> Path:
    """Return where it stands how long the archive took to build."""
    return image().with_suffix(".json")


def missing() -> list[str]:
    """Return what this machine lacks to run arm64 programs in a root of their own; nothing where all is there."""
    lacks = []
    if os.geteuid() != 0:
        lacks.append("it takes root: another root folder and namespaces of its own")
    if not _runs_arm64():
        lacks.append("the kernel runs no arm64 programs: apt-get install qemu-user-static binfmt-support")
    lacks += [f"{tool} is not installed: apt-get install {package}" for tool, package in _TOOLS.items() if not shutil.which(tool)]
    return lacks


_TOOLS = {"unshare": "util-linux", "tar": "tar"}


def require() -> None:
    """Raise UsageError with everything that is missing, to build (where there is no archive yet) and to run."""
    lacks = missing()
    if not image().exists():
        lacks += [
            f"{tool} is not installed: apt-get install {tool}" for tool in ("mmdebstrap", "arch-test") if not shutil.which(tool)
        ]
    if lacks:
        raise UsageError("this machine cannot run the virtual Pi yet", problems=lacks, todo=ELSE)


def build(emit: Emit) -> Path:
    """Return the archive, which is built where it is missing. Raises InfrastructureError with the last words of what failed."""
    path = image()
    if path.exists():
        return path
    emit(Note(text=f"building an arm64 Debian once, for about ten minutes; it is kept as {path}"))
    began = monotonic()
    with step(emit, "build the virtual Pi"), whole_file(path) as part:
        include = f"--include={','.join(PACKAGES)}"
        command = ["mmdebstrap", "--variant=minbase", "--arch=arm64", "--format=tar", include, RELEASE, str(part)]
        _run(["nice", "-n", "5", *command], "could not build an arm64 Debian", BUILD_S)
    write_whole(note(), json.dumps({"build_seconds": round(monotonic() - began, 1)}))
    return path


def unpack(root: Path) -> None:
    """Make `root` anew from the archive."""
    with storage_errors(root):
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir(parents=True)
    _run(["tar", "--numeric-owner", "-xpf", str(image()), "-C", str(root)], f"could not unpack {image()}", UNPACK_S)


def _runs_arm64() -> bool:
    if platform.machine() == "aarch64":
        return True
    if not (BINFMT / "register").exists() and os.geteuid() == 0:  # containers come without it
        subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", str(BINFMT)], capture_output=True, check=False)
    entry = BINFMT / "qemu-aarch64"
    if not entry.exists() and os.geteuid() == 0 and shutil.which("update-binfmts"):
        subprocess.run(["update-binfmts", "--enable", "qemu-aarch64"], capture_output=True, check=False)
    return entry.exists() and entry.read_text().startswith("enabled")


def _run(command: list[str], otherwise: str, longest_s: float) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=longest_s, check=False)
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise InfrastructureError(f"{otherwise}: {exc}") from exc
    if done.returncode:
        raise InfrastructureError(otherwise, problems=(done.stderr or done.stdout).strip().splitlines()[-5:])
