"""The memory that TFLite Micro needs to run a model: recorded by its own allocator, then bisected to the smallest that invokes.

What was measured with the pinned wheel on x86-64, on the two MLPerf Tiny models: the recorded total can be too small (3,984
recorded, 4,640 needed for the anomaly detector, since planning the buffers takes scratch memory of its own); from the smallest size
up every size invokes, below it none; loading and invoking need the same; an arena that is too small can crash the process.

The wheel runs `RecordingMicroAllocator`, which keeps its counters in the arena, and 64-bit pointers: a 32-bit board with the plain
allocator needs less (keyword spotting: 24,272 bytes here, 22,868 on a Cortex-M4 with the same reference kernels). Kernels that a
board's SDK brings (CMSIS-NN) may ask for more scratch memory (22,916 there). So this is an upper estimate for reference kernels;
the board's own firmware has the last word.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from edgepipe.errors import MissingExtra, ModelRejected
from edgepipe.events import Emit, silent, step
from edgepipe.pipeline.inspect.graph import STORED_BITS, Subgraph, read_graph

ALIGNMENT = 16
LARGEST_ARENA = 1 << 30
MEMORY_LIMIT_BYTES = 6 << 30
MOST_CRASHES = 40


@dataclass(frozen=True, kw_only=True)
class Arena:
    """`smallest_bytes` is the smallest multiple of `alignment` in which the model invokes; 16 bytes less were tried and did not.

    `recorded_bytes` is what TFLite Micro's recording allocator said it used, `sections` its parts by name.
    """

    recorded_bytes: int
    smallest_bytes: int
    alignment: int = ALIGNMENT
    tool_version: str = ""
    sections: dict[str, int] = field(default_factory=dict)


def has_tflm() -> bool:
    """Whether the tflite-micro wheel is installed, told without importing it."""
    return find_spec("tflite_micro") is not None


def find_arena(model: Path, *, emit: Emit = silent, deadline_s: float = 120.0) -> Arena:
    """Return the arena that `model` needs.

    Raises MissingExtra without the tflite-micro wheel, ModelFileError for a damaged file, and ModelRejected for a model that TFLite
    Micro refuses, that crashes it, or that is not done after `deadline_s` seconds.
    """
    if not has_tflm():
        todo = "pip install 'edgepipe[micro]' (x86-64 Linux only)"
        raise MissingExtra("measuring the arena needs the tflite-micro package", todo=todo)
    graphs = read_graph(model.read_bytes())
    with step(emit, f"smallest arena of {model.name}"), tempfile.TemporaryDirectory(prefix="edgepipe-arena-") as folder:
        trials = _Trials(model, len(graphs[0].inputs), Path(folder) / "stderr", deadline_s)
        generous = generous_arena(graphs, model.stat().st_size)
        recorded, sections = trials.record(generous)
        smallest = trials.search(generous, recorded)
    return Arena(
        recorded_bytes=recorded,
        smallest_bytes=smallest,
        tool_version=f"tflite-micro {metadata.version('tflite-micro')}",
        sections=sections,
    )


def _round_up(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def generous_arena(graphs: Sequence[Subgraph], model_bytes: int) -> int:
    """Return an arena that must do: all tensors at once, with room for what TFLite Micro keeps about each."""
    tensors = [tensor for graph in graphs for tensor in graph.tensors]
    activations = sum(tensor.elements * STORED_BITS.get(tensor.dtype, 32) // 8 for tensor in tensors if tensor.data is None)
    return min(_round_up(4 * activations + 1024 * len(tensors) + model_bytes + (1 << 20)), LARGEST_ARENA)


class _Trials:
    """Runs the trials in child processes and starts another where one dies."""

    def __init__(self, model: Path, inputs: int, stderr: Path, deadline_s: float) -> None:
        self._model = model
        self._inputs = inputs
        self._stderr = stderr
        self._deadline_s = deadline_s

    def record(self, arena_bytes: int) -> tuple[int, dict[str, int]]:
        said, code = self._run("record", arena_bytes)
        log = self._stderr.read_text(encoding="utf-8", errors="replace")
        if code != 0:
            raise self._rejected(f"crashes TFLite Micro (exit status {code})", log)
        if not any(line.startswith("ok ") for line in said):
            raise self._rejected("is refused by TFLite Micro", log)
        total = re.search(r"Arena allocation total (\d+) bytes", log)
        if total is None:
            raise self._rejected("left no record of its allocations", log)
        sections = {name: int(size) for name, size in re.findall(r"'([^']+)' used (\d+) bytes", log)}
        return int(total[1]), sections

    def search(self, high: int, recorded: int) -> int:
        """Return the smallest arena; a child that dies on a size has shown that this size does not do."""
        low, probe = 0, min(_round_up(recorded), high - ALIGNMENT)
        for _ in range(MOST_CRASHES):
            said, code = self._run("search", low, high, probe)
            words = [line.split() for line in said]
            high = min([high, *(int(word[1]) for word in words if word[0] == "ok")])
            low = max([low, *(int(word[1]) for word in words if word[0] == "no")])
            if code == 0:
                return high
            if words and words[-1][0] == "try":
                low = max(low, int(words[-1][1]))
            if high - low <= ALIGNMENT:
                return high
            probe = low + (high - low) // (2 * ALIGNMENT) * ALIGNMENT
        raise self._rejected(f"crashed TFLite Micro {MOST_CRASHES} times", "")

    def _run(self, mode: str, *sizes: int) -> tuple[list[str], int]:
        command = [sys.executable, "-m", "edgepipe.pipeline.export.arena_trial", mode, str(self._model), str(self._inputs)]
        try:
            with self._stderr.open("wb") as log:
                child = subprocess.run(
                    [*command, *map(str, sizes)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    timeout=self._deadline_s,
                    check=False,
                    text=True,
                    preexec_fn=_limit,
                )
        except subprocess.TimeoutExpired as exc:
            raise self._rejected(f"was not done after {self._deadline_s:.0f} s", "") from exc
        return child.stdout.splitlines(), child.returncode

    def _rejected(self, what: str, log: str) -> ModelRejected:
        last = next((line for line in reversed(log.splitlines()) if line.strip() and "RecordingMicroAllocator" not in line), "")
        problems = [last.strip()[:300]] if last else []
        return ModelRejected(
            f"{self._model.name} {what}", problems=problems, todo="`edgepipe verify MODEL --target mcu` says more."
        )


def _limit() -> None:
    import resource  # not on Windows, where there is no tflite-micro wheel either

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
