"""A model's answers in one runtime, computed by a child process with limits: what it refuses or what kills it is an outcome."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from threading import Timer
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from edgepipe.errors import InternalError
from edgepipe.parity import Runtime, RuntimeOutcome, RuntimeReport
from edgepipe.pipeline.export.arena import generous_arena
from edgepipe.pipeline.inspect.graph import read_graph
from edgepipe.pipeline.inspect.parity.child import REFUSED

Array = NDArray[np.generic]
Rows = NDArray[np.uint8]
PACKAGES: Mapping[Runtime, tuple[str, str]] = {
    **dict.fromkeys((Runtime.XNNPACK, Runtime.BUILTIN, Runtime.REFERENCE), ("ai-edge-litert", "ai_edge_litert")),
    Runtime.TFLM: ("tflite-micro", "tflite_micro"),
}
MEMORY_BYTES = 6 << 30
CHATTER = ("INFO:", "WARNING:", "W0000", "I0000")  # how lines begin that are no reason for a refusal


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """What one runtime did: `outputs` of shape [samples, …], one an output; `tensors` say which, where a cut model was run."""

    report: RuntimeReport
    outputs: tuple[Array, ...] = ()
    tensors: tuple[int, ...] = ()

    @property
    def ran(self) -> bool:
        """Whether there are answers."""
        return self.report.outcome is RuntimeOutcome.RAN


@dataclass(frozen=True, kw_only=True)
class Part:
    """Which part of a model to run: its first `ops` operators (None: all), with `every` result as an output."""

    ops: int | None = None
    every: bool = False

    @property
    def arguments(self) -> tuple[str, ...]:
        """Return the part as the child's arguments."""
        return (*(() if self.ops is None else ("--ops", str(self.ops))), *(("--every",) if self.every else ()))


WHOLE = Part()


def pack(inputs: Sequence[Array]) -> Rows:
    """Return samples as the child takes them: inputs of shape [samples, …] in the model's order become a row of bytes a sample."""
    rows = [np.ascontiguousarray(values).reshape(len(values), -1).view(np.uint8) for values in inputs]
    packed: Rows = np.concatenate(rows, axis=1)
    return packed


def run(
    content: bytes,
    runtime: Runtime,
    samples: Rows,
    *,
    part: Part = WHOLE,
    arena_bytes: int | None = None,
    deadline_s: float = 600.0,
    answered: Callable[[int], None] = lambda done: None,
) -> Run:
    """Return what `runtime` answers to `samples`; `answered` hears how many are done.

    `arena_bytes` is the memory that TFLite Micro gets, None: as much as will do.
    Raises ModelFileError for what is no model, before any runtime sees it.
    """
    enough = generous_arena(read_graph(content), len(content))
    package, module = PACKAGES[runtime]
    if find_spec(module) is None:
        reason = f"{package} is not installed"
        return Run(report=RuntimeReport(runtime=runtime, version="", outcome=RuntimeOutcome.MISSING, reason=reason))
    with tempfile.TemporaryDirectory(prefix="edgepipe-parity-") as folder:
        child = _Child(Path(folder), runtime, deadline_s, answered)
        child.run(content, samples, (str(enough if arena_bytes is None else arena_bytes), *part.arguments))
        report = RuntimeReport(
            runtime=runtime,
            version=metadata.version(package),
            outcome=RuntimeOutcome.REJECTED if child.reason else RuntimeOutcome.RAN,
            reason=child.reason,
            seconds=child.seconds,
        )
        return Run(report=report) if child.reason else Run(report=report, outputs=child.outputs(), tensors=child.tensors)


@dataclass
class _Child:
    """One child process, its files in `folder`; after `run`, `reason` is empty where it answered."""

    folder: Path
    runtime: Runtime
    deadline_s: float
    answered: Callable[[int], None]
    reason: str = ""
    seconds: float = 0.0
    tensors: tuple[int, ...] = ()
    _ports: list[tuple[list[int], str]] = field(default_factory=list)

    def run(self, content: bytes, samples: Rows, arguments: Sequence[str]) -> None:
        model, inputs = self.folder / "model.tflite", self.folder / "inputs.npy"
        model.write_bytes(content)
        np.save(inputs, samples, allow_pickle=False)
        # -P: whatever lies in the current folder, perhaps beside the model, is not imported.
        command = [sys.executable, "-P", "-m", "edgepipe.pipeline.inspect.parity.child", self.runtime.value]
        began = monotonic()
        last, code, late = self._watch([*command, str(model), str(inputs), str(self._answers), *arguments])
        self.seconds = monotonic() - began
        if code == 0:
            said = json.loads(last)
            self.tensors, self._ports = tuple(said["tensors"]), said["ports"]
        else:
            self.reason = self._manner(code, late)

    def outputs(self) -> tuple[Array, ...]:
        """Return the outputs as arrays, cut out of the rows of bytes."""
        rows = np.load(self._answers, allow_pickle=False)
        parts, start = [], 0
        for shape, dtype in self._ports:
            end = start + int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
            parts.append(np.ascontiguousarray(rows[:, start:end]).view(dtype).reshape(len(rows), *shape))
            start = end
        return tuple(parts)

    @property
    def _answers(self) -> Path:
        return self.folder / "outputs.npy"

    @property
    def _log(self) -> Path:
        return self.folder / "stderr"

    def _watch(self, command: Sequence[str]) -> tuple[str, int, bool]:
        """Return the child's last line, its exit status, and whether it was ended for being late."""
        late, last, done = False, "", 0
        with self._log.open("wb") as log:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True, preexec_fn=_limit
            )

        def end() -> None:
            nonlocal late
            late = True
            child.kill()

        timer = Timer(self.deadline_s, end)
        timer.start()
        try:
            assert child.stdout is not None
            for line in child.stdout:
                last = line
                done += line == "answered\n"
                self.answered(done)
            code = child.wait()
        finally:
            timer.cancel()
            child.kill()
            child.wait()
            if child.stdout is not None:
                child.stdout.close()
        return last, code, late

    def _manner(self, code: int, late: bool) -> str:
        if late:
            return f"was not done after {self.deadline_s:.0f} s"
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        words = [line.strip() for line in lines if line.strip() and not line.startswith(CHATTER)]
        if code < 0:
            return f"the model crashes it ({signal.Signals(-code).name})"
        if code != REFUSED:
            if any("MemoryError" in line for line in words[-1:]):
                return "the model needs more memory than it may have"
            raise InternalError(f"the run of a model in {self.runtime} failed: {(words or [''])[-1]:.300}")
        # Interpreters explain first and raise something general last.
        return " | ".join(dict.fromkeys(words[-3:]))[:400] or "refused without a word"


def _limit() -> None:
    import resource  # not on Windows, where nothing of this has been tried

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
