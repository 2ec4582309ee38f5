"""Boards enter and leave an inventory file; what a person wrote there, comments and order and layout, stays as it is.

Only the lines of the one board are written or removed, and only where the file reads afterwards as it should.
"""

from __future__ import annotations

import fcntl
import io
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgepipe.devices.inventory import FILE_NAME, find_inventory, read_inventory
from edgepipe.documents import read_yaml, suggestion
from edgepipe.errors import InventoryError
from edgepipe.places import storage_errors, write_whole

WIDTH = 110  # of the lines that are written
NEW = """\
# The boards that edgepipe may use; `edgepipe farm schema` says what can stand here.
schema: 1

devices:
  local:
    board: linux
    target: host
    transport: {kind: local}
"""
BRACED = ("transport", "labels", "power", "flash")  # short enough for one line


def inventory_file(path: Path | None) -> Path:
    """Return the file to write to: `path`, else the one that is read, else ./farm_inventory.yaml, which may not exist yet."""
    return (path or find_inventory() or Path(FILE_NAME)).resolve()


def add_device(path: Path, name: str, entry: Mapping[str, Any], *, comment: str = "", replace: bool = False) -> None:
    """Write a board into the file, which is made where it is missing. Raises InventoryError where it would not be right then."""
    with _locked(path):
        if not path.exists():
            write_whole(path, NEW)
        read_inventory(path)
        if replace and name in read_yaml(path, InventoryError)["devices"]:
            _change(path, lambda text: _without(text, name), lambda devices: devices.pop(name))
        if name in read_yaml(path, InventoryError)["devices"]:
            raise InventoryError(
                f'{path} has a device "{name}" already', todo=f"Choose another name, or edgepipe farm remove {name}."
            )
        _change(path, lambda text: _with(text, name, entry, comment), lambda devices: devices.update({name: entry}))


def remove_device(path: Path, name: str) -> None:
    """Take a board out of the file. Raises InventoryError where it is not there, or is the only one."""
    with _locked(path):
        devices = read_inventory(path).devices
        if name not in devices:
            raise InventoryError(f'{path} has no device "{name}".{suggestion(name, list(devices))}')
        if len(devices) == 1:
            raise InventoryError(
                f"{name} is the only device in {path}", todo="An inventory names at least one: delete the file instead."
            )
        _change(path, lambda text: _without(text, name), lambda left: left.pop(name))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let nobody else edit between reading and writing: a kernel lock on the folder, since the file itself is replaced."""
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path.parent, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def _change(path: Path, edit: Callable[[str], str], expected: Callable[[dict[str, Any]], object]) -> None:
    """Write the edited text, provided that it reads as what it was, changed as expected."""
    before = read_yaml(path, InventoryError)
    text = edit(path.read_text(encoding="utf-8"))
    beside = path.with_name(f".{path.name}.{os.getpid()}.check")
    try:
        write_whole(beside, text)
        expected(before["devices"])
        if read_yaml(beside, InventoryError) != before:
            raise InventoryError(f"{path} could not be changed without changing other devices", todo="Edit it by hand.")
        try:
            read_inventory(beside)
        except InventoryError as exc:
            raise InventoryError(f"{path} would have {len(exc.problems) or 1} problem(s)", problems=exc.problems) from exc
    finally:
        beside.unlink(missing_ok=True)
    write_whole(path, text)


def _with(text: str, name: str, entry: Mapping[str, Any], comment: str) -> str:
    devices = _devices(text)
    if devices.flow_style:
        return _round_trip(text, lambda known: known.update({name: dict(entry)}))
    lines = text.splitlines(keepends=True)
    key, last = devices.value[-1]
    at = _last_line(last) + 1
    if not lines[at - 1].endswith("\n"):
        lines[at - 1] += "\n"
    gap = "\n" if _is_spaced(lines, key.start_mark.line) else ""
    return "".join([*lines[:at], gap, _block(name, entry, comment, key.start_mark.column), *lines[at:]])


def _without(text: str, name: str) -> str:
    devices = _devices(text)
    if devices.flow_style:
        return _round_trip(text, lambda known: known.pop(name))
    lines = text.splitlines(keepends=True)
    key, value = next(pair for pair in devices.value if pair[0].value == name)
    first, end = key.start_mark.line, _last_line(value) + 1
    if first and not lines[first - 1].strip():  # the gap that `add_device` made
        first -= 1
    return "".join(lines[:first] + lines[end:])


def _devices(text: str) -> Any:
    """Return the node under "devices"."""
    from ruamel.yaml import YAML

    root = YAML(typ="safe", pure=True).compose(text)
    return next(value for key, value in root.value if key.value == "devices")


def _last_line(node: Any) -> int:
    """Return the number of the last line with something of this node; blank lines and comments after it are not its own."""
    if isinstance(node.value, list) and node.value and not node.flow_style:
        last = node.value[-1]
        return _last_line(last[1] if isinstance(last, tuple) else last)
    end = node.end_mark
    return int(end.line if end.column or end.line == node.start_mark.line else end.line - 1)


def _is_spaced(lines: list[str], first: int) -> bool:
    """Return whether boards are kept apart by blank lines; a board of many lines is."""
    return bool(first and not lines[first - 1].strip()) or "{" not in lines[first]


def _block(name: str, entry: Mapping[str, Any], comment: str, indent: int) -> str:
    """Return the lines of a board."""
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap

    fields = CommentedMap(entry)
    for key in BRACED:
        if key in fields:
            fields[key] = CommentedMap(fields[key])
            fields[key].fa.set_flow_style()
    stream = io.StringIO()
    yaml = YAML()
    yaml.width = 4096
    yaml.dump({name: fields}, stream)
    first, *rest = stream.getvalue().splitlines()
    note = [f"  # {comment}"] if comment else []
    return "".join(f"{' ' * indent}{line}\n" for line in [first, *note, *rest])


def _round_trip(text: str, change: Callable[[Any], object]) -> str:
    """Edit boards that stand between braces; ruamel keeps comments and order, not the breaks of lines."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width, yaml.preserve_quotes = WIDTH, True
    document = yaml.load(text)
    change(document["devices"])
    stream = io.StringIO()
    yaml.dump(document, stream)
    return stream.getvalue()
