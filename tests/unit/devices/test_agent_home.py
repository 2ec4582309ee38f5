"""The store takes only what it was promised, and the state goes where it may."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from edgepipe.devices.agent.home import Busy, Lock, Store, WrongHash, home

CONTENT = b"a model"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def arrived(folder: Path) -> str:
    path = folder / "incoming"
    path.write_bytes(CONTENT)
    return str(path)


def test_a_model_is_stored_under_its_hash_and_the_file_that_came_is_gone(tmp_path: Path) -> None:
    store, source = Store(str(tmp_path)), arrived(tmp_path)
    store.add(source, SHA256)
    assert store.path(SHA256) == str(tmp_path / "store" / f"sha256-{SHA256}" / "model.tflite")
    assert Path(str(store.path(SHA256))).read_bytes() == CONTENT
    assert not Path(source).exists()


def test_another_file_than_announced_leaves_nothing_behind(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    with pytest.raises(WrongHash, match="announced"):
        store.add(arrived(tmp_path), "0" * 64)
    assert store.path("0" * 64) is None
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_a_killed_agent_left_half_written_is_cleaned_up(tmp_path: Path) -> None:
    half = tmp_path / "store" / ".part-4711"
    half.parent.mkdir()
    half.write_bytes(CONTENT[:3])
    Store(str(tmp_path))
    assert not half.exists()


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "0" * 63, "G" * 64, f"{'0' * 63}/"])
def test_what_is_no_hash_reaches_no_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(WrongHash, match="is no sha256"):
        Store(str(tmp_path)).path(name)


def test_a_second_lock_is_refused_and_names_the_first(tmp_path: Path) -> None:
    first = Lock(str(tmp_path))
    first.sign("somebody")
    with pytest.raises(Busy) as raised:
        Lock(str(tmp_path))
    assert raised.value.holder["holder"] == "somebody"


def test_a_shorter_signature_leaves_nothing_of_a_longer_one(tmp_path: Path) -> None:
    first = Lock(str(tmp_path))
    first.sign("somebody with a long name")
    first.sign("me")
    with pytest.raises(Busy) as raised:
        Lock(str(tmp_path))
    assert raised.value.holder["holder"] == "me"


def test_state_goes_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEPIPE_HOME", str(tmp_path / "deep" / "home"))
    assert home() == str(tmp_path / "deep" / "home")
    assert (tmp_path / "deep" / "home").is_dir()


def test_a_home_that_cannot_be_made_is_an_error_and_no_other_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EDGEPIPE_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(OSError, match="EDGEPIPE_HOME"):
        home()


def test_without_a_wish_the_home_is_a_place_of_the_system_or_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGEPIPE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert home() in ("/var/lib/edgepipe", str(tmp_path / ".local/share/edgepipe"))
    assert not (tmp_path / "None").exists()
