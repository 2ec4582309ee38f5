"""The agent is one file whose hash depends on its sources alone, and old boards can run it."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path

from edgepipe.devices import agent_bundle

SOURCES = Path(__file__).parents[3] / "devices" / "agent"


def test_it_is_the_same_every_time_and_in_every_process() -> None:
    code = "from edgepipe.devices import agent_bundle; print(agent_bundle.build().sha256)"
    elsewhere = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert agent_bundle.build() == agent_bundle.build()
    assert agent_bundle.build().sha256 == elsewhere


def test_it_holds_every_source_and_nothing_else() -> None:
    with zipfile.ZipFile(io.BytesIO(agent_bundle.build().content)) as bundle:
        names = set(bundle.namelist())
        assert {info.date_time for info in bundle.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    sources = {f"edgepipe_agent/{path.relative_to(SOURCES).as_posix()}" for path in SOURCES.rglob("*.py")}
    assert names == sources | {"__main__.py"}


def test_it_needs_no_more_than_python_3_7() -> None:
    vermin = [
        str(Path(sys.executable).with_name("vermin")),
        "--target=3.7-",
        "--violations",
        "--no-tips",
        "--eval-annotations",
        str(SOURCES),
    ]
    run = subprocess.run(vermin, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout


def test_the_agent_itself_imports_neither_numpy_nor_a_runtime(tmp_path: Path) -> None:
    path = tmp_path / "agent.pyz"
    path.write_bytes(agent_bundle.build().content)
    code = (
        f"import sys; sys.path.insert(0, {str(path)!r}); import edgepipe_agent.serve; "
        "print(sorted({'numpy', 'ai_edge_litert', 'tflite_micro', 'edgepipe'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_it_says_how_it_is_used(tmp_path: Path) -> None:
    path = tmp_path / "agent.pyz"
    path.write_bytes(agent_bundle.build().content)
    run = subprocess.run([sys.executable, "-I", str(path)], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    roles = "serve | meter | block | predict | work | delegate | provision | check | guard [--boot] | report-crash [WORDS]"
    assert run.stderr.strip() == f"usage: agent {roles}"
