"""A board gets its runtime from wheels that are brought, once, and only if one model runs in it.

The wheels here are small ones, made on the spot: they lead to the runtime that the tests themselves run with.
"""

from __future__ import annotations

import ensurepip
import hashlib
import importlib.util
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from board_trees import plant, python_of
from debian_archive import Archive, status
from signatures import make_key, needs_ssh_keygen

from benchmarks.synthetic import _graph, _model, _operator, _tensor
from edgepipe.devices import provisioning, smoke_model
from edgepipe.devices.boards.linux import LinuxBoard
from edgepipe.devices.protocols import RunOptions
from edgepipe.devices.runtimes import RuntimePlan
from edgepipe.devices.transports.local import LocalTransport
from edgepipe.devices.wheels import Wheel, WheelSet, pip_command
from edgepipe.errors import InfrastructureError, UsageError
from edgepipe.events import Event, Note, silent
from edgepipe.workflows import farm_boards

HONEST = "__path__ += {places!r}\n"
DEADLY = "import os, signal\nos.kill(os.getpid(), signal.SIGILL)\n"


def site_of(module: str) -> Path:
    found = importlib.util.find_spec(module)
    assert found
    assert found.origin
    return Path(found.origin).parent


def wheel(folder: Path, version: str, start: str) -> Path:
    """A wheel of "ai-edge-litert" that is nothing but its first lines."""
    path, info = folder / f"ai_edge_litert-{version}-py3-none-any.whl", f"ai_edge_litert-{version}.dist-info"
    members = {
        "ai_edge_litert/__init__.py": start,
        "of_the_tests.pth": f"{site_of('numpy').parent}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: ai-edge-litert\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)  # of 1980, so that the same wheel has the same hash
    return path


def pip_wheel() -> Path:
    places = [Path(ensurepip.__file__).parent / "_bundled", Path("/usr/share/python-wheels")]
    found = next((path for place in places for path in sorted(place.glob("pip-*.whl"))), None)
    if found is None:
        pytest.skip("this Python brings no wheel of pip: apt-get install python3-pip-whl")
    return found


class Shelf:
    """Wheels as `fetch` would bring them; counts how often it was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.version, self.asked = folder, "3.0", 0
        self.start = HONEST.format(places=[str(site_of("ai_edge_litert"))])

    def __call__(self, plan: RuntimePlan, *, again: bool) -> WheelSet:
        self.asked += 1
        paths = (wheel(self.folder, self.version, self.start), pip_wheel())
        wheels = tuple(Wheel(path=path, sha256=hashlib.sha256(path.read_bytes()).hexdigest()) for path in paths)
        return WheelSet(wheels=wheels, digest=hashlib.sha256("".join(each.sha256 for each in wheels).encode()).hexdigest()[:16])


@pytest.fixture
def board(agent_home: Path) -> Iterator[LinuxBoard]:
    made = LinuxBoard("board", LocalTransport(sys.executable))
    made.open()
    yield made
    made.close()


def test_a_board_is_provisioned_once_upgraded_and_cleared(board: LinuxBoard, agent_home: Path, tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    assert provisioning.provisioned(board) is None
    first = provisioning.provision("board", board, upgrade=False, emit=silent, fetch=shelf)
    assert first.changed
    assert first.stamp.versions["ai_edge_litert"] == "3.0"
    assert first.stamp.smoke["median_ns"]
    assert board.runtime(RunOptions()).version == "3.0"

    assert not provisioning.provision("board", board, upgrade=False, emit=silent, fetch=shelf).changed
    assert shelf.asked == 1
    assert not provisioning.provision("board", board, upgrade=True, emit=silent, fetch=shelf).changed  # nothing newer

    shelf.version = "3.1"
    assert provisioning.provision("board", board, upgrade=True, emit=silent, fetch=shelf).changed
    assert board.runtime(RunOptions()).version == "3.1"
    assert len(list((agent_home / "venvs").iterdir())) == 1

    assert provisioning.remove(board)
    assert not provisioning.remove(board)
    assert provisioning.provisioned(board) is None
    assert board.runtime(RunOptions()).version not in ("3.0", "3.1")


def test_a_runtime_for_another_processor_is_a_verdict_and_what_worked_stays(
    board: LinuxBoard, agent_home: Path, tmp_path: Path
) -> None:
    shelf = Shelf(tmp_path)
    before = provisioning.provision("board", board, upgrade=False, emit=silent, fetch=shelf).stamp
    shelf.version, shelf.start = "3.2", DEADLY
    with pytest.raises(InfrastructureError, match=r"crashed with SIGILL.*stays"):
        provisioning.provision("board", board, upgrade=True, emit=silent, fetch=shelf)
    assert provisioning.provisioned(board) == before
    assert board.runtime(RunOptions()).version == "3.0"
    assert [each.name for each in (agent_home / "venvs").iterdir()] == [before.digest]


def test_a_wheel_that_was_damaged_on_its_way_is_not_installed(board: LinuxBoard, tmp_path: Path) -> None:
    def wrong(plan: RuntimePlan, *, again: bool) -> WheelSet:
        good = Shelf(tmp_path)(plan, again=again)
        return WheelSet(wheels=(Wheel(path=good.wheels[0].path, sha256="0" * 64), *good.wheels[1:]), digest=good.digest)

    with pytest.raises(InfrastructureError, match="damaged on its way"):
        provisioning.provision("board", board, upgrade=False, emit=silent, fetch=wrong)
    assert provisioning.provisioned(board) is None


def library(folder: Path, name: str, *needed: str) -> bytes:
    """A shared library that does nothing but need others."""
    if shutil.which("gcc") is None:
        pytest.skip("there is no C compiler; on Debian: apt-get install gcc")
    made = folder / name
    command = ["gcc", "-shared", "-x", "c", "-", f"-Wl,-soname,{name}", "-Wl,--no-as-needed", *needed, "-o", str(made)]
    subprocess.run(command, input=b"", cwd=folder, check=True)
    return made.read_bytes()


def test_what_there_is_no_wheel_of_comes_from_the_boards_debian(
    agent_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its libraries are found where they were unpacked, also those that others need."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    archive = Archive(tmp_path / "archive", "armhf")
    below, above = library(tmp_path, "libz-below.so.1"), library(tmp_path, "liba-above.so.3", "-L.", "-l:libz-below.so.1")
    archive.add("liba-above3", "1", {"usr/lib/a/blas/liba-above.so.3": above, "usr/lib/a/libz-below.so.1": below})
    module = b"import ctypes; ctypes.CDLL('liba-above.so.3')"
    archive.add("python3-numpy", "1.24", {"usr/lib/python3/dist-packages/of_debian.py": module}, "liba-above3")
    plan = RuntimePlan(runtime="litert", requirements=("ai-edge-litert",), platforms=(), python=(3, 11), debian=("python3-numpy",))
    shelf = Shelf(tmp_path)
    shelf.start += "import of_debian\n"
    with archive.serving() as line:
        tree = plant(tmp_path / "pi2", {"var/lib/dpkg/status": status("armhf"), "etc/apt/sources.list": line})
        board = LinuxBoard("pi2", LocalTransport(python_of(tree)))
        board.open()
        try:
            done = provisioning.install("pi2", board, plan, upgrade=False, emit=silent, fetch=shelf)
            again = provisioning.install("pi2", board, plan, upgrade=True, emit=silent, fetch=shelf)
        finally:
            board.close()
    assert sorted(done.stamp.debs) == ["liba-above3_1_armhf.deb", "python3-numpy_1.24_armhf.deb"]
    assert (done.changed, again.changed) == (True, False)


def test_a_board_that_is_no_debian_is_told_so(board: LinuxBoard, tmp_path: Path) -> None:
    bare = LinuxBoard("bare", LocalTransport(python_of(plant(tmp_path / "bare", {"proc/none": ""}))))
    board.close()
    bare.open()
    plan = RuntimePlan(runtime="litert", requirements=(), platforms=(), python=(3, 11), debian=("python3-numpy",))
    try:
        with pytest.raises(UsageError, match="no runtime yet"):
            provisioning.install("bare", bare, plan, upgrade=False, emit=silent, fetch=Shelf(tmp_path))
    finally:
        bare.close()


def test_the_model_to_try_is_the_one_that_its_source_says() -> None:
    tensors = [_tensor("x", (1, 8)), _tensor("weights", (8, 8), buffer=1), _tensor("y", (1, 8))]
    options = schema.FullyConnectedOptionsT()
    layer = _operator(0, [0, 1, -1], [2], schema.BuiltinOptions.FullyConnectedOptions, options)
    weights = (2 * np.eye(8, dtype="<f4")).tobytes()
    made = _model([schema.BuiltinOperator.FULLY_CONNECTED], [_graph(tensors, layer, [0], [2])], [weights])
    assert smoke_model.content() == made


def test_pip_is_asked_for_another_machine_and_for_no_address(tmp_path: Path) -> None:
    plan = RuntimePlan(
        runtime="tflite",
        requirements=("tflite-runtime==2.14.0",),
        platforms=("manylinux_2_34_armv7l", "manylinux2014_armv7l"),
        python=(3, 11),
        system_numpy=True,
    )
    command = pip_command(plan, tmp_path)
    text = " ".join(command)
    assert "--only-binary=:all: --platform manylinux_2_34_armv7l --platform manylinux2014_armv7l --python-version 3.11" in text
    assert "--no-deps" in command
    assert "://" not in text


@pytest.fixture
def crontab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cron whose table is a file of this test's."""
    if Path("/run/systemd/system").is_dir():
        pytest.skip("this machine runs systemd, whose units are not the tests' to write")
    command = tmp_path / "bin" / "crontab"
    command.parent.mkdir()
    command.write_text('#!/bin/sh\nif [ "$1" = -l ]; then cat "$TABLE" 2>/dev/null; else cat > "$TABLE"; fi\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(command.parent), prepend=":")
    monkeypatch.setenv("TABLE", str(tmp_path / "table"))
    return tmp_path / "table"


def prepared(tmp_path: Path, signing: str = "", **options: object) -> farm_boards.Prepared:
    """Provision this machine as `edgepipe farm provision` does."""
    path = tmp_path / "inventory.yaml"
    path.write_text(f"schema: 1\ndevices:\n  local: {{board: linux, target: host, transport: {{kind: local}}{signing}}}\n")
    options = {"emit": silent, "fetch": Shelf(tmp_path), **options}
    (done,) = farm_boards.provision("local", inventory=path, **options)  # type: ignore[arg-type]
    assert isinstance(done, farm_boards.Prepared), done
    return done


def test_a_board_is_given_what_deployments_rest_on_and_this_machine_only_when_asked(
    agent_home: Path, tmp_path: Path, crontab: Path
) -> None:
    needs_ssh_keygen()
    key = make_key(tmp_path / "key")
    assert (prepared(tmp_path).boot_hook, crontab.exists()) == ("", False)
    done = prepared(tmp_path, f", signing: {{key: {key}}}", boot_hook=True)
    assert done.boot_hook == "cron"
    assert str(agent_home) in crontab.read_text()
    assert done.signers
    assert (agent_home / "signers").exists()
    assert (prepared(tmp_path).boot_hook, prepared(tmp_path).signers) == ("cron", None)
    assert prepared(tmp_path, f", signing: {{key: {key}}}", unsigned=True).signers == ()
    assert not (agent_home / "signers").exists()
    farm_boards.unprovision("local", inventory=tmp_path / "inventory.yaml", emit=silent)
    assert str(agent_home) not in crontab.read_text()


def test_a_board_that_can_run_nothing_at_boot_is_provisioned_and_told_of(
    agent_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if Path("/run/systemd/system").is_dir():
        pytest.skip("this machine runs systemd, whose units are not the tests' to write")
    monkeypatch.setenv("PATH", "/nowhere")
    said: list[Event] = []
    assert prepared(tmp_path, boot_hook=True, emit=said.append).boot_hook == ""
    assert any(isinstance(event, Note) and event.warning and "--no-reboot-protection" in event.text for event in said)
