"""Debian packages for a board, fetched here by apt: from where the board itself would fetch them, and for its architecture.

apt runs with folders of its own: the packages of this machine have no part in it and stay as they are. What the board lacks, its
dependencies included, is for the board to unpack; nothing is installed.
"""

from __future__ import annotations

import binascii
import hashlib
import json
import re
import shutil
import subprocess
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from edgepipe.devices.wheels import Wheel
from edgepipe.errors import InfrastructureError, MissingExtra
from edgepipe.places import cache_dir, storage_errors

LONGEST_S = 600.0
SCHEME = re.compile(r"\b([a-z][a-z0-9+.-]*):/*[^\s/]")
ALLOWED = {"http", "https"}  # apt has ways to run programs as well, and the sources are the board's
WORD = re.compile(r"[a-z0-9][a-z0-9+.-]*(:[a-z0-9-]+)?")
VERSION = re.compile(r"[A-Za-z0-9.+:~-]+")
STANZA = "Package: {name}\nStatus: install ok installed\nArchitecture: {arch}\nMulti-Arch: allowed\nVersion: {version}\n\n"


@dataclass(frozen=True, kw_only=True)
class DebianSite:
    """A board's Debian, as the agent's `debian.describe` says it; `keys` are in base64."""

    arch: str | None
    installed: dict[str, str]
    sources: dict[str, str]
    keys: dict[str, str]


def fetch_debs(site: DebianSite, packages: Sequence[str]) -> tuple[Wheel, ...]:
    """Return the files of `packages` and of what they need and the board lacks, checked by apt with the board's own keys.

    Raises MissingExtra where this machine has no apt; InfrastructureError, StorageError.
    """
    program = shutil.which("apt-get")
    if program is None:
        raise MissingExtra("there is no apt here to fetch Debian packages with", todo=BY_HAND.format(" ".join(packages)))
    key = hashlib.sha256(json.dumps([site.arch, site.sources], sort_keys=True).encode()).hexdigest()[:16]
    place = cache_dir() / "debs" / key
    with storage_errors(place):
        apt = _Apt(program, place, site)
        apt.run("update")
        install = ("--no-install-recommends", "install", *packages)
        added = _added(apt.run("--simulate", *install))
        apt.run("--download-only", *install)
        return tuple(_file(place / "cache" / "archives", name, version) for name, version in sorted(added))


BY_HAND = "On the board: sudo apt-get install {}"


class _Apt:
    """apt-get with the board's sources, keys and installed packages, and folders of its own."""

    def __init__(self, program: str, place: Path, site: DebianSite) -> None:
        self._program, self._site = program, site
        for folder in ("lists/partial", "cache/archives/partial", "keys"):
            (place / folder).mkdir(parents=True, exist_ok=True)
        for path, content in site.keys.items():
            _write(place / "keys", path, _decoded(content))
        shutil.rmtree(place / "sources", ignore_errors=True)
        for path, text in site.sources.items():
            _write(place / "sources", f"sources.list.d/{PurePosixPath(path).name}", _sources(text, place / "keys").encode())
        (place / "status").write_text(_status(site))
        self._options = {
            "Dir::State": place,
            "Dir::State::status": place / "status",
            "Dir::State::lists": place / "lists",
            "Dir::Cache": place / "cache",
            "Dir::Etc::sourcelist": "-",
            "Dir::Etc::sourceparts": place / "sources" / "sources.list.d",
            "Dir::Etc::trusted": "-",
            "Dir::Etc::trustedparts": place / "keys" / "etc/apt/trusted.gpg.d",
            "Dir::Etc::preferences": "-",
            "Dir::Etc::preferencesparts": "-",
            "APT::Architecture": site.arch,
            "APT::Architectures": site.arch,
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "APT::Update::Post-Invoke": "",
        }

    def run(self, *arguments: str) -> str:
        """Run a command and return what it printed."""
        options = [f"--option={name}={value}" for name, value in self._options.items()]
        try:
            done = subprocess.run(
                [self._program, *options, "--quiet", "--yes", *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=LONGEST_S,
                check=False,
            )
        except subprocess.TimeoutExpired as exc:
            raise self._failed("apt-get did not end in time") from exc
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.startswith(("E:", "W:"))]
            raise self._failed(*(lines[-5:] or ["apt-get ended with exit code " + str(done.returncode)]))
        return done.stdout

    def _failed(self, *problems: str) -> InfrastructureError:
        return InfrastructureError(
            f"apt could not fetch packages for {self._site.arch} from where the board's sources point",
            problems=problems,
            cause="this machine has no way to them, or the board's sources name none for it",
            todo="How apt gets through a proxy is its own configuration; or on the board: sudo apt-get install python3-numpy",
        )


def _sources(text: str, keys: Path) -> str:
    """Return a file of sources without what is not fetched by HTTP, its keys taken from `keys`."""
    uncommented = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    separator = "\n\n" if re.search(r"^URIs:", text, re.MULTILINE | re.IGNORECASE) else "\n"
    kept = [part for part in uncommented.split(separator) if set(SCHEME.findall(part)) <= ALLOWED]
    return re.sub(r"(?<![\w/.])/((?:usr/share|etc/apt)/keyrings/)", rf"{keys}/\1", separator.join(kept)) + "\n"


def _status(site: DebianSite) -> str:
    """Return what dpkg would say of the board, as far as apt has to know it: names and versions."""
    return "".join(
        STANZA.format(name=name, arch=site.arch, version=version)
        for name, version in site.installed.items()
        if WORD.fullmatch(name) and VERSION.fullmatch(version)
    )


def _added(simulated: str) -> list[tuple[str, str]]:
    """Return names and versions of what would be installed anew, from lines such as Inst NAME (VERSION …); upgrades have [OLD]."""
    return re.findall(r"^Inst (\S+) \((\S+) ", simulated, re.MULTILINE)


def _file(archives: Path, name: str, version: str) -> Wheel:
    """Return the file that apt has kept of a package; a colon in a version is %3a there."""
    found = sorted(archives.glob(f"{name.partition(':')[0]}_{version.replace(':', '%3a')}_*.deb"))
    if not found:
        raise InfrastructureError(f"apt fetched no {name} {version}", cause="its cache was cleaned meanwhile")
    return Wheel(path=found[0], sha256=hashlib.sha256(found[0].read_bytes()).hexdigest())


def _write(folder: Path, path: str, content: bytes) -> None:
    """Write a file of the board's below `folder`, wherever its path would lead."""
    place = folder.joinpath(*(part for part in PurePosixPath(path).parts if part not in ("/", "..")))
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)


def _decoded(content: str) -> bytes:
    try:
        return b64decode(content, validate=True)
    except binascii.Error as exc:
        raise InfrastructureError("a key of the board's apt arrived damaged") from exc
