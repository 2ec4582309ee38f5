"""The report: from the store to one page that opens anywhere, and to files in other formats."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgepipe import places
from edgepipe.errors import UsageError
from edgepipe.records import CompressionRecord, RunOutcome, RunRecord
from edgepipe.reports.store import Store

MOST_RECIPES = 4  # on one page; `--run ID` shows any other
MOST_RUNS = 24


@dataclass(frozen=True, kw_only=True)
class Report:
    """The page that was written and the records on it."""

    page: Path
    compressions: tuple[CompressionRecord, ...]
    runs: tuple[RunRecord, ...]


def report(store: Store, *, run: str = "", to: Sequence[Path] = ()) -> Report:
    """Write the youngest results, or the record whose id starts with `run`, to the files `to`, each in the format of its ending.

    There is always a page: in the results folder where `to` names none. Raises UsageError where there is nothing to report and for
    an unknown ending, StorageError where a file cannot be written.
    """
    from edgepipe.reports.render.formats import FORMATS, PAGE

    if unknown := [str(path) for path in to if path.suffix not in FORMATS]:
        raise UsageError("this is no format of a report", problems=unknown, todo=f"Name files that end in {' or '.join(FORMATS)}.")
    compressions, runs = _chosen(store, run) if run else _youngest(store)
    if not compressions and not runs:
        raise UsageError(f"nothing has been measured yet: {store.name} has no records", todo="Start with `edgepipe demo`.")
    pages = [path for path in to if path.suffix == PAGE]
    own = [] if pages else [store.folder / "reports" / f"{_page_name(compressions, runs)}{PAGE}"]
    for path in (*own, *to):
        places.write_whole(path, FORMATS[path.suffix](compressions, runs))
    return Report(page=(*pages, *own)[0].absolute(), compressions=compressions, runs=runs)


def _chosen(store: Store, prefix: str) -> tuple[tuple[CompressionRecord, ...], tuple[RunRecord, ...]]:
    found = store.find(prefix)
    if len(found) == 1 and isinstance(found[0], CompressionRecord):
        made = {artefact.sha256 for artefact in found[0].artefacts}
        return (found[0],), _youngest_of_each(record for record in store.runs() if record.artefact_sha256 in made)
    return (), (store.run(prefix),)


def _youngest(store: Store) -> tuple[tuple[CompressionRecord, ...], tuple[RunRecord, ...]]:
    recipes = {(record.recipe, record.target): record for record in store.compressions()}
    compressions = sorted(recipes.values(), key=lambda record: record.started_utc)[-MOST_RECIPES:]
    return tuple(compressions), _youngest_of_each(store.runs())


def _youngest_of_each(runs: Iterable[RunRecord]) -> tuple[RunRecord, ...]:
    """Keep the last measurement of each artefact on each device with each runtime; one that failed with the farm hides none."""
    cells = dict[tuple[object, ...], RunRecord]()
    for run in runs:
        key = (run.artefact_sha256, run.device.name, run.device.serial, run.runtime, run.kind)
        if run.outcome is not RunOutcome.INFRA or key not in cells:
            cells[key] = run
    return tuple(sorted(cells.values(), key=lambda run: (run.started_utc, run.id))[-MOST_RUNS:])


def _page_name(compressions: tuple[CompressionRecord, ...], runs: tuple[RunRecord, ...]) -> str:
    records: tuple[CompressionRecord | RunRecord, ...] = (*compressions, *runs)
    youngest = max(records, key=lambda record: (record.started_utc, record.id))
    return f"{youngest.started_utc[:10]}-{youngest.id[:8]}"
