"""The firmware under libFuzzer: nothing that comes over the line makes it read or write where it must not."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from time import monotonic

from benchmarks.result import write
from tests.firmware import fuzzing

COMMAND = "python -m benchmarks.line_fuzz"
EXECUTIONS = 5_000_000


def main() -> None:
    """Fuzz and write; a number as an argument is how many executions, and writes nothing."""
    asked = [int(word) for word in sys.argv[1:] if word.isdigit()]
    with tempfile.TemporaryDirectory() as folder:
        program = fuzzing.build(Path(folder))
        if program is None:
            sys.exit("the fuzzer needs clang with libFuzzer: apt-get install clang")
        began = monotonic()
        executions, finding = fuzzing.run(program, Path(folder), executions=asked[0] if asked else EXECUTIONS)
    figures = {
        "executions": executions,
        "findings": 1 if finding else 0,
        "finding": finding,
        "seconds": round(monotonic() - began, 1),
    }
    print(figures)
    if not asked:
        print(write("line_fuzz", COMMAND, figures))


if __name__ == "__main__":
    main()
