"""Five kinds of bad models, put on trial by a host that is gone a moment later: each is rolled back by the board itself.

The host's death is what it is for the agent: both pipes end, in the middle of the health check.
python -m benchmarks.deploy_bad_models
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.deployments import BAD, bad, current, good, journal
from benchmarks.result import write
from edgepipe.devices import agent_bundle
from edgepipe.devices.agent.deployment import Deployment
from edgepipe.devices.agent.store import GOLDEN
from edgepipe.devices.deployments import Order

EACH = 50
AT_ONCE = 2
LONGEST_S = 60.0


@dataclass(frozen=True)
class Ending:
    """How one trial ended: whether the board went back, what it found, and how long that took after the host was gone."""

    kind: str
    back: bool
    finding: str
    seconds: float


def put(order: Order, home: Path) -> None:
    """Put an order's model and golden samples into the store of the board at `home`."""
    store = Deployment(str(home)).store
    for file, sha256, content in ((order.model, order.sha256, "model.tflite"), (order.golden, order.golden_sha256, GOLDEN)):
        incoming = home / "incoming"
        shutil.copyfile(file, incoming)
        store.add(str(incoming), sha256, content, order.name)


def board_with(order: Order, home: Path) -> None:
    """Make a board on which the order's model is current and confirmed."""
    home.mkdir()
    put(order, home)
    deployment = Deployment(str(home))
    trial = deployment.begin(order.sha256, deadline_s=60.0, version=None, protected="no", arm=lambda trial: None)
    deployment.healthy(trial)
    deployment.commit(trial)


def deploy_and_die(agent: Path, home: Path, order: Order) -> None:
    """Ask the board's agent to put the model on trial, and be gone as soon as it is current."""
    environment = {**os.environ, "EDGEPIPE_HOME": str(home)}
    process = subprocess.Popen(
        [sys.executable, "-I", str(agent), "serve"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=environment,
    )
    assert process.stdin and process.stdout
    request = {
        "id": 1,
        "do": "deploy",
        "sha256": order.sha256,
        "golden": order.golden_sha256,
        "options": asdict(order.options),
        "deadline_s": order.deadline_s,
        "slowest_us": order.slowest_us,
        "version": None,
        "protect": False,
    }
    process.stdin.write(json.dumps(request).encode() + b"\n")
    process.stdin.flush()
    while sum(b'"event":"trial"' in line for line in (home / "journal.jsonl").read_bytes().splitlines()) < 2:
        time.sleep(0.01)
    process.stdin.close()
    process.stdout.close()
    process.wait(timeout=LONGEST_S)


def trial(folder: Path, kind: str, number: int) -> Ending:
    """Let one bad model be tried on a board of its own."""
    home, models = folder / f"{kind}-{number}".replace(" ", "-"), folder / "models"
    shutil.copytree(folder / "template", home, symlinks=True)
    first, order = current(home), bad(models, kind, seed=number)
    put(order, home)
    began = time.monotonic()
    deploy_and_die(folder / "agent.pyz", home, order)
    while (current(home) != first or journal(home)[-1]["event"] != "rolled_back") and time.monotonic() < began + LONGEST_S:
        time.sleep(0.02)
    last = journal(home)[-1]
    ending = Ending(kind, current(home) == first, str(last.get("finding")), time.monotonic() - began)
    shutil.rmtree(home, ignore_errors=True)
    return ending


def campaign(each: int) -> dict[str, object]:
    """Run `each` trials of every kind and return the figures."""
    with tempfile.TemporaryDirectory(prefix="edgepipe-bad-models-") as name:
        folder = Path(name)
        (folder / "agent.pyz").write_bytes(agent_bundle.build().content)
        board_with(good(folder / "models", seed=12345), folder / "template")
        with ThreadPoolExecutor(AT_ONCE) as threads:
            endings = list(threads.map(lambda one: trial(folder, *one), [(kind, number) for number in range(each) for kind in BAD]))
    found = {kind: dict(collections.Counter(end.finding for end in endings if end.kind == kind)) for kind in BAD}
    return {
        "trials": len(endings),
        "rolled_back": sum(end.back for end in endings),
        "told_apart": sum(end.finding == end.kind for end in endings),
        "findings_by_kind": found,
        "longest_s_by_kind": {kind: round(max(end.seconds for end in endings if end.kind == kind), 2) for kind in BAD},
    }


def main() -> None:
    """Run the campaign and write its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=EACH, help="trials of each kind; with less than 50 nothing is written")
    each = parser.parse_args().each
    figures = campaign(each)
    print(json.dumps(figures, indent=1))
    if each == EACH:
        write("deploy_bad_models", "python -m benchmarks.deploy_bad_models", figures)
    sys.exit(figures["rolled_back"] != figures["trials"])


if __name__ == "__main__":
    main()
