"""What is in the cache is whole; what failed leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgepipe.pipeline.cache import Cache, key_of


def test_a_folder_appears_when_its_block_succeeds(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    with cache.fill("stages", "k") as part:
        assert cache.find("stages", "k") is None
        (part / "model.tflite").write_bytes(b"x")
    found = cache.find("stages", "k")
    assert found is not None and (found / "model.tflite").read_bytes() == b"x"


def test_a_failed_block_leaves_nothing(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    with pytest.raises(KeyboardInterrupt), cache.fill("stages", "k") as part:
        (part / "half").write_bytes(b"x")
        raise KeyboardInterrupt
    assert list((tmp_path / "stages").iterdir()) == []


def test_two_who_compute_the_same_agree(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    with cache.fill("stages", "k") as first, cache.fill("stages", "k") as second:
        (first / "f").write_text("one")
        (second / "f").write_text("two")
    assert [path.name for path in (tmp_path / "stages").iterdir()] == ["k"]


def test_a_damaged_value_is_computed_again(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.keep("v", {"a": 1})
    assert cache.value("v") == {"a": 1}
    (tmp_path / "values" / "v.json").write_text('{"a"')
    assert cache.value("v") is None


def test_the_key_depends_on_every_part() -> None:
    assert key_of(a=1, b=2) == key_of(b=2, a=1)
    assert len({key_of(a=1), key_of(a=2), key_of(b=1), key_of(a="1")}) == 4
