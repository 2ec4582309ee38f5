"""A program of somebody else's: run without a shell, with a deadline, and its last words kept."""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic, sleep

from edgepipe.errors import InfrastructureError

PIECE_BYTES, KEPT_BYTES = 65536, 1 << 18
LAST_LINES, LINE_LENGTH = 10, 300
SLICE_S = 0.05


def run(command: Sequence[str], *, deadline_s: float, install: str, todo: str = "") -> str:
    """Return what the program printed on its standard output, the last 256 KiB of it.

    Raises InfrastructureError where it is not installed (`install` says how), and with `todo` where it fails or has not ended in
    time; it and whatever it started are ended then, as they are when this is interrupted.
    """
    program = command[0]
    if shutil.which(program) is None:
        raise InfrastructureError(f"{program} is not installed", todo=f"Install it: {install}.")
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0, start_new_session=True
    )
    try:
        out, err = _listen(process, monotonic() + deadline_s)
        in_time = _has_ended(process)
    finally:
        # Whatever it started goes with it; it is not reaped yet, so that the number is still its own.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
        for pipe in (process.stdout, process.stderr):
            assert pipe is not None
            pipe.close()
    if not in_time:
        raise InfrastructureError(
            f"{program} had not ended after {deadline_s:g} s, and was ended",
            problems=_last(out, err),
            cause="the board does not answer it: no power, a probe that hangs; or it takes longer than timeout_s",
            todo=todo,
        )
    if code:
        raise InfrastructureError(f"{program} failed ({_end(code)}): {' '.join(command)}", problems=_last(out, err), todo=todo)
    return out.decode(errors="replace")


def _listen(process: subprocess.Popen[bytes], end: float) -> tuple[bytes, bytes]:
    """Return the last that it said on both pipes until it ended, or until `end`."""
    kept = {"out": b"", "err": b""}
    with selectors.DefaultSelector() as pipes:
        for name, pipe in (("out", process.stdout), ("err", process.stderr)):
            assert pipe is not None
            pipes.register(pipe, selectors.EVENT_READ, name)
        while (left_s := end - monotonic()) > 0:
            ready = pipes.select(min(SLICE_S, left_s)) if pipes.get_map() else []
            for key, _ in ready:
                piece = os.read(key.fd, PIECE_BYTES)
                kept[key.data] = (kept[key.data] + piece)[-KEPT_BYTES:]
                if not piece:
                    pipes.unregister(key.fileobj)
            if not ready:
                if _has_ended(process):
                    break
                sleep(0.0 if pipes.get_map() else min(SLICE_S, left_s))
    return kept["out"], kept["err"]


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _last(*said: bytes) -> list[str]:
    """Return the last lines of each pipe that are not blank."""
    texts = [piece.decode(errors="replace") for piece in said]
    return [
        line[:LINE_LENGTH] for text in texts for line in [line.strip() for line in text.splitlines() if line.strip()][-LAST_LINES:]
    ]


def _end(code: int) -> str:
    return f"exit code {code}" if code > 0 else f"ended by {signal.Signals(-code).name}"
