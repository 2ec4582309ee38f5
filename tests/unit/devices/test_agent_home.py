"""One agent holds a board, and the state goes where it may."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgepipe.devices.agent.home import Busy, Lock, home


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


def test_users_with_homes_of_their_own_share_one_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGEPIPE_HOME", raising=False)
    homes = [tmp_path / "root", tmp_path / "edge"]
    for folder in homes:
        folder.mkdir()
    nobody_writes, everybody_writes = tmp_path / "missing", tmp_path
    shared = [str(nobody_writes), str(everybody_writes)]
    first = Lock(str(homes[0]), shared)
    first.sign("root")
    (homes[1] / "lock").write_text('{"pid": 1, "holder": "somebody of last week"}')
    with pytest.raises(Busy) as raised:
        Lock(str(homes[1]), shared)
    assert raised.value.holder == {}
    (tmp_path / "edgepipe.lock").chmod(0o444)
    monkeypatch.setenv("EDGEPIPE_HOME", str(homes[1]))
    Lock(str(homes[1]), shared)  # a board of its own


def test_a_lock_file_that_is_no_file_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGEPIPE_HOME", raising=False)
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "edgepipe.lock").symlink_to(tmp_path / "elsewhere")
    Lock(str(tmp_path), [str(tmp_path / "linked")])
    assert not (tmp_path / "elsewhere").exists()


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
