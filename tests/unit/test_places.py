"""What is said where a disk refuses: how much it takes, and which of the user's words sends such files elsewhere."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgepipe.devices import firmware_build, virtual_image
from edgepipe.errors import StorageError
from edgepipe.pipeline.cache import Cache
from edgepipe.places import cache_dir, results_dir, storage_errors
from edgepipe.workflows.export import write_sources


def refused(path: Path, number: int, **known: int) -> StorageError:
    with pytest.raises(StorageError) as found, storage_errors(path, **known):
        raise OSError(number, "refused")
    return found.value


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC])
def test_each_kind_of_file_goes_elsewhere_by_a_word_of_its_own(number: int) -> None:
    caches = (Cache().root / "stages", cache_dir() / "wheels" / "0123", firmware_build.cache_folder(), virtual_image.image())
    for path in caches:
        assert "another place with XDG_CACHE_HOME" in refused(path, number).todo
    assert "another place with EDGEPIPE_RESULTS" in refused(results_dir() / "runs" / "1.json", number).todo
    assert "another place." in refused(Path("out"), number).todo


def test_only_a_full_disk_is_told_what_it_lacks() -> None:
    full, shut = (refused(Path("out"), number, needed_bytes=1234567) for number in (errno.ENOSPC, errno.EACCES))
    assert "the disk is full, and 1,234,567 bytes are needed" in full.what and "Free some space" in full.todo
    assert "needed" not in shut.what and "Free" not in shut.todo


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(tmp_path)], capture_output=True, check=False
    ).returncode:
        pytest.skip("a full disk needs the right to mount a tmpfs: run the tests as root")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_disk_that_is_too_small_for_an_export_is_left_as_it_was(small_disk: Path) -> None:
    (small_disk / "mine").mkdir()
    for to in (small_disk / "new" / "folder", small_disk / "mine"):
        with pytest.raises(StorageError, match="100,003 bytes are needed"):
            write_sources(to, {"engine/a.c": "int", "weights.c": "0" * 100_000})
    assert list(small_disk.rglob("*")) == [small_disk / "mine"]
    write_sources(small_disk / "mine", {"engine/a.c": "int"})
    assert (small_disk / "mine" / "engine" / "a.c").read_text() == "int"
