"""The package holds all of itself: what stands in the tree is in the wheel, imports point down, every module says what it is."""

import ast
import configparser
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Where each folder of the tree stands in the package.
PLACES = {"src/edgepipe": "edgepipe", "pipeline": "edgepipe/pipeline", "devices": "edgepipe/devices", "reports": "edgepipe/reports"}


def sources(folder: Path) -> Iterator[Path]:
    """Every file below `folder` that somebody wrote."""
    for path in sorted(folder.rglob("*")):
        generated = "__pycache__" in path.parts or any(part.endswith(".egg-info") for part in path.parts)
        if path.is_file() and not generated and not path.name.startswith("."):
            yield path


MODULES = [path for place in PLACES for path in sources(ROOT / place) if path.suffix == ".py"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy: setuptools would take what an older build left in build/."""
    copy = tmp_path_factory.mktemp("copy")
    for place in PLACES:
        shutil.copytree(ROOT / place, copy / place, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "README.md"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, copy / name)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(copy / "dist"), str(copy)]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout[-2000:] + built.stderr[-2000:]
    (path,) = (copy / "dist").glob("*.whl")
    return path


def test_the_wheel_holds_every_file_of_the_tree_and_nothing_else(wheel: Path) -> None:
    written = {
        (Path(package) / path.relative_to(ROOT / place)).as_posix()
        for place, package in PLACES.items()
        for path in sources(ROOT / place)
    }
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert packed - written == set()
    assert written - packed == set(), "forgotten in [tool.setuptools] packages or package-data of pyproject.toml"


def test_the_wheel_brings_the_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/entry_points.txt"))
        entries = configparser.ConfigParser()
        entries.read_string(archive.read(name).decode())
    assert dict(entries["console_scripts"]) == {"edgepipe": "edgepipe.cli:main"}


def test_the_wheel_works_by_itself(wheel: Path, tmp_path: Path) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(wheel)!r}); import edgepipe.cli as cli; print(cli.__file__); cli.main_inner(['-h'])"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[0].startswith(str(wheel))
    assert "Make it small" in ran.stdout


def test_imports_point_down_only() -> None:
    tool = Path(sys.executable).with_name("lint-imports")
    linted = subprocess.run([str(tool), "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert linted.returncode == 0, linted.stdout


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_in_its_first_line_what_it_is(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring, "a module begins with a docstring"
    assert docstring.splitlines()[0].strip()
