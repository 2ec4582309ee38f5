"""What stands damaged in the cache is made again: never passed on, never an error."""

from __future__ import annotations

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
def test_the_next_run_gives_the_same_file(zoo: Path, edgepipe: Command, name: str, damage: Callable[[Path], None]) -> None:
    cache = edgepipe.folder / "cache"

    def run() -> bytes:
        arguments = ("convert", zoo / "keras2.keras", "--data", zoo / "digits_like.npz", "--to", "out.tflite", "--quiet")
        done = edgepipe(*arguments, XDG_CACHE_HOME=str(cache), EDGEPIPE_RESULTS=str(edgepipe.folder / "results"))
        assert done.code == 0, done.err
        return (edgepipe.folder / "out.tflite").read_bytes()

    first = run()
    found = sorted((cache / "edgepipe").glob(name))
    assert found
    for path in found:
        damage(path)
    assert run() == first
    assert all(path.exists() and path.stat().st_size > 100 for path in found)
