"""Where records are kept: one database, and beside it every record whole as a JSON file.

The JSON file is written first. What a full disk or a broken database kept out is read in from there by the next command, so
`store.db` may be moved away at any time and is built again from `runs/*.json`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.schema import CreateTable

from edgepipe import documents, places
from edgepipe.errors import EdgepipeError, StorageError, UsageError
from edgepipe.records import CompressionRecord, RunRecord, as_json
from edgepipe.reports.database import database_errors, how_to_rebuild, open_engine

STORE_VERSION = 1  # of the tables; the records inside carry their own

_METADATA = sa.MetaData()
_STORE = sa.Table("edgepipe_store", _METADATA, sa.Column("version", sa.Integer, primary_key=True))
_RUNS = sa.Table(
    "runs",
    _METADATA,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("started_utc", sa.String(40), nullable=False, index=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("outcome", sa.String(16), nullable=False),
    sa.Column("artefact_sha256", sa.String(64), nullable=False, index=True),
    sa.Column("device", sa.Text, nullable=False),
    sa.Column("document", sa.Text, nullable=False),  # the record's JSON without its blocks
)
_BLOCKS = sa.Table(
    "blocks",
    _METADATA,
    sa.Column("run_id", sa.String(64), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("median_ns", sa.Float),
    sa.Column("document", sa.Text, nullable=False),  # the block's JSON without its samples
    sa.Column("samples", sa.LargeBinary, nullable=False),  # zlib of little-endian uint32 nanoseconds
)
_COMPRESSIONS = sa.Table(
    "compressions",
    _METADATA,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("started_utc", sa.String(40), nullable=False, index=True),
    sa.Column("recipe", sa.Text, nullable=False),
    sa.Column("target", sa.String(64), nullable=False),
    sa.Column("document", sa.Text, nullable=False),
)

Record = RunRecord | CompressionRecord
R = TypeVar("R", RunRecord, CompressionRecord)


class Store:
    """The records of one results folder, in its `store.db` or in the database that `url` names.

    Nothing is created before the first `add`; several processes may write at once. Every method raises StorageError where the
    database is full, locked, damaged, or of another version.
    """

    def __init__(self, url: str | Path | None = None, *, folder: Path | None = None) -> None:
        """`url` is a database URL or the path of an SQLite file; JSON files go to `folder`. Raises UsageError for a bad URL."""
        is_url = isinstance(url, str) and "://" in url
        path = None if is_url else Path(url) if url else (folder or places.results_dir()) / "store.db"
        self.folder = folder or (path.parent if path else places.results_dir())
        self._path = path
        self._engine = open_engine(str(url) if path is None else f"sqlite:///{path}")
        self._ready = False

    @property
    def name(self) -> str:
        """The database's path or URL, without its password."""
        return str(self._path or self._engine.url.render_as_string(hide_password=True))

    def add(self, record: Record) -> Path:
        """Keep a record: `runs/<id>.json` first, then the database, then the `latest` link. Returns the JSON file's path."""
        path = self.folder / "runs" / f"{record.id}.json"
        places.write_whole(path, json.dumps(as_json(record), allow_nan=False) + "\n")
        try:
            with self._transaction(create=True) as connection:
                _insert(connection, as_json(record))
        except StorageError as exc:
            note = f"The record itself is safe in {path} and will be read in from there."
            raise StorageError(exc.what, cause=exc.cause, todo=f"{exc.todo} {note}") from exc
        self._link_latest(path)
        return path

    def runs(self, *, artefact_sha256: str = "", device: str = "", kind: str = "") -> tuple[RunRecord, ...]:
        """Return the measurements, oldest first; `artefact_sha256` may be a prefix."""
        query = sa.select(_RUNS).where(_RUNS.c.artefact_sha256.startswith(artefact_sha256, autoescape=True))
        if device:
            query = query.where(_RUNS.c.device == device)
        if kind:
            query = query.where(_RUNS.c.kind == kind)
        return self._read_runs(query)

    def run(self, id_prefix: str) -> RunRecord:
        """Return the one measurement whose id starts so. Raises UsageError for none and for several."""
        return self._only(self._read_runs(_starting(_RUNS, id_prefix)), id_prefix, "measurement")

    def compressions(self) -> tuple[CompressionRecord, ...]:
        """Return the runs of recipes, oldest first."""
        return self._read_compressions(sa.select(_COMPRESSIONS))

    def compression(self, id_prefix: str) -> CompressionRecord:
        """Return the one run of a recipe whose id starts so. Raises UsageError for none and for several."""
        return self._only(self._read_compressions(_starting(_COMPRESSIONS, id_prefix)), id_prefix, "compression")

    def latest(self) -> Record | None:
        """Return the youngest record of either kind, or None where there is none yet."""
        found: tuple[Record, ...] = (*self._read_runs(_youngest(_RUNS)), *self._read_compressions(_youngest(_COMPRESSIONS)))
        return max(found, key=lambda record: (record.started_utc, record.id), default=None)

    def find(self, id_prefix: str) -> tuple[Record, ...]:
        """Return every record, of either kind, whose id starts so."""
        return (
            *self._read_runs(_starting(_RUNS, id_prefix)),
            *self._read_compressions(_starting(_COMPRESSIONS, id_prefix)),
        )

    def _read_runs(self, query: sa.Select[Any]) -> tuple[RunRecord, ...]:
        with self._transaction(create=False) as connection:
            if connection is None:
                return ()
            rows = connection.execute(query.order_by(_RUNS.c.started_utc, _RUNS.c.id)).mappings().all()
            return tuple(self._parse(RunRecord, row["document"], row["id"], _blocks_of(connection, row["id"])) for row in rows)

    def _read_compressions(self, query: sa.Select[Any]) -> tuple[CompressionRecord, ...]:
        with self._transaction(create=False) as connection:
            if connection is None:
                return ()
            rows = connection.execute(query.order_by(_COMPRESSIONS.c.started_utc, _COMPRESSIONS.c.id)).mappings().all()
            return tuple(self._parse(CompressionRecord, row["document"], row["id"]) for row in rows)

    def _parse(self, kind: type[R], document: str, record_id: str, blocks: list[dict[str, Any]] | None = None) -> R:
        source = f"record {record_id} in {self.name}"
        if blocks is not None:
            with suppress(ValueError):  # a damaged document is named by the parser below
                document = json.dumps({**json.loads(document), "blocks": blocks})
        try:
            return documents.parse_json(kind, document, source=source, error=StorageError)
        except StorageError as exc:
            raise StorageError(exc.what, cause=exc.cause, todo=how_to_rebuild(self.name), problems=exc.problems) from exc

    def _only(self, found: tuple[R, ...], prefix: str, noun: str) -> R:
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageError(f'"{prefix}" is the beginning of {len(found)} ids', todo="Give more of its digits.")
        raise UsageError(f'no {noun} with id "{prefix}" in {self.name}', todo="`edgepipe report` lists what there is.")

    @contextmanager
    def _transaction(self, *, create: bool) -> Iterator[Any]:
        """Yield a connection inside one transaction; None where there is nothing to read and nothing may be created."""
        if not create and self._path and not self._path.exists() and not any((self.folder / "runs").glob("*.json")):
            yield None
            return
        with database_errors(self.name):
            self._prepare()
            with self._engine.begin() as connection:
                yield connection

    def _prepare(self) -> None:
        """Make the tables, check their version, and read in what only the JSON files have; once per object."""
        if self._ready:
            return
        if self._path:
            with places.storage_errors(self._path):
                self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._engine.begin() as connection:
            for table in _METADATA.sorted_tables:
                connection.execute(CreateTable(table, if_not_exists=True))
            version = connection.scalar(sa.select(sa.func.max(_STORE.c.version)))
        if version is None:
            with suppress(IntegrityError), self._engine.begin() as connection:  # another process may say so first
                connection.execute(_STORE.insert().values(version=STORE_VERSION))
        elif version != STORE_VERSION:
            raise _other_version(self.name, version)
        self._ready = True
        self._catch_up()

    def _catch_up(self) -> None:
        """Read in what only the JSON files have. A database that is busy or full now is no reason not to read from it."""
        with suppress(DBAPIError), self._engine.connect() as connection:
            known = {*connection.scalars(sa.select(_RUNS.c.id)), *connection.scalars(sa.select(_COMPRESSIONS.c.id))}
            missing = [path for path in sorted((self.folder / "runs").glob("*.json")) if path.stem not in known]
            if missing and self._path:
                connection.execute(sa.text("PRAGMA busy_timeout = 0"))
            connection.commit()
            for path in missing:
                # A file that is no record of ours, or of a newer edgepipe, stays where it is and is not our concern here.
                with suppress(EdgepipeError):
                    _insert(connection, as_json(read_record(path)))
                    connection.commit()

    def _link_latest(self, path: Path) -> None:
        link = self.folder / "latest"
        part = self.folder / f".latest.{path.stem}"
        with suppress(OSError):  # a convenience: some file systems have no links, and the record is already kept
            part.unlink(missing_ok=True)
            part.symlink_to(Path("runs") / path.name)
            part.replace(link)


def read_record(path: Path) -> Record:
    """Return the record in a JSON file of `runs/`. Raises UsageError where it is missing, damaged, newer, or no record."""
    try:
        text = places.regular(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageError(f"cannot read {path}: {getattr(exc, 'strerror', None) or 'it is not a text file'}") from exc
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise UsageError(f"{path} is not a record: {exc}", cause="it was cut short or edited") from exc
    if isinstance(content, dict) and "rows" in content:
        return documents.parse_json(CompressionRecord, text, source=str(path))
    return documents.parse_json(RunRecord, text, source=str(path))


def _insert(connection: sa.Connection, document: dict[str, Any]) -> None:
    """Write a record and its blocks. The first statement writes, so SQLite takes its lock at once and cannot deadlock later."""
    table = _COMPRESSIONS if "rows" in document else _RUNS
    connection.execute(table.delete().where(table.c.id == document["id"]))
    if table is _COMPRESSIONS:
        columns = {key: document[key] for key in ("id", "started_utc", "recipe", "target")}
        connection.execute(table.insert().values(**columns, document=_text(document)))
        return
    columns = {key: document[key] for key in ("id", "started_utc", "kind", "outcome", "artefact_sha256")}
    bare = {key: value for key, value in document.items() if key != "blocks"}
    connection.execute(table.insert().values(**columns, device=document["device"]["name"], document=_text(bare)))
    connection.execute(_BLOCKS.delete().where(_BLOCKS.c.run_id == document["id"]))
    for position, block in enumerate(document["blocks"]):
        samples = base64.b64decode(block["samples_ns_zlib"])
        bare = {key: value for key, value in block.items() if key != "samples_ns_zlib"}
        values = {"run_id": document["id"], "position": position, "median_ns": block["median_ns"]}
        connection.execute(_BLOCKS.insert().values(**values, document=_text(bare), samples=samples))


def _blocks_of(connection: sa.Connection, run_id: str) -> list[dict[str, Any]]:
    query = sa.select(_BLOCKS.c.document, _BLOCKS.c.samples).where(_BLOCKS.c.run_id == run_id).order_by(_BLOCKS.c.position)
    return [
        {**json.loads(document), "samples_ns_zlib": base64.b64encode(samples).decode()}
        for document, samples in connection.execute(query)
    ]


def _starting(table: sa.Table, prefix: str) -> sa.Select[Any]:
    return sa.select(table).where(table.c.id.startswith(prefix.lower(), autoescape=True))


def _youngest(table: sa.Table) -> sa.Select[Any]:
    return sa.select(table).where(table.c.started_utc == sa.select(sa.func.max(table.c.started_utc)).scalar_subquery())


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, allow_nan=False)


def _other_version(name: str, version: int) -> StorageError:
    if version > STORE_VERSION:
        what = f"{name} was made by a newer edgepipe (store {version}; this one writes {STORE_VERSION})"
        return StorageError(what, todo="Upgrade edgepipe, or choose another place with EDGEPIPE_RESULTS.")
    what = f"{name} was made by an older edgepipe (store {version}; this one writes {STORE_VERSION})"
    return StorageError(what, todo=how_to_rebuild(name))
