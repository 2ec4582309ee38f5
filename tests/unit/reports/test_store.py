"""Records go in whole, come back equal, and survive everything that can befall a database."""

from __future__ import annotations

import dataclasses
import multiprocessing
import resource
import signal
import sqlite3
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from edgepipe.errors import StorageError, UsageError
from edgepipe.records import (
    Block,
    CompressionRecord,
    DeviceIdentity,
    RunOutcome,
    RunRecord,
    RuntimeIdentity,
    pack_samples_ns,
    unpack_samples_ns,
)
from edgepipe.reports import database
from edgepipe.reports.store import Store, read_record


def run_record(number: int = 1, **changes: object) -> RunRecord:
    samples, stride = pack_samples_ns([140_000 + i for i in range(100)])
    block = Block(index=0, outcome=RunOutcome.OK, invocations=100, stride=stride, samples_ns_zlib=samples, median_ns=140_049.5)
    record = RunRecord(
        id=f"{number:032x}",
        kind="bench",
        started_utc=f"2026-11-22T04:00:{number % 60:02d}Z",
        artefact_sha256="ab" * 32,
        artefact_name="kws.tflite",
        model_bytes=53_936,
        device=DeviceIdentity(name="local", board="linux", serial="s1", arch="x86_64", cpu="cpu", os="os"),
        runtime=RuntimeIdentity(name="ai-edge-litert", version="2.3.0", delegate="xnnpack", threads=1),
        input_shapes=((1, 49, 10, 1),),
        outcome=RunOutcome.OK,
        blocks=(block, dataclasses.replace(block, index=1)),
    )
    return dataclasses.replace(record, **changes)  # type: ignore[arg-type]


def compression_record(number: int = 1) -> CompressionRecord:
    return CompressionRecord(
        id=f"c{number:031x}",
        started_utc="2026-11-22T05:00:00Z",
        recipe="digits",
        target="mcu",
        metric="accuracy",
        test_samples=540,
        rows=(),
        gates=(),
        artefacts=(),
        seconds=1.5,
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(folder=tmp_path)


def test_a_run_comes_back_equal_from_the_database_and_from_its_file(store: Store) -> None:
    path = store.add(run_record())
    assert store.run("0000") == run_record()
    assert read_record(path) == run_record()
    assert len(unpack_samples_ns(store.run("0").blocks[1].samples_ns_zlib)) == 100


def test_a_compression_comes_back_equal(store: Store) -> None:
    path = store.add(compression_record())
    assert store.compressions() == (compression_record(),)
    assert store.compression("c0") == read_record(path) == compression_record()


def test_samples_are_a_blob(store: Store, tmp_path: Path) -> None:
    store.add(run_record())
    with sqlite3.connect(tmp_path / "store.db") as connection:
        kinds = connection.execute("SELECT typeof(samples), document LIKE '%samples_ns_zlib%' FROM blocks").fetchall()
    assert kinds == [("blob", 0), ("blob", 0)]


def test_runs_are_found_by_artefact_device_and_kind_oldest_first(store: Store) -> None:
    for number in (3, 1, 2):
        store.add(run_record(number))
    store.add(run_record(4, artefact_sha256="cd" * 32, kind="eval"))
    assert [record.id[-1] for record in store.runs()] == ["1", "2", "3", "4"]
    assert [record.id[-1] for record in store.runs(artefact_sha256="cd")] == ["4"]
    assert [record.id[-1] for record in store.runs(kind="bench")] == ["1", "2", "3"]
    assert store.runs(device="nowhere") == ()


def test_the_latest_is_the_youngest_of_both_kinds_and_has_a_link(store: Store, tmp_path: Path) -> None:
    assert store.latest() is None
    store.add(run_record(1))
    store.add(compression_record())
    assert store.latest() == compression_record()
    assert read_record(tmp_path / "latest") == compression_record()


def test_adding_twice_keeps_one_and_the_later_one_wins(store: Store) -> None:
    store.add(run_record())
    store.add(run_record(reason="again"))
    assert [record.reason for record in store.runs()] == ["again"]
    assert len(store.runs()[0].blocks) == 2


def test_an_unknown_and_an_ambiguous_id_are_usage_errors(store: Store) -> None:
    store.add(run_record(1))
    store.add(run_record(2))
    with pytest.raises(UsageError, match='no measurement with id "ffff"'):
        store.run("ffff")
    with pytest.raises(UsageError, match="the beginning of 2 ids"):
        store.run("000")
    with pytest.raises(UsageError, match="no measurement"):
        store.run("%")


def test_reading_creates_nothing(tmp_path: Path) -> None:
    store = Store(folder=tmp_path / "none")
    assert (store.runs(), store.compressions(), store.latest()) == ((), (), None)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("damage", [b"", b"not a database at all" * 100, None])
def test_a_damaged_database_is_named_and_built_again_from_the_files(tmp_path: Path, damage: bytes | None) -> None:
    Store(folder=tmp_path).add(run_record())
    file = tmp_path / "store.db"
    content = file.read_bytes()
    for name in ("store.db-wal", "store.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    file.write_bytes(content[:5000] + b"\xff" * (len(content) - 5000) if damage is None else damage)
    if damage != b"":  # an empty file is an empty database: nothing to complain about
        with pytest.raises(StorageError, match=r"damaged.*(?s:.*)Move .*store.db away"):
            Store(folder=tmp_path).runs()
        file.rename(tmp_path / "store.db.damaged")
    assert Store(folder=tmp_path).runs() == (run_record(),)


@pytest.mark.parametrize(("version", "words"), [(99, "newer edgepipe"), (0, "older edgepipe")])
def test_another_store_version_is_said_clearly(tmp_path: Path, version: int, words: str) -> None:
    Store(folder=tmp_path).add(run_record())
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute("UPDATE edgepipe_store SET version = ?", (version,))
    with pytest.raises(StorageError, match=words):
        Store(folder=tmp_path).runs()


def test_a_damaged_record_is_named(store: Store, tmp_path: Path) -> None:
    store.add(run_record())
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute("UPDATE runs SET document = substr(document, 1, 50)")
    with pytest.raises(StorageError, match=f"record {run_record().id} in .* is damaged"):
        store.runs()


def test_a_record_of_a_newer_edgepipe_is_refused_with_its_version(store: Store, tmp_path: Path) -> None:
    store.add(run_record(schema_version=7))
    with pytest.raises(StorageError, match="newer edgepipe"):
        store.runs()


def test_a_locked_database_loses_nothing(tmp_path: Path) -> None:
    Store(folder=tmp_path).add(run_record(1))
    with sqlite3.connect(tmp_path / "store.db", isolation_level=None) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match=r"another process has been writing(?s:.*)record itself is safe in"):
            _impatient(Store(folder=tmp_path)).add(run_record(2))
        assert Store(folder=tmp_path, url=tmp_path / "store.db").runs() == (run_record(1),)  # readers do not wait
        holder.execute("ROLLBACK")
    assert Store(folder=tmp_path).runs() == (run_record(1), run_record(2))


def _impatient(store: Store) -> Store:
    store._engine = database.open_engine(f"sqlite:///{store.name}", busy_seconds=0.1)
    return store


@pytest.mark.parametrize("attempt", range(5))
def test_processes_that_start_together_in_a_new_folder_lose_nothing(tmp_path: Path, attempt: int) -> None:
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(3)
    workers = [context.Process(target=_add_many, args=(tmp_path, barrier, 100 * worker)) for worker in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert len(Store(folder=tmp_path).runs()) == 30


def _add_many(folder: Path, barrier: Barrier, first: int) -> None:
    barrier.wait()
    for number in range(first, first + 10):
        Store(folder=folder).add(run_record(number))


def test_a_disk_that_fills_up_is_said_and_loses_nothing(tmp_path: Path) -> None:
    Store(folder=tmp_path).add(run_record(1))
    context = multiprocessing.get_context("fork")
    worker = context.Process(target=_add_under_a_size_limit, args=(tmp_path,))
    worker.start()
    worker.join()
    assert worker.exitcode == StorageError.exit_code
    assert {record.id for record in Store(folder=tmp_path).runs()} >= {run_record(1).id}
    assert not list((tmp_path / "runs").glob(".*"))


def _add_under_a_size_limit(folder: Path) -> None:
    """No file of this process may grow beyond 20 kB: what the system answers then is an I/O error, as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    try:
        for number in range(2, 40):
            Store(folder=folder).add(run_record(number))
    except StorageError as exc:
        raise SystemExit(exc.exit_code) from exc


def test_a_password_is_never_shown() -> None:
    pytest.importorskip("psycopg", reason="no PostgreSQL driver: pip install psycopg")
    assert "secret" not in Store("postgresql+psycopg://user:secret@127.0.0.1:1/none").name


@pytest.mark.parametrize("url", ["nonsense://x", "://"])
def test_a_bad_url_is_a_usage_error(url: str) -> None:
    with pytest.raises(UsageError):
        Store(url)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"rows": 3}', '{"id": "x"}'])
def test_a_file_that_is_no_record_is_a_usage_error_and_does_not_stop_the_store(tmp_path: Path, text: str) -> None:
    store = Store(folder=tmp_path)
    store.add(run_record())
    (tmp_path / "runs" / "odd.json").write_text(text)
    with pytest.raises(UsageError):
        read_record(tmp_path / "runs" / "odd.json")
    assert Store(folder=tmp_path).runs() == (run_record(),)
