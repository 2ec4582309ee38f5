"""Two results side by side, found by whatever the user calls them."""

from __future__ import annotations

from pathlib import Path

from edgepipe.errors import UsageError
from edgepipe.records import CompressionRecord, RunRecord
from edgepipe.reports.compare import Comparison
from edgepipe.reports.compare import compare as hold_against
from edgepipe.reports.store import Store, read_record


def compare(store: Store, a: str, b: str, *, control: tuple[str, str] | None = None) -> Comparison:
    """Hold `b` against `a`. Each is an id's beginning, `latest`, a JSON file, or a `.tflite` file or the beginning of its SHA-256.

    `control` names one model measured in both sessions. Raises UsageError for a name that is nothing, NotComparable.
    """
    controls = (_measurement(store, control[0]), _measurement(store, control[1])) if control else None
    return hold_against(find(store, a), find(store, b), control=controls)


def find(store: Store, name: str) -> RunRecord | CompressionRecord:
    """Return the one record that `name` means; of an artefact, its youngest measurement. Raises UsageError."""
    path = Path(name)
    if name == "latest":
        if latest := store.latest():
            return latest
        raise UsageError(f"nothing has been measured yet: {store.name} has no records", todo="Start with `edgepipe demo`.")
    if path.suffix == ".json":
        return read_record(path)
    if path.suffix == ".tflite":
        name = _sha256(path)
    found = store.find(name) if name else ()
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f'"{name}" is the beginning of {len(found)} ids', todo="Give more of its digits.")
    if runs := store.runs(artefact_sha256=name.lower() or "-"):
        return runs[-1]
    raise UsageError(
        f'no result is called "{name}" in {store.name}', todo="Give an id, `latest`, a JSON file, or a measured .tflite file."
    )


def _measurement(store: Store, name: str) -> RunRecord:
    record = find(store, name)
    if not isinstance(record, RunRecord):
        raise UsageError(f'"{name}" is no measurement', todo="A control is one model that was measured in both sessions.")
    return record


def _sha256(path: Path) -> str:
    import hashlib

    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as exc:
        raise UsageError(f"cannot read {path}: {exc.strerror}") from exc
