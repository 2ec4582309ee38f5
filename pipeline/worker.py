"""The process that runs TensorFlow, seen from outside: started at the first request, fed JSON lines, free to crash.

TensorFlow is imported once per command, in the child (`edgepipe.pipeline.worker_process`). Its chatter goes to a log file whose
last lines are shown only when something fails; a child nothing failed in leaves no file behind.
"""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any

from edgepipe import errors
from edgepipe.errors import MissingExtra, WorkerDied
from edgepipe.events import Emit, StepFinished, StepStarted, from_json

LOG_LINES_SHOWN = 20
SCRATCH = "scratch"
LARGEST_ANSWER_BYTES = 64 << 20
LONGEST_REQUEST_S = 4 * 3600.0


class Worker:
    """A child process with TensorFlow. Use it as a context manager: it ends with the block, whatever happens.

    `memory_bytes` limits what the child may allocate; `timeout_s` is the longest one request may take.
    """

    def __init__(self, emit: Emit, *, memory_bytes: int | None = None, timeout_s: float = LONGEST_REQUEST_S) -> None:
        self._emit = emit
        self._memory_bytes = memory_bytes
        self._timeout_s = timeout_s
        self._process: subprocess.Popen[bytes] | None = None
        self._answers = -1
        self._buffer = b""
        self._folder: Path | None = None
        self._failed = False
        self.log = Path()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """Process id of the running child, or None."""
        return self._process.pid if self._process else None

    def request(self, **request: Any) -> dict[str, Any]:
        """Send one request and return its result; events on the way go to `emit`.

        Raises what the child raised, WorkerDied when it ends without an answer or takes longer than `timeout_s`.
        """
        if self._process is None:
            self._start()
        assert self._process is not None and self._process.stdin is not None
        deadline = monotonic() + self._timeout_s
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError as exc:
            raise self._died("ended before it was asked") from exc
        while True:
            answer = json.loads(self._line(deadline))
            if "event" in answer:
                self._emit(from_json(answer))
            elif "error" in answer:
                self._failed = True
                kind = errors.error_for(answer["error"])
                raise kind(
                    answer["what"],
                    cause=answer["cause"],
                    todo=answer["todo"] or f"The whole account: {self.log}",
                    problems=answer["problems"],
                )
            else:
                result: dict[str, Any] = answer["result"]
                return result

    def close(self) -> None:
        """End the child, and delete what it wrote to its temporary folder; of one that failed the log stays."""
        process, self._process = self._process, None
        self._buffer = b""
        if process is None:
            return
        try:
            self._end(process)
        finally:
            if self._folder:
                shutil.rmtree(self._folder / SCRATCH if self._failed else self._folder, ignore_errors=True)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)  # it is the leader of its own session
        process.wait()
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.close()
        os.close(self._answers)

    def _start(self) -> None:
        self._failed = False
        self._folder = Path(tempfile.mkdtemp(prefix="edgepipe-worker-"))
        self.log = self._folder / "log.txt"
        scratch = self._folder / SCRATCH
        scratch.mkdir()
        self._answers, write_end = os.pipe()
        command = [sys.executable, "-P", "-m", "edgepipe.pipeline.worker_process", str(write_end), str(self._memory_bytes or 0)]
        began = monotonic()
        self._emit(StepStarted(step="start TensorFlow"))
        try:
            with self.log.open("wb") as log:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    env={**os.environ, "TMPDIR": str(scratch)},  # TensorFlow's AutoGraph leaves a file for every function it reads
                    pass_fds=(write_end,),
                    start_new_session=True,
                )
        finally:
            os.close(write_end)
        ready = json.loads(self._line(began + 300))
        if "error" in ready and self._memory_bytes:  # its libraries did not fit, which looks as if they were not there
            raise self._died(f"did not start within {self._memory_bytes / 1e6:,.0f} MB")
        if "error" in ready:
            self._failed = True
            raise MissingExtra(ready["what"], cause=ready["cause"])
        self._emit(StepFinished(step="start TensorFlow", seconds=monotonic() - began))

    def _line(self, deadline: float) -> bytes:
        with selectors.DefaultSelector() as selector:
            selector.register(self._answers, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                if not selector.select(max(0.0, deadline - monotonic())):
                    raise self._died(f"gave no answer for {self._timeout_s:.0f} s")
                chunk = os.read(self._answers, 1 << 16)
                if not chunk:
                    raise self._died("ended without an answer")
                self._buffer += chunk
                if len(self._buffer) > LARGEST_ANSWER_BYTES:
                    raise self._died("sent a line without an end")
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line

    def _died(self, how: str) -> WorkerDied:
        self._failed = True
        process = self._process
        code = None
        if process is not None:
            try:
                code = process.wait(timeout=2)
            except subprocess.TimeoutExpired:
                code = None
        self.close()
        return WorkerDied(
            f"the TensorFlow process {how}{_manner(code)}",
            problems=_last_lines(self.log),
            cause="not enough memory, or a crash inside TensorFlow"
            if code is not None
            else "a step that takes longer than allowed",
            todo=f"Finished stages are kept. The whole log: {self.log}",
        )


def _manner(code: int | None) -> str:
    if code is None:
        return ""
    return f" (killed by {signal.Signals(-code).name})" if code < 0 else f" (exit code {code})"


def _last_lines(log: Path) -> list[str]:
    with log.open("rb") as lines:
        lines.seek(max(0, log.stat().st_size - 16_384))
        return lines.read().decode(errors="replace").splitlines()[-LOG_LINES_SHOWN:]
