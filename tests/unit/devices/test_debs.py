"""Debian packages that a board lacks are fetched by apt from where the board would fetch them, whatever this machine is."""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path

import pytest
from board_trees import plant
from debian_archive import Archive, status

from edgepipe.devices.agent import debian
from edgepipe.devices.debs import DebianSite, _sources, fetch_debs
from edgepipe.documents import parse
from edgepipe.errors import InfrastructureError, MissingExtra

KEYRING = "usr/share/keyrings/raspbian.gpg"


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    made = Archive(tmp_path / "archive", "armhf")
    made.add("libblas3", "3.11", {"usr/lib/arm-linux-gnueabihf/blas/libblas.so.3": b"blas"})
    made.add("libc6", "2.37", {"usr/lib/libc.so.6": b"newer"})
    needs = "libc6 (>= 2.29), libblas3 | libblas.so.3, python3 (>= 3.11~), python3:any"
    made.add("python3-numpy", "1.24.2", {"usr/lib/python3/dist-packages/numpy/__init__.py": b""}, needs)
    return made


def site(folder: Path, sources: str, **installed: str) -> DebianSite:
    tree = plant(folder, {"var/lib/dpkg/status": status("armhf", libc6="2.36", python3="3.11.2", **installed)})
    plant(tree, {"etc/apt/sources.list": sources, KEYRING: "key"})
    return parse(DebianSite, debian.describe(str(tree)), source="the board")


def test_what_is_missing_is_fetched_and_what_is_there_is_not(archive: Archive, tmp_path: Path) -> None:
    with archive.serving() as line:
        found = fetch_debs(site(tmp_path / "bare", line), ["python3-numpy"])
        fewer = fetch_debs(site(tmp_path / "half", line, libblas3="3.10"), ["python3-numpy"])
    assert [wheel.path.name for wheel in found] == ["libblas3_3.11_armhf.deb", "python3-numpy_1.24.2_armhf.deb"]
    assert [wheel.path.name for wheel in fewer] == ["python3-numpy_1.24.2_armhf.deb"]
    assert found[0].path.read_bytes() == (archive.folder / "libblas3_3.11_armhf.deb").read_bytes()


def test_an_archive_that_does_not_have_it_is_told_with_the_way_out(archive: Archive, tmp_path: Path) -> None:
    with archive.serving() as line, pytest.raises(InfrastructureError, match="no-such-package") as caught:
        fetch_debs(site(tmp_path / "board", line), ["no-such-package"])
    assert "sudo apt-get install" in caught.value.todo


def test_without_apt_here_one_is_told_what_to_do_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingExtra, match="no apt here") as caught:
        fetch_debs(site(tmp_path / "board", ""), ["python3-numpy"])
    assert caught.value.todo == "On the board: sudo apt-get install python3-numpy"


def test_only_what_comes_by_http_is_taken_from_a_boards_sources() -> None:
    text = """\
# deb cdrom:[Debian]/ bookworm main
deb cdrom:[Debian]/ bookworm main
deb [signed-by=/usr/share/keyrings/raspbian.gpg] http://raspbian.raspberrypi.org/raspbian/ bookworm main
deb ssh://somebody@here/ bookworm main
deb file:/srv/debian bookworm main
deb https://archive.raspberrypi.com/debian/ bookworm main
"""
    assert _sources(text, Path("/cache/keys")).splitlines() == [
        "deb [signed-by=/cache/keys/usr/share/keyrings/raspbian.gpg] http://raspbian.raspberrypi.org/raspbian/ bookworm main",
        "deb https://archive.raspberrypi.com/debian/ bookworm main",
    ]
    stanzas = """\
Types: deb
URIs: http://deb.debian.org/debian/
Suites: bookworm
Signed-By: /etc/apt/keyrings/debian.gpg

Types: deb
URIs: http://deb.debian.org/debian/ mirror+file:/etc/mirrors
Suites: bookworm-updates
"""
    kept = _sources(stanzas, Path("/cache/keys"))
    assert "Signed-By: /cache/keys/etc/apt/keyrings/debian.gpg" in kept
    assert "bookworm-updates" not in kept


def test_a_boards_paths_lead_nowhere_else(tmp_path: Path, archive: Archive) -> None:
    with archive.serving() as line:
        odd = DebianSite(
            arch="armhf",
            installed={"libc6": "2.36", "python3": "3.11.2", "libblas3": "3.11", "x\nStatus: deinstall": "1", "y": "1\nZ: 2"},
            sources={"../../../../etc/apt/sources.list": line},
            keys={"../../../../../../etc/evil": "YQ==", "/etc/evil": "YQ=="},
        )
        (found,) = fetch_debs(odd, ["python3-numpy"])
    assert found.path.is_relative_to(tmp_path / "cache")
    assert not Path("/etc/evil").exists()
    assert len(list((tmp_path / "cache").rglob("keys/etc/evil"))) == 1


def test_a_board_describes_itself_within_one_line(tmp_path: Path) -> None:
    tree = plant(tmp_path, {"var/lib/dpkg/status": status("armhf", libc6="2.36"), KEYRING: "key"})
    plant(
        tree, {"usr/share/keyrings/z-large.gpg": "x" * 500_000, "etc/apt/sources.list.d/pi.list": "deb https://me:canary@deb.pi/ x"}
    )
    found = debian.describe(str(tree))
    assert (found["arch"], found["installed"]) == ("armhf", {"dpkg": "1.21", "libc6": "2.36"})
    assert {path: b64decode(key) for path, key in found["keys"].items()} == {KEYRING: b"key"}
    assert found["sources"] == {"etc/apt/sources.list.d/pi.list": "deb https://deb.pi/ x"}  # no password leaves the board
    assert debian.describe(str(tmp_path / "nowhere")) == {"arch": None, "installed": {}, "sources": {}, "keys": {}}
