"""The engine under libFuzzer: no model, however damaged, makes it read or write outside of the model and its arena."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic

from benchmarks.result import write
from tests.firmware.host_engine import SOURCES, compiler
from tests.firmware.random_models import MAKERS, random_model

HARNESS = Path(__file__).resolve().parents[1] / "tests" / "firmware" / "fuzz_load.c"
SANITIZERS = ("-g", "-O1", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all")
EXECUTIONS = 5_000_000


def build(folder: Path) -> Path:
    """Return the fuzzer. Ends the process with what to install where clang or its libFuzzer is missing."""
    program = folder / "fuzz_load"
    command = [
        "clang",
        "-std=c11",
        *SANITIZERS,
        "-DENGINE_PAIRS",
        f"-I{SOURCES}",
        *map(str, sorted(SOURCES.glob("*.c"))),
        str(HARNESS),
    ]
    if compiler("clang") is None or subprocess.run([*command, "-o", str(program)], capture_output=True, check=False).returncode:
        sys.exit("the fuzzer needs clang with libFuzzer: apt-get install clang libclang-rt-14-dev")
    return program


def main() -> int:
    """Fuzz, write the figures and return 1 where anything was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--executions", type=int, default=EXECUTIONS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edgepipe-fuzz-") as place:
        folder = Path(place)
        (corpus := folder / "corpus").mkdir()
        for name in MAKERS:
            for seed in range(3):
                (corpus / f"{name}{seed}").write_bytes(random_model(name, seed, 1)[0])
        program, began = build(folder), monotonic()
        command = [program, f"-runs={given.executions}", "-seed=1", "-max_len=4096", "-timeout=10", "-print_final_stats=1", corpus]
        ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
    done = re.search(r"number_of_executed_units: (\d+)", ran.stderr)
    figures = {
        "executions": int(done[1]) if done else 0,
        "findings": int(ran.returncode != 0),
        "finding": ran.stderr[-3000:] if ran.returncode else "",
        "seconds": round(monotonic() - began, 1),
    }
    print(figures)
    if given.executions == EXECUTIONS:
        write("engine_fuzz", "python -m benchmarks.engine_fuzz", figures)
    return ran.returncode and 1


if __name__ == "__main__":
    sys.exit(main())
