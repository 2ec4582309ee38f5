"""Which boards are meant: names, globs and labels, separated by commas (`pi4`, `mcu-*`, `lab=a`, `local,target=pi`)."""

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
        raise UsageError(f"{inventory.source} has no such device", problems=problems)
    return tuple(entry for entry in devices.values() if any(_means(term, entry) for term in terms))


def _means(term: str, entry: DeviceEntry) -> bool:
    key, labelled, value = term.partition("=")
    if not labelled:
        return fnmatchcase(entry.name, term)
    found = _labels(entry).get(key)
    return found is not None and fnmatchcase(found, value)


def _labels(entry: DeviceEntry) -> dict[str, str]:
    """Return its labels, and under the keys of the inventory what it is."""
    return {"board": entry.board, "target": entry.target, "kind": entry.transport.kind, **entry.labels}


def _nothing(inventory: Inventory, term: str) -> str:
    key, labelled, _ = term.partition("=")
    if not labelled:
        return f'"{term}" matches nothing.{suggestion(term, list(inventory.devices))}'
    labels = [_labels(entry) for entry in inventory.devices.values()]
    values = sorted({label[key] for label in labels if key in label})
    if values:
        return f'"{term}" matches nothing; "{key}" has the values {", ".join(values)}.'
    return f'no device has the label "{key}".{suggestion(key, sorted({name for label in labels for name in label}))}'
