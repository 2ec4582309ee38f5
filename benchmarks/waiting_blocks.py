"""A runtime for a board under test whose blocks wait instead of computing, as if the board had a processor of its own."""

from __future__ import annotations

import sys
from pathlib import Path

# Stands where the Python of a provisioned runtime stands, so the agent starts it as it would start that: PYTHON -I AGENT block.
PYTHON = """\
#!{python}
import os, sys, time

sys.path.insert(0, sys.argv[2])
from edgepipe_agent.block import pack
from edgepipe_agent.job import Job
from edgepipe_agent.limits import die_with
from edgepipe_agent.lines import claim_stdout, decode
from edgepipe_agent.store import file_sha256

SECONDS, MEETING, GUESTS, WITNESS = {seconds!r}, {meeting!r}, {guests!r}, {witness!r}

job = Job(claim_stdout(), decode(sys.stdin.buffer.readline()))
die_with(job.request["agent_pid"])
if WITNESS:
    sys.path.insert(0, WITNESS)
    from claims import claim
    claim(os.path.join(WITNESS, "witness"), "block", job.request["agent_pid"])
if MEETING:
    open(os.path.join(MEETING, str(os.getpid())), "w").close()
began = time.perf_counter_ns()
while time.perf_counter_ns() - began < SECONDS * 1e9 or (MEETING and len(os.listdir(MEETING)) < GUESTS):
    time.sleep(0.05)
    job.alive()
took = min(time.perf_counter_ns() - began, 0xFFFFFFFF)
packed, stride = pack([took])
job.answer({{
    "load_ns": 0, "first_ns": took, "warmup_invocations": 0, "warmup_settled": True, "invocations": 1, "stride": stride,
    "samples_ns_zlib": packed, "median_ns": float(took), "peak_memory_bytes": 1, "model_memory_bytes": 1,
    "output_sha256": "0" * 64, "artefact_sha256": file_sha256(job.request["path"]),
}})
"""


def install(home: Path, seconds: float, *, meeting: Path | None = None, guests: int = 0, witness: Path | None = None) -> None:
    """Provision the board at `home` with it: a block takes `seconds`, and until so many blocks have come to the folder `meeting`.

    `witness` is the folder of a benchmarks.lock_witness.Witness: every block tells it of itself.
    """
    venv = home / "venvs" / "waiting"
    package = venv / "lib" / f"python3.{sys.version_info.minor}" / "site-packages" / "ai_edge_litert"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (venv / "pyvenv.cfg").write_text("include-system-site-packages = false\n")
    (venv / "stamp.json").write_text("{}\n")
    python = venv / "bin" / "python"
    python.parent.mkdir()
    fields = {"meeting": str(meeting) if meeting else None, "witness": str(witness) if witness else None}
    python.write_text(PYTHON.format(python=sys.executable, seconds=seconds, guests=guests, **fields))
    python.chmod(0o755)
    (home / "runtime").symlink_to("venvs/waiting")
