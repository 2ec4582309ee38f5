"""The firmware under libFuzzer with AddressSanitizer and UndefinedBehaviorSanitizer: built here, run as long as is asked."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path

from edgepipe.devices.transports.frame_link import Ask
from tests.firmware.dense import dense

HARNESS = Path(__file__).with_name("fuzz_line.c")
SANITIZERS = ("-g", "-O1", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all")
# What a line may hold, so that the fuzzer need not find the words by itself.
SEEDS = (
    b"name%profile%db load 9%db 0102%db print%infer 1 1%results%timestamp%",
    b"F\x01\x00\x02\x02\0\0\0\0\x10\x13" + bytes(32) + b"\4\0\0\0\0k\x11\x04\0\0\0\0abcd\x12\x00\x20\x00",
    b"F\x20\x00\x21\x01\0\0\x22\x03\0\0\0\0\0\0\x23\x00\x24\x04\0\0\0\0\0\0\1\0\x25\x02\0\0\0\0\x30\x00\x31\x00",
    b"\0\1\1\1\1\0\0\1",
)


def deployment() -> bytes:
    """Return what brings a model into a slot and confirms it, as the harness takes requests: kind, half the length, payload."""
    model = dense(inputs=2, outputs=2)
    model += bytes(len(model) % 2)
    order = hashlib.sha256(model).digest() + len(model).to_bytes(4, "little") + b"\0k"
    pieces = [at.to_bytes(4, "little") + model[at : at + 200] for at in range(0, len(model), 200)]
    asked = [(Ask.BEGIN, order), *((Ask.DATA, piece) for piece in pieces), (Ask.COMMIT, b""), *[(Ask.STAGE, bytes(8))] * 8]
    asked += [(Ask.SLOTS, b""), (Ask.CONFIRM, b"\1\0\0\0"), (Ask.REVOKE, b"\1\0\0\0why?"), (Ask.LOAD, b"")]
    return b"F" + b"".join(bytes((kind, len(payload) // 2)) + payload for kind, payload in asked)


def build(folder: Path) -> Path | None:
    """Return the fuzzer, or None where clang with libFuzzer is not installed."""
    if shutil.which("clang") is None:
        return None
    program = folder / "fuzz_line"
    with resources.as_file(resources.files("edgepipe.devices") / "firmware") as root:
        sources = [path for part in ("frame", "core", "text", "engine") for path in sorted((root / part).glob("*.c"))]
        command = ["clang", "-std=c11", *SANITIZERS, "-Dmain=firmware_main", '-DEDGEPIPE_BUILD="fuzz"', f"-I{root}"]
        subprocess.run([*command, *map(str, sources), str(HARNESS), "-lm", "-o", str(program)], check=True, capture_output=True)
    return program


def run(program: Path, folder: Path, *, executions: int, seed: int = 1, longest_s: int = 0) -> tuple[int, str]:
    """Fuzz and return (executions, "" or what was found); `longest_s` 0 is no limit."""
    corpus = folder / "corpus"
    corpus.mkdir(exist_ok=True)
    for number, content in enumerate((*SEEDS, deployment())):
        (corpus / f"seed{number}").write_bytes(content)
    command = [
        program,
        f"-runs={executions}",
        f"-seed={seed}",
        "-max_len=4096",
        f"-max_total_time={longest_s}",
        "-print_final_stats=1",
        corpus,
    ]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
    done = re.search(r"number_of_executed_units: (\d+)", ran.stderr)
    return int(done[1]) if done else 0, ran.stderr[-3000:] if ran.returncode else ""
