"""`module:function`: the user's own code gives the data. It runs in a child process, which may print, crash or hang."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from threading import Thread
from typing import IO

from edgepipe.errors import DataError
from edgepipe.events import step
from edgepipe.pipeline.data.call import RESULT
from edgepipe.pipeline.data.dataset import Dataset
from edgepipe.pipeline.data.npz import dataset_of, read_arrays
from edgepipe.pipeline.data.request import Request

FORM = "module:function, a function that returns (x, y) or a dict of arrays"
_SPEC = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_SHOWN_LINES = 10
_KEPT_BYTES = 1 << 16  # a function may print without end


def matches(request: Request) -> bool:
    """Whether the spec reads like module:function."""
    return _SPEC.fullmatch(request.spec) is not None


def read(request: Request) -> Dataset:
    """Return what the function returned, called in `base`. Raises DataError with its last words where it did not return."""
    with tempfile.TemporaryDirectory(prefix="edgepipe-data-") as folder, step(request.emit, f"run {request.spec}"):
        code, words = _run(request, Path(folder))
        result = Path(folder) / RESULT
        if code is None:
            raise DataError(
                f"{request.spec} was stopped after {request.timeout_s:g} s", problems=words, cause="it waits or loops for ever"
            )
        if not result.exists():
            raise DataError(f"{request.spec} did not return data ({_ending(code)})", problems=words)
        return dataset_of(read_arrays(result, largest_bytes=request.largest_bytes), request)


def _ending(code: int) -> str:
    if code < 0:
        return f"its process was killed by {signal.Signals(-code).name}"
    return f"its process ended with exit code {code}"


def _run(request: Request, folder: Path) -> tuple[int | None, list[str]]:
    """Return (exit code, None after a time-out; the last lines it wrote)."""
    if not request.base.is_dir():
        raise DataError(f"{request.base} is not a folder")
    # -P: a user's file called random.py must not hide the standard library from us; the child adds the folder when it is ready.
    command = [sys.executable, "-P", "-m", "edgepipe.pipeline.data.call", request.spec, str(folder.absolute())]
    child = subprocess.Popen(
        command,
        cwd=request.base,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    kept = bytearray()
    reader = Thread(target=_drain, args=(child.stdout, kept), daemon=True)
    reader.start()
    code: int | None = None
    try:
        code = child.wait(request.timeout_s)
    except subprocess.TimeoutExpired:
        pass
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        reader.join(timeout=1)  # a grandchild may hold the pipe open for longer
    return code, _last_lines(bytes(kept))


def _drain(pipe: IO[bytes], kept: bytearray) -> None:
    with pipe:
        while block := os.read(pipe.fileno(), _KEPT_BYTES):
            kept += block
            del kept[:-_KEPT_BYTES]


def _last_lines(output: bytes) -> list[str]:
    lines = ["".join(c for c in line if c.isprintable()).rstrip() for line in output.decode("utf-8", "replace").splitlines()]
    return [line for line in lines if line][-_SHOWN_LINES:]
