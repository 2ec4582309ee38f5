"""Which boards are meant: names, globs and labels. A comma means "or" (`pi4,mcu-*,lab=a`), a plus "and" (`pi*+lab=a`)."""

from __future__ import annotations

from fnmatch import fnmatchcase

from edgepipe.devices.inventory import BUILT_IN, DeviceEntry, Inventory
from edgepipe.documents import suggestion
from edgepipe.errors import UsageError


def select(inventory: Inventory, selector: str) -> tuple[DeviceEntry, ...]:
    """Return the boards that any term of `selector` means, in the inventory's order. Raises UsageError where one means none.

    `local`, this machine, can always be named, but only a file that lists it lets a glob or a label mean it.
    """
    terms = [term.strip() for term in selector.split(",") if term.strip()]
    if not terms:
        raise UsageError("no device was named", todo=f"Known in {inventory.source}: {', '.join(inventory.devices)}.")
    devices = {**{name: entry for name, entry in BUILT_IN.devices.items() if name in terms}, **inventory.devices}
    problems = [_nothing(inventory, term) for term in terms if not any(_means(term, entry) for entry in devices.values())]
    if problems:
        raise UsageError(
            f"{inventory.source} has no such device",
            problems=problems,
            todo="`edgepipe farm list --offline` shows names and labels.",
        )
    return tuple(entry for entry in devices.values() if any(_means(term, entry) for term in terms))


def select_one(inventory: Inventory, selector: str) -> DeviceEntry:
    """Return the one board that `selector` means. Raises UsageError where it means none, or several."""
    entries = select(inventory, selector)
    if len(entries) > 1:
        names = [entry.name for entry in entries]
        raise UsageError(f'"{selector}" means {len(entries)} devices', problems=names, todo="Name one.")
    return entries[0]


def _means(term: str, entry: DeviceEntry) -> bool:
    return all(_fits(part.strip(), entry) for part in term.split("+"))


def _fits(part: str, entry: DeviceEntry) -> bool:
    key, labelled, value = part.partition("=")
    if not labelled:
        return fnmatchcase(entry.name, part)
    return any(fnmatchcase(found, value) for found in _labels(entry).get(key, ()))


def _labels(entry: DeviceEntry) -> dict[str, tuple[str, ...]]:
    """Return its labels, and under the keys of the inventory what it is; its `kind` is that of board and of transport."""
    known = {
        "board": (entry.board,),
        "target": (entry.target,),
        "transport": (entry.transport.kind,),
        "kind": (entry.board, entry.transport.kind),
        "emulated": ("yes" if entry.is_virtual else "no",),
    }
    return {**known, **{key: (value,) for key, value in entry.labels.items()}}


def _nothing(inventory: Inventory, term: str) -> str:
    """Return why no board is meant: the first part of the term that fits none, else that no board has all of them."""
    for part in (part.strip() for part in term.split("+")):
        if not any(_fits(part, entry) for entry in inventory.devices.values()):
            return _unknown(inventory, part)
    return f'"{term}" matches nothing: no device has all of it'


def _unknown(inventory: Inventory, term: str) -> str:
    key, labelled, _ = term.partition("=")
    if not labelled:
        return f'"{term}" matches nothing.{suggestion(term, list(inventory.devices))}'
    labels = [_labels(entry) for entry in inventory.devices.values()]
    values = sorted({value for label in labels for value in label.get(key, ())})
    if values:
        return f'"{term}" matches nothing; "{key}" has the values {", ".join(values)}.'
    return f'no device has the label "{key}".{suggestion(key, sorted({name for label in labels for name in label}))}'
