"""Two results side by side, found by whatever the user calls them."""

from __future__ import annotations

import hashlib
from itertools import product
from pathlib import Path

from edgepipe.errors import UsageError
from edgepipe.pipeline.inspect.flatbuffer import read_file
from edgepipe.records import RunRecord
from edgepipe.reports.compare import Comparison, comparable
from edgepipe.reports.compare import compare as hold_against
from edgepipe.reports.store import Record, Store, read_record


def compare(store: Store, a: str, b: str, *, control: tuple[str, str] | None = None) -> Comparison:
    """Hold `b` against `a`. Each is an id's beginning, `latest`, a JSON file, or a `.tflite` file or the beginning of its SHA-256.

    A file that was measured more than once stands for the youngest measurement that can be compared with the other side.
    `control` names one model measured in both sessions. Raises UsageError for a name that is nothing, NotComparable.
    """
    controls = (_measurement(store, control[0]), _measurement(store, control[1])) if control else None
    pairs = list(product(find(store, a), find(store, b)))
    old, new = next((pair for pair in pairs if comparable(*pair)), pairs[0])
    return hold_against(old, new, control=controls)


def find(store: Store, name: str) -> tuple[Record, ...]:
    """Return what `name` may mean, the youngest first: one record, or all measurements of a file. Raises UsageError for nothing."""
    path = Path(name)
    if name == "latest":
        if latest := store.latest():
            return (latest,)
        raise UsageError(f"nothing has been measured yet: {store.name} has no records", todo="Start with `edgepipe demo`.")
    if path.suffix == ".json":
        return (read_record(path),)
    if path.suffix == ".tflite":
        name = hashlib.sha256(read_file(path)).hexdigest()
    found = store.find(name) if name else ()
    if len(found) > 1:
        raise UsageError(f'"{name}" is the beginning of {len(found)} ids', todo="Give more of its digits.")
    if records := found or store.runs(artefact_sha256=name.lower() or "-")[::-1]:
        return records
    raise UsageError(
        f'no result is called "{name}" in {store.name}', todo="Give an id, `latest`, a JSON file, or a measured .tflite file."
    )


def _measurement(store: Store, name: str) -> RunRecord:
    record = find(store, name)[0]
    if not isinstance(record, RunRecord):
        raise UsageError(f'"{name}" is no measurement', todo="A control is one model that was measured in both sessions.")
    return record
