"""The agent's side of a child: started in its own process group, watched, killed at its deadline, and asked how it ended."""

import os
import signal
import subprocess
import sys
from selectors import EVENT_READ, EVENT_WRITE, BaseSelector
from time import monotonic
from typing import Callable, List, Optional

from . import edgetpu
from .lines import LineBuffer, Message, decode, encode

TAIL_BYTES = 4096
EXIT_S = 5.0  # from the end of its output to the end of the process
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}


class Outbox:
    """What waits to be written to a handle that must never make this process wait."""

    def __init__(self, selector: BaseSelector, handle: int) -> None:
        os.set_blocking(handle, False)
        self._selector, self._handle, self._waiting = selector, handle, bytearray()

    def put(self, message: Message) -> None:
        """Queue a message as one line."""
        if not self._waiting:
            self._selector.register(self._handle, EVENT_WRITE, self._write)
        self._waiting += encode(message) + b"\n"

    def _write(self) -> None:
        try:
            del self._waiting[: os.write(self._handle, self._waiting)]
        except BlockingIOError:
            return
        except OSError:  # the reader is gone, which its end of the other pipe will tell
            self._waiting.clear()
        if not self._waiting:
            self._selector.unregister(self._handle)

    def forget(self) -> None:
        """Drop what was not written."""
        if self._waiting:
            self._waiting.clear()
            self._selector.unregister(self._handle)

    @property
    def waiting_bytes(self) -> int:
        """How much waits to be written."""
        return len(self._waiting)

    @property
    def empty(self) -> bool:
        """Whether all was written."""
        return not self._waiting


class Child:
    """A process for one model. `on_line` is given each message of it, `on_end` the reason why it ended, "" for the usual one.

    What a delegate does to it while it is loaded is said as {"broken": …}, since that is not the model's fault.
    """

    def __init__(
        self, selector: BaseSelector, role: str, request: Message, on_line: Callable[[Message], None], on_end: Callable[[str], None]
    ) -> None:
        self._selector, self._on_line, self._on_end = selector, on_line, on_end
        self._silence_s = float(request["deadline_s"])
        self._lines, self._tail, self._said_all, self._stage = LineBuffer(), b"", False, ""
        self._process = subprocess.Popen(
            [request.get("python", sys.executable), "-I", os.path.abspath(sys.argv[0]), role],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env=dict(os.environ, **ENVIRONMENT),
        )
        self.pid = self._process.pid
        self.deadline = monotonic() + self._silence_s
        assert self._process.stdin and self._process.stdout and self._process.stderr
        self._outbox = Outbox(selector, self._process.stdin.fileno())
        for pipe, read in ((self._process.stdout, self._read_lines), (self._process.stderr, self._read_chatter)):
            os.set_blocking(pipe.fileno(), False)
            selector.register(pipe.fileno(), EVENT_READ, read)
        self.send(dict(request, agent_pid=os.getpid()))

    def send(self, message: Message) -> None:
        """Send a line; its deadline begins anew."""
        self.deadline = monotonic() + self._silence_s
        self._outbox.put(message)

    def check_deadline(self) -> None:
        """Kill the child if it said nothing for too long."""
        if monotonic() >= self.deadline:
            longest_s = min(self._silence_s, edgetpu.LONGEST_S) if self._stage == edgetpu.STAGE else self._silence_s
            self._end("it did not answer within %g s" % longest_s)

    def kill(self) -> None:
        """End the child, and say nothing more of it."""
        self._release()

    def _read_lines(self) -> None:
        assert self._process.stdout
        data = _read(self._process.stdout.fileno())
        if data is None:
            return
        if not data:
            self._said_all = True
            self._end("")
            return
        self.deadline = monotonic() + self._silence_s
        try:
            messages: List[Message] = [decode(line) for line in self._lines.feed(data)]
        except ValueError as exc:
            self._end("it wrote something that is no answer: %s" % exc)
            return
        for message in messages:
            if "stage" in message:
                self._enter(message["stage"])
            else:
                self._on_line(message)

    def _enter(self, stage: str) -> None:
        self._stage = stage
        if stage == edgetpu.STAGE:
            self.deadline = monotonic() + min(self._silence_s, edgetpu.LONGEST_S)

    def _read_chatter(self) -> None:
        assert self._process.stderr
        data = _read(self._process.stderr.fileno())
        if data:
            self._tail = (self._tail + data)[-TAIL_BYTES:]
        elif data is not None:
            self._selector.unregister(self._process.stderr.fileno())

    def _end(self, reason: str) -> None:
        ended = self._release()
        reason = reason or ended
        if reason and self._stage == edgetpu.STAGE:
            self._on_line({"broken": edgetpu.blame(reason), "slug": edgetpu.SLUG})
        elif reason and self._stage:
            reason += ", with its Edge TPU part on the Edge TPU"
        self._on_end(reason)

    def _release(self) -> str:
        """Close everything and reap the process; returns how it ended by itself, "" for well."""
        process = self._process
        self._outbox.forget()
        for pipe in (process.stdout, process.stderr):
            if pipe and pipe.fileno() in self._selector.get_map():
                self._selector.unregister(pipe.fileno())
        try:
            process.wait(timeout=EXIT_S if self._said_all else 0)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return ""
        finally:
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe:
                    pipe.close()
        return describe_exit(process.returncode, self._tail)


def describe_exit(code: int, tail: bytes) -> str:
    """Return in words how a process ended that was not asked to, with the last line it wrote; "" for exit code 0."""
    if code == 0:
        return ""
    last = tail.decode(errors="replace").strip().splitlines()[-1:]
    words = " (%s)" % last[0].strip()[:200] if last else ""
    if code == -signal.SIGKILL:
        return "the system killed it, most often for want of memory" + words
    if code < 0:
        return "it crashed with %s%s" % (signal.Signals(-code).name, words)
    return "it ended with exit code %d%s" % (code, words)


def _read(handle: int) -> Optional[bytes]:
    """Return what is there, b"" at the end, None where nothing is there yet."""
    try:
        return os.read(handle, 1 << 16)
    except BlockingIOError:
        return None
