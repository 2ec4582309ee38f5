"""What goes wrong when numbers are read: the usual way has it, ours has not. Each test is a page of docs/problems."""

from __future__ import annotations

import math
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from commandline import EDGEPIPE, Command

from edgepipe.reports.stats import sign_flip_p


def test_pr_comments_that_cry_wolf() -> None:
    """The same model twice, by the usual test on all invocations and by ours on blocks: METHODS' spread of 1 % between launches."""
    random = np.random.default_rng(11)
    pairs = [[np.log(launch(random)) for _ in range(20)] for _ in range(200)]
    usual = [mann_whitney_p(np.concatenate(runs[:10]), np.concatenate(runs[10:])) < 0.05 for runs in pairs]
    medians = [[float(np.median(run)) for run in runs] for runs in pairs]
    ours = [sign_flip_p([b - a for a, b in zip(run[:10], run[10:], strict=True)]) < 0.05 for run in medians]
    assert np.mean(usual) > 0.3, "nearly every second comment would cry wolf"
    assert np.mean(ours) < 0.09, "nominally one in twenty; 200 tries allow for this much"


def test_numbers_that_cannot_be_compared(ours: Path, edgepipe: Command) -> None:
    """Two latencies of one file: nothing in the numbers says that one had two threads and other kernels."""
    for more in (("--threads", "1"), ("--threads", "2", "--delegate", "none")):
        done = edgepipe("bench", ours, "--blocks", "2", "--json", *more)
        assert done.code == 0, done.err
        (edgepipe.folder / f"{more[1]}.json").write_text(Path(done.json["runs"][0]["file"]).read_text())
    told = edgepipe("compare", "1.json", "2.json")
    assert told.code == 5
    assert "threads" in told.err and "delegate" in told.err, "all fields that differ, at once"


def test_slow_help_and_log_spam() -> None:
    """A command that imports TensorFlow first is slow to say anything, and says much that nobody asked for."""
    usual_s, chatter = cost([sys.executable, "-c", "import tensorflow; import tensorflow_model_optimization"])
    ours_s, silence = cost([*EDGEPIPE, "--help"])
    assert ours_s < usual_s / 4
    assert chatter.strip() and not silence.strip()


def launch(random: np.random.Generator) -> Any:
    """Return 60 latencies of one process in us: 1 % between launches, autocorrelated inside, now and then a spike."""
    level = 1000 * random.normal(1, 0.01)
    noise = np.zeros(60)
    for index in range(1, 60):
        noise[index] = 0.6 * noise[index - 1] + random.normal(0, 0.002)
    return level * (1 + noise) * np.where(random.random(60) < 0.01, 1.5, 1)


def mann_whitney_p(a: Any, b: Any) -> float:
    """Return the two-sided p by the normal approximation (Mann and Whitney 1947); values without ties."""
    ranks = np.empty(len(a) + len(b))
    ranks[np.argsort(np.concatenate([a, b]))] = np.arange(1, len(ranks) + 1)
    u = ranks[: len(a)].sum() - len(a) * (len(a) + 1) / 2
    spread = math.sqrt(len(a) * len(b) * (len(a) + len(b) + 1) / 12)
    return math.erfc(abs(u - len(a) * len(b) / 2) / spread / math.sqrt(2))


def cost(command: list[str]) -> tuple[float, str]:
    """Return the processor seconds that a command took, and what it wrote to stderr."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "TF_USE_LEGACY_KERAS": "1"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stderr
