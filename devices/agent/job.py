"""A child's side of its one job: it reads the request, confines itself, loads the model, and answers in lines."""

import importlib
import os
import sys
from time import monotonic, perf_counter_ns
from typing import Any, Callable, Iterator, Optional

from . import edgetpu, limits
from .lines import Message, claim_stdout, decode, write_line
from .runtimes import RUNTIMES
from .runtimes.model import Model
from .store import file_sha256

SIGN_EVERY_S = 0.5


class Job:
    """What a child was asked to do, and the way to answer."""

    def __init__(self, out: int, request: Message) -> None:
        self._out = out
        self._signed = monotonic()
        self.request = request
        self.sha256 = ""
        self.delegate_ns: Optional[int] = None
        self._attached: Optional[Any] = None

    def load(self) -> Model:
        """Load the model; the hash is of the very file that is loaded. `prepare` was called before."""
        request = self.request
        runtime = RUNTIMES[request["runtime"]]
        model: Model = runtime.load(request["path"], request["delegate"], request["threads"], self._attached)
        return model

    def prepare(self) -> None:
        """Import the runtime, hash the file, load the delegate, and only then set the limit of what the model may take."""
        limits.pin(self.request["affinity"])
        self.sha256 = file_sha256(self.request["path"]) if self.request["path"] else ""
        importlib.import_module("numpy.random")
        module = importlib.import_module(RUNTIMES[self.request["runtime"]].IMPORTS)
        if self.request["delegate"] == edgetpu.NAME:
            self.attach(module)
        limits.limit_memory(self.request["memory_limit_bytes"])

    def attach(self, module: Any) -> None:
        """Load the Edge TPU's delegate, and say before and after that this is what is being done."""
        write_line(self._out, {"stage": edgetpu.STAGE})
        began = perf_counter_ns()
        self._attached = edgetpu.attach(module)
        self.delegate_ns = perf_counter_ns() - began
        write_line(self._out, {"stage": "model"})

    def alive(self) -> None:
        """Say, at most twice a second, that this is not hanging."""
        if monotonic() - self._signed >= SIGN_EVERY_S:
            self._signed = monotonic()
            write_line(self._out, {"alive": True})

    def starts(self) -> None:
        """Say that from now on it counts: what the board is like is noted."""
        write_line(self._out, {"starts": True})

    def answer(self, result: Message) -> None:
        """Send a result."""
        self._signed = monotonic()
        write_line(self._out, {"result": result})

    def refuse(self, reason: str) -> None:
        """Say that the model cannot be run."""
        write_line(self._out, {"rejected": reason})

    def lines(self) -> Iterator[Message]:
        """Yield what else comes in."""
        for line in sys.stdin.buffer:
            yield decode(line)


def run_job(work: Callable[[Job], None]) -> int:
    """Read the request, do the work, and end at once: a runtime that crashes while it tidies up says nothing about the model."""
    out = claim_stdout()
    job = Job(out, decode(sys.stdin.buffer.readline()))
    limits.die_with(job.request["agent_pid"])
    try:
        job.prepare()
    except edgetpu.Lost as exc:
        write_line(out, {"broken": str(exc), "slug": edgetpu.SLUG})
        os._exit(0)
    except (ImportError, OSError, ValueError) as exc:
        write_line(out, {"broken": "%s: %s" % (type(exc).__name__, exc)})
        os._exit(0)
    try:
        work(job)
    except MemoryError:
        job.refuse("it needs more memory than it may take")
    except Exception as exc:  # noqa: BLE001  the process boundary: a runtime raises what it likes for a model it refuses
        job.refuse("%s: %s" % (type(exc).__name__, str(exc).strip()))
    sys.stderr.flush()
    os._exit(0)
