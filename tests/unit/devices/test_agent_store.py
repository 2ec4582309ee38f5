"""The store takes only what it was promised, keeps entries whole, and never prunes what is in use."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from edgepipe.devices.agent.store import GOLDEN, Store, WrongHash

CONTENT = b"a model"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def arrived(folder: Path, content: bytes = CONTENT) -> str:
    path = folder / "incoming"
    path.write_bytes(content)
    return str(path)


def add(store: Store, folder: Path, content: bytes, age_s: int = 0) -> str:
    """Store a model as if it had been used `age_s` ago."""
    sha256 = hashlib.sha256(content).hexdigest()
    store.add(arrived(folder, content), sha256)
    os.utime(folder / "store" / f"sha256-{sha256}", (10**9 - age_s, 10**9 - age_s))
    return sha256


def test_a_model_is_stored_under_its_hash_and_the_file_that_came_is_gone(tmp_path: Path) -> None:
    store, source = Store(str(tmp_path)), arrived(tmp_path)
    store.add(source, SHA256, name="kws.tflite")
    place = tmp_path / "store" / f"sha256-{SHA256}"
    assert store.path(SHA256) == str(place / "model.tflite")
    assert (place / "model.tflite").read_bytes() == CONTENT
    manifest = {"schema": 1, "sha256": SHA256, "size_bytes": len(CONTENT), "name": "kws.tflite"}
    assert json.loads((place / "manifest.json").read_text()) == manifest
    assert not Path(source).exists()


def test_another_file_than_announced_leaves_nothing_behind(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    with pytest.raises(WrongHash, match="announced"):
        store.add(arrived(tmp_path), "0" * 64)
    assert store.path("0" * 64) is None
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("left", [".part-4711", ".gone-4711"])
def test_what_a_killed_agent_left_half_done_is_cleaned_up(tmp_path: Path, left: str) -> None:
    half = tmp_path / "store" / left
    half.mkdir(parents=True)
    (half / "model.tflite").write_bytes(CONTENT[:3])
    Store(str(tmp_path)).clean()
    assert not half.exists()


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "0" * 63, "G" * 64, f"{'0' * 63}/"])
def test_what_is_no_hash_reaches_no_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(WrongHash, match="is no sha256"):
        Store(str(tmp_path)).path(name)


def test_a_damaged_model_is_not_sound_and_is_mended_in_its_place(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.add(arrived(tmp_path), SHA256)
    path = Path(str(store.path(SHA256)))
    path.write_bytes(CONTENT[:-1])
    assert store.path(SHA256)
    assert store.sound(SHA256) is None
    store.add(arrived(tmp_path), SHA256)
    assert store.sound(SHA256) == str(path)


def test_an_entry_without_its_manifest_is_not_there(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.add(arrived(tmp_path), SHA256)
    (tmp_path / "store" / f"sha256-{SHA256}" / "manifest.json").unlink()
    assert store.path(SHA256) is None
    store.add(arrived(tmp_path), SHA256)
    assert store.sound(SHA256)


def test_golden_samples_are_kept_beside_models(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.add(arrived(tmp_path), SHA256, GOLDEN)
    assert store.path(SHA256) is None
    assert store.sound(SHA256, GOLDEN)


def test_pruning_keeps_what_is_in_use_and_what_was_used_last(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    stored = [add(store, tmp_path, bytes([number]), age_s=number) for number in range(6)]
    gone = store.prune({stored[5]}, kept=2)
    assert set(gone) == set(stored[2:5])
    assert [bool(store.sound(sha256)) for sha256 in stored] == [True, True, False, False, False, True]
    assert store.prune({stored[5]}, kept=2) == []
