"""What all tests share: places of their own, one zoo of small models, and one run of the demo, each made once a session."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from commandline import Command, Demo
from hypothesis import settings
from once import made_once, shared
from real_models import real_model
from sshd import Sshd, needs_sshd, running

PROJECT = Path(__file__).resolve().parent.parent

# The same examples every time, and no verdict on a busy machine's speed.
settings.register_profile("edgepipe", deadline=None, derandomize=True)
settings.load_profile("edgepipe")


def pytest_configure() -> None:
    """Take away what the commands under test would inherit: a shell's background jobs ignore Ctrl-C, which some are sent; and GNU
    readline, which pytest loads, tells its children the width of the terminal.
    """
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def own_places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep every test out of the user's caches, results and boards."""
    root = tmp_path_factory.mktemp("places")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(root / "cache"))
        patch.setenv("EDGEPIPE_RESULTS", str(root / "results"))
        patch.setenv("EDGEPIPE_HOME", str(root / "board"))
        patch.delenv("EDGEPIPE_INVENTORY", raising=False)
        yield root


@pytest.fixture
def agent_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of the agents that this test starts on this machine."""
    home = tmp_path / "home"
    monkeypatch.setenv("EDGEPIPE_HOME", str(home))
    return home


@pytest.fixture
def edgepipe(tmp_path: Path) -> Command:
    """The command, run in an empty folder."""
    return Command(tmp_path)


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    """A real SSH server of this test's own; its board's state is in the test's folder."""
    needs_sshd()
    with running(tmp_path / "sshd", tmp_path / "home") as server:
        yield server


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small models of every kind; tests/model_zoo.py says which."""

    def make(folder: Path) -> None:
        program = str(PROJECT / "tests" / "model_zoo.py")
        subprocess.run([sys.executable, program, str(folder)], check=True, capture_output=True, timeout=300)

    return made_once(shared(tmp_path_factory) / "zoo", make)


@pytest.fixture(scope="session")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where firmware is built, once for all tests."""
    return shared(tmp_path_factory) / "firmware"


@pytest.fixture
def kws() -> Path:
    """MLPerf Tiny's keyword spotting network, int8."""
    return real_model("kws_ref_model")


@pytest.fixture
def ad01() -> Path:
    """MLPerf Tiny's anomaly detection autoencoder, int8."""
    return real_model("ad01_int8")


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """One run of `edgepipe demo --json`, shared by every test that needs a trained network or a finished recipe."""

    def make(folder: Path) -> None:
        done = Command(folder)("demo", "--json", XDG_CACHE_HOME=str(folder / "cache"), EDGEPIPE_RESULTS=str(folder / "results"))
        assert done.code == 0, done.err
        (folder / "demo.json").write_text(done.out)
        (folder / "said").write_text(done.err)

    folder = made_once(shared(tmp_path_factory) / "demo", make)
    return Demo(json.loads((folder / "demo.json").read_text()), folder, (folder / "said").read_text())
