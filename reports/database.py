"""Reaching a database: the engine, and what to do when it is full, locked or damaged."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from edgepipe.errors import MissingExtra, StorageError, UsageError

BUSY_SECONDS = 30  # how long one process waits for another one that writes


def open_engine(url: str, *, busy_seconds: float = BUSY_SECONDS) -> sa.Engine:
    """Return an engine for a database URL. Raises UsageError for a bad URL, MissingExtra for a missing driver."""
    try:
        if not url.startswith("sqlite"):
            return sa.create_engine(url)
        engine = sa.create_engine(url, connect_args={"timeout": busy_seconds}, poolclass=sa.NullPool)
    except ModuleNotFoundError as exc:
        raise MissingExtra(f"the database driver {exc.name} is not installed", todo=f"pip install {exc.name}") from exc
    except (ArgumentError, NoSuchModuleError) as exc:
        raise UsageError(f"this is no database URL: {exc}", todo="For example postgresql+psycopg://user@host/name") from exc
    sa.event.listen(engine, "connect", lambda connection, _: _write_ahead(connection, busy_seconds))
    return engine


def _write_ahead(connection: sqlite3.Connection, busy_seconds: float) -> None:
    """Readers then never wait for a writer. Network file systems refuse, and stay with the default journal.

    SQLite does not wait for others while it changes the journal, whatever its time-out is: so the waiting is done here.
    """
    until = monotonic() + busy_seconds
    while True:
        try:
            if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                connection.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError as exc:
            if "locked" not in str(exc) or monotonic() > until:
                raise
            sleep(0.02)
    connection.execute("PRAGMA synchronous=FULL")


def how_to_rebuild(name: str) -> str:
    """Return what to do with a database that cannot be read."""
    return f"Move {name} away: the next command builds it again from runs/*.json."


# What SQLite says -> what a person can do about it.
_CAUSES = {
    "disk is full": ("the disk is full", "Free some space and run the command again."),
    "disk i/o error": ("the disk is full or broken", "Free some space and run the command again."),
    "is locked": (f"another process has been writing for {BUSY_SECONDS} s", "Let the other edgepipe finish and try again."),
    "readonly": ("no permission to write there", "Choose another place with EDGEPIPE_RESULTS."),
    "read-only": ("no permission to write there", "Choose another place with EDGEPIPE_RESULTS."),
    "unable to open": ("the file cannot be opened or created", "Check the folder, or choose another with EDGEPIPE_RESULTS."),
}


@contextmanager
def database_errors(name: str) -> Iterator[None]:
    """Turn whatever the database says into a StorageError with its cause and what to do."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as exc:
        said = str(exc.orig if isinstance(exc, DBAPIError) else exc).strip().splitlines()[0]
        for words, (cause, todo) in _CAUSES.items():
            if words in said.lower():
                raise StorageError(f"could not use {name}: {cause}", cause=cause, todo=todo) from exc
        if "://" in name:
            raise StorageError(f"could not use {name}: {said}", todo="Check that the database runs and the URL is right.") from exc
        raise StorageError(f"{name} is damaged: {said}", cause="it was cut or overwritten", todo=how_to_rebuild(name)) from exc
