"""The wheels of a board's runtime, fetched on this machine by pip from wherever it is set up to look, and kept in the cache."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from edgepipe.devices.runtimes import RuntimePlan
from edgepipe.errors import InfrastructureError
from edgepipe.places import cache_dir, storage_errors

LONGEST_S = 900.0
DONE = "wheels.json"


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """A file and its hash."""

    path: Path
    sha256: str


@dataclass(frozen=True, kw_only=True)
class WheelSet:
    """Everything that a plan needs, pip itself among it; `digest` is the same for the same files and the same board's Python."""

    wheels: tuple[Wheel, ...]
    digest: str

    @property
    def size_bytes(self) -> int:
        """What has to be brought to a board."""
        return sum(wheel.path.stat().st_size for wheel in self.wheels)


def fetch(plan: RuntimePlan, *, again: bool = False) -> WheelSet:
    """Return the plan's wheels: from the cache, else (or `again`) by pip. Raises InfrastructureError, StorageError."""
    key = hashlib.sha256(json.dumps(asdict(plan), sort_keys=True).encode()).hexdigest()[:16]
    place = cache_dir() / "wheels" / key
    if again or not (place / DONE).is_file():
        with storage_errors(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            _download(plan, place)
    return _read(plan, place)


def pip_command(plan: RuntimePlan, folder: Path) -> list[str]:
    """Return the command that downloads for another machine: nothing is built, no address is named."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]
    for platform in plan.platforms:
        command += ["--platform", platform]
    python = ".".join(map(str, plan.python))
    command += ["--python-version", python, "--implementation", "cp", "--dest", str(folder)]
    if plan.system_numpy:  # there is no wheel of numpy, so what depends on it is not looked up
        command.append("--no-deps")
    return [*command, *plan.requirements, "pip"]


def _download(plan: RuntimePlan, place: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=place.parent) as made:
        folder = Path(made) / "wheels"
        folder.mkdir()
        try:
            done = subprocess.run(pip_command(plan, folder), capture_output=True, text=True, timeout=LONGEST_S, check=False)
        except subprocess.TimeoutExpired as exc:
            raise _failed(plan, f"pip did not end within {LONGEST_S:g} s") from exc
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            raise _failed(plan, *(errors or done.stderr.splitlines()[-1:]))
        hashes = {path.name: _sha256(path) for path in sorted(folder.iterdir())}
        (folder / DONE).write_text(json.dumps(hashes))
        if place.exists():
            shutil.rmtree(place)
        folder.rename(place)


def _failed(plan: RuntimePlan, *problems: str) -> InfrastructureError:
    return InfrastructureError(
        f"pip could not fetch {' '.join(plan.requirements)} for {plan.platforms[0]}, Python {'.'.join(map(str, plan.python))}",
        problems=problems,
        cause="this machine has no way to a package index, or the index has no such wheel",
        todo="Where pip is to look, and through which proxy, is pip's own configuration: see pip config.",
    )


def _read(plan: RuntimePlan, place: Path) -> WheelSet:
    hashes: dict[str, str] = json.loads((place / DONE).read_text())
    wheels = tuple(Wheel(path=place / name, sha256=sha256) for name, sha256 in sorted(hashes.items()))
    damaged = [wheel.path.name for wheel in wheels if not wheel.path.is_file() or _sha256(wheel.path) != wheel.sha256]
    if damaged:
        shutil.rmtree(place)
        raise InfrastructureError(f"wheels in the cache were damaged: {', '.join(damaged)}", todo="They are deleted: try again.")
    known = {"wheels": hashes, "python": plan.python, "requirements": plan.requirements, "system_numpy": plan.system_numpy}
    return WheelSet(wheels=wheels, digest=hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:16])


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
