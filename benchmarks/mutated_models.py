"""Damaged model files: everything that edgepipe reads of them is read in this process; LiteRT loads them in children that may die.

`python -m benchmarks.mutated_models [--count 20000] [--seed 20261122] [--load-every 4]`
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks import result
from edgepipe.errors import ModelFileError
from edgepipe.facts import Inspection
from edgepipe.pipeline.inspect.edgetpu import map_model, mapping_warnings
from edgepipe.pipeline.inspect.flatbuffer import inspect as inspect_all
from edgepipe.pipeline.inspect.flatbuffer import read_facts
from edgepipe.pipeline.inspect.graph import read_graph
from edgepipe.pipeline.inspect.verify import verify
from edgepipe.pipeline.targets import TARGETS
from edgepipe.reports.difference import difference
from edgepipe.reports.render import inspection as render

MODELS = Path(__file__).parents[1].parent / "shared" / "data" / "models"
BATCH = 100
SECONDS_PER_MODEL = 20
MEMORY_LIMIT_BYTES = 4 << 30
EXTREMES = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def structure(content: bytes) -> tuple[int, ...]:
    """Return the positions of all bytes that are no constant's values: what holds the graph together."""
    values = np.zeros(len(content), np.bool_)
    start = np.frombuffer(content, np.uint8).__array_interface__["data"][0]
    for graph in read_graph(content):
        for tensor in graph.tensors:
            if tensor.data is not None:
                at = tensor.data.__array_interface__["data"][0] - start
                values[at : at + tensor.data.size] = True
    return tuple(np.flatnonzero(~values).tolist())


def flip_bits(content: bytearray, where: Sequence[int], rng: random.Random) -> bytes:
    """Flip one to eight bits."""
    for _ in range(rng.randint(1, 8)):
        content[rng.choice(where)] ^= 1 << rng.randrange(8)
    return bytes(content)


def set_words(content: bytearray, where: Sequence[int], rng: random.Random) -> bytes:
    """Write extreme values over one to four 32-bit words: lengths and offsets are made of these."""
    for _ in range(rng.randint(1, 4)):
        at = rng.choice(where) // 4 * 4
        content[at : at + 4] = rng.choice((*EXTREMES, rng.getrandbits(32))).to_bytes(4, "little")
    return bytes(content)


def truncate(content: bytearray, where: Sequence[int], rng: random.Random) -> bytes:
    """Cut the end off."""
    return bytes(content[: rng.randrange(len(content))])


def splice(content: bytearray, where: Sequence[int], rng: random.Random) -> bytes:
    """Copy a part of the file over another."""
    size = rng.randint(4, min(4096, len(content) // 2))
    source, target = (min(rng.choice(where), len(content) - size) for _ in range(2))
    content[target : target + size] = content[source : source + size]
    return bytes(content)


MUTATIONS: tuple[Callable[[bytearray, Sequence[int], random.Random], bytes], ...] = (flip_bits, set_words, truncate, splice)


def mutate(content: bytes, structural: Sequence[int], rng: random.Random) -> bytes:
    """Return a damaged copy; three times of four the damage goes to the structure, else anywhere."""
    where = structural if rng.random() < 0.75 else range(len(content))
    return rng.choice(MUTATIONS)(bytearray(content), where, rng)


def inspect(content: bytes, originals: Sequence[Inspection]) -> str:
    """Read all that edgepipe reads, in this process: "read" or "refused"; anything else raises and would be a bug.

    Facts, verification for every target, inspection down to the tensor and as it is shown, what an Edge TPU would take, and the
    difference from the whole models. One that takes too long ends the campaign.
    """
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS_PER_MODEL)  # not handled: ends this process even inside C code
    try:
        facts = read_facts(content)
        for target in TARGETS.values():
            verify(facts, target)
        found = inspect_all(content)
        render.sheets("mutated", found)
        list(mapping_warnings(map_model(content)))
        for original in originals:
            difference(original, found)
    except ModelFileError:
        return "refused"
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return "read"


def load_batch(folder: Path, first: int, last: int) -> None:
    """In a child: load and run each file, announcing it first, so that the parent knows which one killed it."""
    from ai_edge_litert.interpreter import Interpreter

    for index in range(first, last):
        sys.stdout.write(f"{index} ")
        sys.stdout.flush()
        signal.setitimer(signal.ITIMER_REAL, SECONDS_PER_MODEL)  # not handled: ends the process even inside C code
        try:
            interpreter = Interpreter(model_content=(folder / f"{index}.tflite").read_bytes())
            interpreter.allocate_tensors()
            for details in interpreter.get_input_details():
                interpreter.set_tensor(details["index"], np.zeros(details["shape"], details["dtype"]))
            interpreter.invoke()
            outcome = "runs"
        except (RuntimeError, ValueError, MemoryError, TypeError, UnicodeDecodeError) as exc:
            outcome = f"raises {type(exc).__name__}"
        sys.stdout.write(outcome + "\n")
        sys.stdout.flush()


def load_all(folder: Path, count: int) -> dict[int, str]:
    """Return what became of each file in LiteRT; a child that dies is replaced and goes on behind what killed it."""
    outcomes: dict[int, str] = {}
    start = 0
    while start < count:
        command = [sys.executable, "-m", "benchmarks.mutated_models", "--child", str(folder), str(start), str(count)]
        child = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, preexec_fn=_limit)
        lines = [line.split(" ", 1) for line in child.stdout.splitlines() if line[:1].isdigit()]
        for index, outcome in lines:
            outcomes[int(index)] = outcome or _death(child.returncode)
        start = max((int(index) for index, _ in lines), default=start) + 1
    return outcomes


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))


def _death(code: int) -> str:
    if code == -signal.SIGALRM:
        return f"hangs (over {SECONDS_PER_MODEL} s)"
    return f"kills its process ({signal.Signals(-code).name})" if code < 0 else f"kills its process (exit {code})"


def measure(count: int, seed: int, load_every: int) -> dict[str, object]:
    """Return the counts over `count` mutations, the real models taking turns; every `load_every`-th is loaded by LiteRT too."""
    originals = {path.name: path.read_bytes() for path in sorted(MODELS.glob("*.tflite"))}
    if not originals:
        raise SystemExit(f"no models in {MODELS}")
    sources = [(content, structure(content)) for content in originals.values()]
    whole = [inspect_all(content) for content in originals.values()]
    rng = random.Random(seed)
    inspected: Counter[str] = Counter()
    both: Counter[str] = Counter()
    slowest_ms = 0.0
    waiting: list[tuple[str, bytes]] = []
    before = _peak_bytes()
    for index in range(count):
        mutated = mutate(*sources[rng.randrange(len(sources))], rng)
        began = time.process_time()
        outcome = inspect(mutated, whole)
        slowest_ms = max(slowest_ms, (time.process_time() - began) * 1000)
        inspected[outcome] += 1
        if index % load_every == 0:
            waiting.append((outcome, mutated))
        if len(waiting) == BATCH or index == count - 1:
            both += Counter(f"inspect: {said}, LiteRT: {became}" for said, became in _loaded(waiting))
            waiting = []
        if index % 1000 == 999:
            print(f"{index + 1}: {dict(inspected)}, {dict(both)}", file=sys.stderr, flush=True)
    return {
        "mutations": count,
        "seed": seed,
        "models": sorted(originals),
        "inspected": dict(inspected),
        "slowest_inspection_cpu_ms": round(slowest_ms, 1),
        "peak_memory_growth_bytes": _peak_bytes() - before,
        "loaded_by_litert": sum(both.values()),
        "both": dict(sorted(both.items())),
        "parent_survived": True,
        "parent_survived_note": f"0 deaths in {count} show a rate below {3 / count:.3%} (95 %)",
    }


def _loaded(files: list[tuple[str, bytes]]) -> list[tuple[str, str]]:
    """Return for each file what reading said of it, and what became of it in LiteRT."""
    with tempfile.TemporaryDirectory(prefix="edgepipe-mutated-") as name:
        for index, (_, content) in enumerate(files):
            (Path(name) / f"{index}.tflite").write_bytes(content)
        outcomes = load_all(Path(name), len(files))
    return [(said, outcomes[index]) for index, (said, _) in enumerate(files)]


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main(arguments: list[str] | None = None) -> None:
    """Measure and write benchmarks/results/mutated_models.json."""
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ["--child"]:
        load_batch(Path(given[1]), int(given[2]), int(given[3]))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=20261122)
    parser.add_argument("--load-every", type=int, default=4)
    options = parser.parse_args(given)
    figures = measure(options.count, options.seed, options.load_every)
    arguments = f"--count {options.count} --seed {options.seed} --load-every {options.load_every}"
    command = f"python -m benchmarks.mutated_models {arguments}"
    print(json.dumps(figures, indent=2))
    print(result.write("mutated_models", command, figures))


if __name__ == "__main__":
    main()
