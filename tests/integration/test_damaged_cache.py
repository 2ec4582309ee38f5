"""What stands damaged in the cache is made again: never passed on, never an error."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from commandline import Command


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x55
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def convert(edgepipe: Command, zoo: Path) -> bytes:
    places = {"XDG_CACHE_HOME": str(edgepipe.folder / "cache"), "EDGEPIPE_RESULTS": str(edgepipe.folder / "results")}
    given = ("--data", zoo / "digits_like.npz", "--to", "out.tflite", "--quiet")
    done = edgepipe("convert", zoo / "keras2.keras", *given, **places)
    assert done.code == 0, done.err
    return (edgepipe.folder / "out.tflite").read_bytes()


@pytest.fixture(scope="module")
def first(zoo: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """A cache that one run has filled, and the file which that run gave."""
    once = Command(tmp_path_factory.mktemp("first"))
    given = convert(once, zoo)
    return once.folder / "cache", given


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("stages/*/model.tflite", flip),
        ("stages/*/model.keras", cut),
        ("stages/*/model.keras", Path.unlink),
        ("stages/*/manifest.json", cut),
        ("data/*/input_0.npy", flip),
        ("data/*/labels.npy", Path.unlink),
    ],
)
def test_the_next_run_gives_the_same_file(
    zoo: Path, edgepipe: Command, first: tuple[Path, bytes], name: str, damage: Callable[[Path], None]
) -> None:
    cache = shutil.copytree(first[0], edgepipe.folder / "cache")
    found = sorted((cache / "edgepipe").glob(name))
    assert found
    for path in found:
        damage(path)
    assert convert(edgepipe, zoo) == first[1]
    assert all(path.exists() and path.stat().st_size > 100 for path in found)
