"""What runs at boot is installed once, recognised, runnable as it is written, and removed without a trace."""

from __future__ import annotations

import configparser
import hashlib
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from edgepipe.devices import agent_bundle
from edgepipe.devices.agent import boot_hook
from edgepipe.devices.agent.deployment import ROLLED_BACK, Deployment

CRONTAB = """#!/bin/sh
case "$1" in
-l) cat "$CRONTAB_FILE" 2>/dev/null ;;
-) cat > "$CRONTAB_FILE" ;;
esac
"""


@pytest.fixture
def crontab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A crontab command that keeps its table in a file, for machines without cron."""
    command = tmp_path / "bin" / "crontab"
    command.parent.mkdir()
    command.write_text(CRONTAB)
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("CRONTAB_FILE", str(tmp_path / "table"))
    return tmp_path / "table"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A board in the middle of a trial that nothing watches over."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "agent.pyz").write_bytes(agent_bundle.build().content)
    (folder / "incoming").write_text("one")
    sha256 = hashlib.sha256(b"one").hexdigest()
    deployment = Deployment(str(folder))
    deployment.store.add(str(folder / "incoming"), sha256)
    deployment.begin(sha256, deadline_s=60.0, version=None, protected="cron", arm=lambda trial: None)
    return folder


def test_a_line_for_cron_is_added_once_and_taken_away_alone(home: Path, crontab: Path, tmp_path: Path) -> None:
    crontab.write_text("0 3 * * * backup\n")
    nowhere = {"units": str(tmp_path / "none"), "running": str(tmp_path / "none")}
    assert boot_hook.installed(str(home), nowhere["units"]) == ""
    assert [boot_hook.install(str(home), **nowhere) for _ in range(2)] == ["cron", "cron"]
    assert boot_hook.installed(str(home), nowhere["units"]) == "cron"
    assert crontab.read_text().count("guard --boot") == 1
    boot_hook.remove(nowhere["units"])
    assert crontab.read_text() == "0 3 * * * backup\n"


def test_the_line_of_another_folder_protects_nothing_here(home: Path, crontab: Path, tmp_path: Path) -> None:
    boot_hook.install(str(tmp_path / "elsewhere"), str(tmp_path), str(tmp_path / "none"))
    assert boot_hook.installed(str(home), str(tmp_path / "none")) == ""


def test_what_cron_would_run_rolls_a_trial_back(home: Path) -> None:
    line = boot_hook.text(boot_hook.CRON, str(home))
    assert line.startswith("@reboot ")
    subprocess.run(["/bin/sh", "-c", line[len("@reboot ") :]], check=True, timeout=60)
    assert Deployment(str(home)).now().state == ROLLED_BACK


def test_the_unit_is_enabled_and_what_it_runs_rolls_a_trial_back(home: Path, tmp_path: Path) -> None:
    units, running = tmp_path / "units", tmp_path / "running"
    units.mkdir()
    running.mkdir()
    assert [boot_hook.install(str(home), str(units), str(running)) for _ in range(2)] == ["systemd", "systemd"]
    assert boot_hook.installed(str(home), str(units)) == "systemd"
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment]
    unit.read(units / "multi-user.target.wants" / "edgepipe-guard.service")
    service = unit["Service"]
    name, _, value = service["Environment"].partition("=")
    subprocess.run(shlex.split(service["ExecStart"]), env={**os.environ, name: value}, check=True, timeout=60)
    assert Deployment(str(home)).now().state == ROLLED_BACK
    boot_hook.remove(str(units))
    assert [path for path in units.rglob("*") if not path.is_dir()] == []


@pytest.mark.parametrize("folder", ["/srv/my models", "/srv/%h", "/srv/a;b", "/srv/$HOME", "/srv/a\nb"])
def test_a_folder_that_a_unit_or_a_crontab_would_misread_is_refused(folder: str) -> None:
    with pytest.raises(OSError, match="misread"):
        boot_hook.text(boot_hook.UNIT, folder)
    assert boot_hook.installed(folder) == ""
