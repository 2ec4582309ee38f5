"""The TensorFlow process may crash, hang or be killed; the command lives on and says what happened."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from time import monotonic, sleep

import pytest

from edgepipe.errors import ModelFileError, WorkerDied
from edgepipe.events import Event, StepFinished
from edgepipe.pipeline.worker import Worker


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def load(worker: Worker, model: Path, to: Path) -> dict[str, object]:
    return worker.request(do="load", source=str(model), base="/", to=str(to), data={})


def test_errors_cross_the_process_boundary_and_the_worker_serves_on(zoo: Path, tmp_path: Path) -> None:
    events: list[Event] = []
    with Worker(events.append) as worker:
        with pytest.raises(ModelFileError, match="there is no model"):
            load(worker, zoo / "none.keras", tmp_path)
        assert load(worker, zoo / "keras2.keras", tmp_path)["loss"] == "sparse_categorical_crossentropy"
        pid = worker.pid
    assert (tmp_path / "model.tflite").exists()
    assert any(isinstance(event, StepFinished) and event.step == "load the model" for event in events)
    assert pid is not None and not alive(pid)


def test_a_worker_in_which_nothing_failed_leaves_no_file_and_one_that_failed_its_log(zoo: Path, tmp_path: Path) -> None:
    with Worker(lambda event: None) as worker:
        load(worker, zoo / "keras2.keras", tmp_path)
        folder = worker.log.parent
        assert folder.exists()
    assert not folder.exists()
    with Worker(lambda event: None) as worker, pytest.raises(ModelFileError):
        load(worker, zoo / "none.keras", tmp_path)
    assert [each.name for each in worker.log.parent.iterdir()] == ["log.txt"]


def test_a_killed_worker_is_an_error_with_its_last_words(zoo: Path, tmp_path: Path) -> None:
    with Worker(lambda event: None) as worker:
        load(worker, zoo / "keras2.keras", tmp_path)
        assert worker.pid is not None
        threading.Timer(0.2, os.kill, (worker.pid, signal.SIGKILL)).start()
        with pytest.raises(WorkerDied, match=r"SIGKILL|ended"):
            for _ in range(200):
                load(worker, zoo / "keras2.keras", tmp_path)


def test_a_request_that_takes_too_long_ends(zoo: Path, tmp_path: Path) -> None:
    with Worker(lambda event: None, timeout_s=0.01) as worker, pytest.raises(WorkerDied, match="gave no answer"):
        load(worker, zoo / "keras2.keras", tmp_path)


def test_a_worker_without_memory_is_an_error_and_not_a_crash_of_ours(zoo: Path, tmp_path: Path) -> None:
    with Worker(lambda event: None, memory_bytes=120_000_000) as worker, pytest.raises(WorkerDied):
        load(worker, zoo / "keras2.keras", tmp_path)


def test_the_worker_never_outlives_a_killed_command(zoo: Path, tmp_path: Path) -> None:
    program = (
        "import sys, time\nfrom edgepipe.pipeline.worker import Worker\n"
        "w = Worker(lambda e: None)\n"
        f"w.request(do='load', source={str(zoo / 'keras2.keras')!r}, base='/', to={str(tmp_path)!r}, data={{}})\n"
        "print(w.pid, flush=True); time.sleep(100)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.kill()
    until = monotonic() + 20
    while alive(pid) and monotonic() < until:
        sleep(0.05)
    assert not alive(pid)
