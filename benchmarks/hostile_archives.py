"""Damaged and hostile `.keras` files: scanned as edgepipe does, and those that pass are loaded by Keras in children that may die.

`python -m benchmarks.hostile_archives [--count 10000] [--seed 20261122]`

The canary is a file that every payload put into the models would create: its presence after a load means that code was executed.
That it works is tried first: a loader without the scan, with Keras's safe mode off, must create it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import selectors
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from pathlib import Path

from benchmarks import result
from benchmarks.hostile_mutations import MEMBERS, MUTATIONS, Members, pack, payload
from edgepipe.errors import EdgepipeError
from edgepipe.events import silent
from edgepipe.pipeline.inspect.admission import admit

SECONDS_PER_MODEL = (
    60  # of the child's own CPU, so that other work on the machine makes no hang; asleep it may be ten times as long
)
SECONDS_TO_START = 300
MEMORY_BYTES = 6 << 30
CANARY = "EDGEPIPE_CANARY"


def scan(path: Path) -> str:
    """Return "passes" or the kind of refusal; anything else raises and would be a bug."""
    try:
        admit(path, trusted=False, emit=silent)
    except EdgepipeError as exc:
        assert exc.exit_code == 2, exc
        return f"refused: {exc.slug}"
    return "passes"


class Loader:
    """A child that imports TensorFlow once and loads what it is told; one that dies or hangs is replaced."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._child: subprocess.Popen[bytes] | None = None
        self.started = 0

    def load(self, path: Path, *, unsafe: bool = False) -> str:
        """Return what became of the file in Keras."""
        child = self._child or self._start()
        assert child.stdin is not None
        child.stdin.write(f"{'unsafe' if unsafe else 'safe'} {path}\n".encode())
        child.stdin.flush()
        answer = self._answer(SECONDS_PER_MODEL)
        if answer is None:
            self.close()
            return f"hangs (over {SECONDS_PER_MODEL} s)"
        if not answer:
            code = child.wait()
            self._child = None
            return f"kills its process ({code})"
        return answer

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None

    def _start(self) -> subprocess.Popen[bytes]:
        self.started += 1
        with (self._folder / "loader.log").open("ab") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.hostile_archives", "--child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                preexec_fn=_limit,
            )
        if self._answer(SECONDS_TO_START) != "ready":
            raise SystemExit(f"the loader does not start; see {self._folder / 'loader.log'}")
        return self._child

    def _answer(self, seconds: float) -> str | None:
        """Return the next line, '' where the child is gone, None where it takes too long."""
        assert self._child is not None and self._child.stdout is not None
        cpu_end, end = _cpu_seconds(self._child.pid) + seconds, time.monotonic() + 10 * seconds
        with selectors.DefaultSelector() as selector:
            selector.register(self._child.stdout, selectors.EVENT_READ)
            while not selector.select(5):
                if time.monotonic() > end or _cpu_seconds(self._child.pid) > cpu_end:
                    return None
        return self._child.stdout.readline().decode().strip()


def _cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process, all threads: utime and stime, fields 14 and 15 of proc(5)'s stat."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 20, 64 << 20))


def child() -> None:
    """Load every file named on stdin as edgepipe's worker does; the answers go where stdout was."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    import keras
    import tf_keras

    from edgepipe.pipeline.inspect.keras_archive import read_archive
    from edgepipe.pipeline.keras_bridge import without_training

    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        how, _, name = line.strip().partition(" ")
        try:
            if how == "unsafe":
                keras.models.load_model(name, safe_mode=False)
            else:
                archive = read_archive(Path(name))
                with without_training(Path(name), archive) as plain:
                    if archive.is_keras_3:
                        keras.models.load_model(plain, compile=False, safe_mode=True)
                    else:
                        tf_keras.models.load_model(plain, compile=False)
            outcome = "loads"
        except Exception as exc:  # noqa: BLE001  whatever Keras raises is an outcome here
            outcome = f"raises {type(exc).__name__}"
        keras.backend.clear_session()
        print(outcome, file=answers, flush=True)


def originals(folder: Path) -> list[Members]:
    """Return the members of small models of both Keras, made by the tests' model zoo."""
    zoo = Path(__file__).parents[1] / "tests" / "model_zoo.py"
    subprocess.run([sys.executable, str(zoo), str(folder)], check=True, capture_output=True)
    found = []
    for name in ("keras3", "keras2", "two_inputs", "sequential"):
        with zipfile.ZipFile(folder / f"{name}.keras") as archive:
            found.append({member: archive.read(member) for member in MEMBERS})
    return found


def canary_sings(loader: Loader, folder: Path, members: Members, canary: Path) -> bool:
    """Return whether a loader without the scan and without safe mode creates the canary: else its silence would prove nothing."""
    config = json.loads(members["config.json"])
    function = {"name": "l", "function": payload(str(canary))}
    config["config"]["layers"].insert(
        1, {"module": "keras.layers", "class_name": "Lambda", "config": function, "registered_name": None}
    )
    path = folder / "canary.keras"
    pack(path, {**members, "config.json": json.dumps(config).encode()}, random.Random(1))
    loader.load(path, unsafe=True)
    sings = canary.exists()
    canary.unlink(missing_ok=True)
    return sings


def measure(count: int, seed: int) -> dict[str, object]:
    """Return the counts over `count` mutations; mutations and models take turns."""
    rng = random.Random(seed)
    outcomes: Counter[str] = Counter()
    by_mutation: dict[str, Counter[str]] = {mutation.__name__: Counter() for mutation in MUTATIONS}
    executed: list[int] = []
    slowest_s = 0.0
    with tempfile.TemporaryDirectory(prefix="edgepipe-hostile-") as name:
        folder = Path(name)
        models = originals(folder)
        canary, path, loader = folder / CANARY, folder / "mutated.keras", Loader(folder)
        sings = canary_sings(loader, folder, models[-1], canary)
        for index in range(count):
            mutation = MUTATIONS[index % len(MUTATIONS)]
            pack(path, mutation(models[index // len(MUTATIONS) % len(models)], rng, str(canary)), rng)
            began = time.monotonic()
            scanned = scan(path)
            slowest_s = max(slowest_s, time.monotonic() - began)
            outcome = scanned if scanned != "passes" else f"passes, {loader.load(path)}"
            outcomes[outcome] += 1
            by_mutation[mutation.__name__][outcome] += 1
            if canary.exists():
                executed.append(index)
                canary.unlink()
            if index % 500 == 499:
                print(f"{index + 1}: {dict(outcomes)}, executed {len(executed)}", file=sys.stderr, flush=True)
        loader.close()
    loaded = sum(number for outcome, number in outcomes.items() if outcome.startswith("passes"))
    return {
        "mutations": count,
        "seed": seed,
        "outcomes": dict(sorted(outcomes.items())),
        "by_mutation": {name: dict(sorted(counts.items())) for name, counts in by_mutation.items()},
        "loaded_by_keras": loaded,
        "loaders_started": loader.started,
        "canary_sings_without_the_scan": sings,
        "code_executed": len(executed),
        "code_executed_at": executed,
        "code_executed_note": f"0 in {count} shows a rate below {3 / count:.2%} (95 %)" if not executed else "",
        "hangs": sum(number for outcome, number in outcomes.items() if "hangs" in outcome),
        "slowest_scan_s": round(slowest_s, 1),
        "parent_survived": True,
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure and write benchmarks/results/hostile_archives.json."""
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ["--child"]:
        child()
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=20261122)
    options = parser.parse_args(given)
    figures = measure(options.count, options.seed)
    command = f"python -m benchmarks.hostile_archives --count {options.count} --seed {options.seed}"
    print(json.dumps(figures, indent=2))
    print(result.write("hostile_archives", command, figures))


if __name__ == "__main__":
    main()
