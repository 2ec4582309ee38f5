"""A Debian archive on loopback with packages made for one test, and a board whose apt points to it."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Archive:
    """A flat archive: `add` packages, then `serving()`."""

    def __init__(self, folder: Path, arch: str) -> None:
        for tool in ("apt-get", "dpkg-deb"):
            if shutil.which(tool) is None:
                pytest.skip(f"{tool} is not here: this takes Debian or Ubuntu")
        self.folder, self.arch, self._index = folder, arch, ""
        folder.mkdir()

    def add(self, name: str, version: str, files: dict[str, bytes], depends: str = "") -> None:
        """Build a package."""
        tree = self.folder / f"{name}.tree"
        control = (
            f"Package: {name}\nVersion: {version}\nArchitecture: {self.arch}\nMaintainer: tests <t@e.st>\nDescription: made up\n"
        )
        if depends:
            control += f"Depends: {depends}\n"
        for path, content in {**files, "DEBIAN/control": control.encode()}.items():
            place = tree / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        deb = self.folder / f"{name}_{version}_{self.arch}.deb"
        subprocess.run(["dpkg-deb", "--root-owner-group", "--build", str(tree), str(deb)], check=True, capture_output=True)
        content = deb.read_bytes()
        self._index += f"{control}Filename: ./{deb.name}\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n\n"

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Yield the line for sources.list."""
        (self.folder / "Packages").write_text(self._index)
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(self.folder)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"deb [trusted=yes] http://127.0.0.1:{server.server_port}/ ./"
        finally:
            server.shutdown()
            server.server_close()


def status(arch: str, **installed: str) -> str:
    """Return what dpkg says of a board on which these packages are installed."""
    entry = "Package: {}\nStatus: install ok installed\nArchitecture: {}\nVersion: {}\nDescription: made up\n in two lines\n\n"
    return "".join(entry.format(name.replace("_", "-"), arch, version) for name, version in {"dpkg": "1.21", **installed}.items())
