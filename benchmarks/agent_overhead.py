"""What the agent adds to a latency: its blocks against a bare loop, in fresh processes, interleaved A B B A."""

from __future__ import annotations

import hashlib
import math
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.result import write
from benchmarks.synthetic import convolution
from edgepipe.devices.boards.linux import LinuxBoard
from edgepipe.devices.protocols import BlockRequest, RunOptions
from edgepipe.devices.transports.local import LocalTransport

PAIRS = 10
REAL = Path(__file__).parents[2] / "shared" / "data" / "models"
RESOLVERS = {"xnnpack": "AUTO", "none": "BUILTIN_WITHOUT_DEFAULT_DELEGATES"}
LARGE_NS = 200_000  # from here on a ratio is asked for, below it a bias
T_975 = 2.262  # Student's t with 9 degrees of freedom; of 10 differences the second and ninth enclose the median in 97.9 %


def main() -> None:
    """Compare on every model and write the result."""
    with tempfile.TemporaryDirectory() as folder:
        board = LinuxBoard("local", LocalTransport())
        board.open()
        try:
            figures: dict[str, Any] = {"load_average_1m_at_start": os.getloadavg()[0]}
            for name, path, delegate in _models(Path(folder)):
                figures[name] = _compare(board, path, delegate)
        finally:
            board.close()
    path = write("agent_overhead", "python -m benchmarks.agent_overhead", figures)
    print(path.read_text())


def _models(folder: Path) -> list[tuple[str, Path, str]]:
    synthetic = folder / "convolution.tflite"
    synthetic.write_bytes(convolution(side=48, channels=32))
    real = [
        ("anomaly detection int8, xnnpack", REAL / "ad01_int8.tflite", "xnnpack"),
        ("keyword spotting int8, xnnpack", REAL / "kws_ref_model.tflite", "xnnpack"),
        ("keyword spotting int8, no delegate", REAL / "kws_ref_model.tflite", "none"),
    ]
    return [entry for entry in real if entry[1].exists()] + [("one float convolution, xnnpack", synthetic, "xnnpack")]


def _compare(board: LinuxBoard, model: Path, delegate: str) -> dict[str, Any]:
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
    board.push(model, sha256)
    bare, agent = [], []
    for pair in range(PAIRS):
        first, second = (_bare, _agent) if pair % 2 == 0 else (_agent, _bare)
        for measure in (first, second):
            (bare if measure is _bare else agent).append(measure(board, model, sha256, delegate))
    logs = [math.log(a / b) for a, b in zip(agent, bare, strict=True)]
    mean, half = statistics.fmean(logs), T_975 * statistics.stdev(logs) / math.sqrt(PAIRS)
    differences = sorted(a - b for a, b in zip(agent, bare, strict=True))
    ratio, bias_ns = statistics.median(agent) / statistics.median(bare), statistics.median(differences)
    large = statistics.median(bare) > LARGE_NS
    return {
        "bare_median_us": statistics.median(bare) / 1000,
        "agent_median_us": statistics.median(agent) / 1000,
        "ratio_of_medians": ratio,
        "ratio_95": [math.exp(mean - half), math.exp(mean + half)],
        "bias_us": bias_ns / 1000,
        "bias_us_98": [differences[1] / 1000, differences[-2] / 1000],
        "wanted": "ratio within 1 +- 0.03" if large else "bias under 1 us",
        "reached": abs(ratio - 1) <= 0.03 if large else abs(bias_ns) < 1000,
        "bare_block_medians_us": [value / 1000 for value in bare],
        "agent_block_medians_us": [value / 1000 for value in agent],
    }


def _bare(board: LinuxBoard, model: Path, sha256: str, delegate: str) -> float:
    script = str(Path(__file__).with_name("bare_loop.py"))
    run = subprocess.run([sys.executable, script, str(model), RESOLVERS[delegate]], capture_output=True, check=True)
    return float(run.stdout)


def _agent(board: LinuxBoard, model: Path, sha256: str, delegate: str) -> float:
    block = board.measure(sha256, BlockRequest(index=0, options=RunOptions(delegate=delegate)))
    assert block.median_ns is not None, block.reason
    return block.median_ns


if __name__ == "__main__":
    main()
