"""A bundle's files in memory, read from a folder or a .zip that may be hostile, written as either whole or not at all."""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from edgepipe.bundles import KIND, MANIFEST
from edgepipe.errors import UsageError, VerifyFailed
from edgepipe.pipeline.zip_damage import ZIP_DAMAGE
from edgepipe.places import storage_errors, write_whole

PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
AGAIN = "Copy the bundle again, or make it anew: `edgepipe bundle MODEL --to PATH`."
MOST_FILES = 64
LARGEST_BYTES = 1 << 30  # of all files together
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a .zip can say
ENCRYPTED = 1  # bit of a member's flags

Files = dict[str, bytes]


def plain(name: str) -> bool:
    """Return whether a name is one that a bundle uses: no folder, no link out, nothing a shell or a file system obeys."""
    return PLAIN_NAME.fullmatch(name) is not None


def read(path: Path) -> tuple[Files, list[str]]:
    """Return the files of a bundle, and a problem for everything in it that is no plain file of its top folder.

    Raises UsageError where there is no bundle at all, VerifyFailed for a .zip that cannot be read.
    """
    if path.is_dir():
        return _read_folder(path)
    if path.is_file():
        return _read_zip(path)
    raise UsageError(f"there is no bundle at {path}", cause="a typo, or another current folder", todo="Check the path.")


def _read_folder(path: Path) -> tuple[Files, list[str]]:
    files: Files = {}
    problems = []
    left = LARGEST_BYTES
    for number, each in enumerate(sorted(path.iterdir())):
        mode = each.lstat().st_mode
        if number >= MOST_FILES:
            problems.append(f"more than {MOST_FILES} files")
            break
        if stat.S_ISLNK(mode):
            problems.append(f"{each.name!r}: a symbolic link")
        elif not stat.S_ISREG(mode):
            problems.append(f"{each.name!r}: a folder, a pipe or a device, not a file")
        elif not plain(each.name):
            problems.append(f"{each.name!r}: not a name that a bundle uses")
        else:
            # Not followed, should it have become a link meanwhile.
            with os.fdopen(os.open(each, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
                content = _limited(file, left)
            if content is None:
                problems.append(f"{each.name!r}: too large")
                continue
            files[each.name] = content
            left -= len(content)
    return files, problems


def _limited(file: IO[bytes], most: int) -> bytes | None:
    content = file.read(most + 1)
    return None if len(content) > most else content


def _read_zip(path: Path) -> tuple[Files, list[str]]:
    files: Files = {}
    problems = []
    left = LARGEST_BYTES
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > MOST_FILES:
                raise VerifyFailed(f"{path} holds {len(members)} files, more than {MOST_FILES}", todo=AGAIN)
            for member in members:
                if wrong := _wrong(member, files):
                    problems.append(f"{member.filename!r}: {wrong}")
                    continue
                with archive.open(member) as file:
                    content = _limited(file, left)
                if content is None:
                    problems.append(f"{member.filename!r}: too large")
                    continue
                files[member.filename] = content
                left -= len(content)
    except ZIP_DAMAGE as exc:
        raise VerifyFailed(f"{path} is no whole .zip: {exc}", cause="it was cut short or damaged on the way", todo=AGAIN) from exc
    return files, problems


def _wrong(member: zipfile.ZipInfo, known: Mapping[str, bytes]) -> str:
    mode = member.external_attr >> 16
    if mode and not stat.S_ISREG(mode) and stat.S_IFMT(mode):
        return "a link, a folder or a device, not a file"
    if not plain(member.filename) or member.orig_filename != member.filename:
        return "not a name that a bundle uses"
    if member.filename in known:
        return "there twice"
    if member.flag_bits & ENCRYPTED or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "packed in a way that is not read"
    return ""


def write(to: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder, or one file where `to` ends with .zip; the same files give the same bytes. An older bundle is replaced.

    Raises UsageError where something else stands there, StorageError.
    """
    if to.suffix == ".zip":
        if to.exists() and not to.is_file():
            raise _occupied(to)
        write_whole(to, _zip(files))
        return
    if to.is_symlink() or (to.exists() and not _replaceable(to)):
        raise _occupied(to)
    with storage_errors(to):
        to.absolute().parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{to.name}.", dir=to.absolute().parent))
        try:
            part.chmod(0o755)
            for name, content in files.items():
                write_whole(part / name, content)
            _put_in_place(part, to)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _replaceable(to: Path) -> bool:
    if not to.is_dir():
        return False
    if not any(to.iterdir()):
        return True
    manifest = to / MANIFEST
    return manifest.is_file() and f'"{KIND}"'.encode() in manifest.read_bytes()


def _occupied(to: Path) -> UsageError:
    return UsageError(f"{to} is there already and is no bundle; it was left as it is", todo="Choose another place with --to.")


def _put_in_place(part: Path, to: Path) -> None:
    if not to.exists():
        part.rename(to)
        return
    aside = part.with_name(f"{part.name}.old")
    to.rename(aside)
    try:
        part.rename(to)
    except OSError:
        aside.rename(to)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _zip(files: Mapping[str, bytes]) -> bytes:
    """Return a .zip without compression, which differs between versions of zlib, and without times or owners."""
    import io

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            member = zipfile.ZipInfo(name, EPOCH)
            member.create_system, member.external_attr = 3, (stat.S_IFREG | 0o644) << 16
            archive.writestr(member, files[name])
    return packed.getvalue()
