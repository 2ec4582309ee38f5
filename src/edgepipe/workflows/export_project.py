"""Export a model as a project for a board: built with `make`, it runs golden inputs and says pass or fail."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgepipe.devices.firmware_build import PORTS, FirmwarePort, PortStatus
from edgepipe.devices.firmware_sources import project_sources
from edgepipe.devices.transports.qemu import COUNTED, PROGRAM
from edgepipe.errors import MissingExtra, ModelRejected, UsageError
from edgepipe.events import Emit, silent, step
from edgepipe.facts import ModelFacts
from edgepipe.parity import Runtime, RuntimeOutcome
from edgepipe.pipeline.export.bundle import golden
from edgepipe.pipeline.export.micro_arrays import identifier
from edgepipe.pipeline.export.project import Toolchain, project
from edgepipe.pipeline.inspect.flatbuffer import read_model
from edgepipe.pipeline.inspect.parity.inputs import made_up
from edgepipe.pipeline.inspect.parity.run import run
from edgepipe.workflows.engine_plan import engine_plan
from edgepipe.workflows.export import write_sources

MOST_SAMPLES = 8
SEED = 0
SILENT = ("-display", "none", "-monitor", "none", "-serial", "none")
SEMIHOSTING = ("-chardev", "stdio,id=said,signal=off", "-semihosting-config", "enable=on,target=native,chardev=said")


@dataclass(frozen=True, kw_only=True)
class ExportedProject:
    """The files that were written, the golden inputs among them, and the arena that the engine takes."""

    name: str
    files: tuple[Path, ...]
    facts: ModelFacts
    board: str
    samples: int
    arena_bytes: int


def export_project(
    model: Path, *, to: Path, name: str | None = None, board: str | None = None, emit: Emit = silent
) -> ExportedProject:
    """Write a project for `board` (None: this machine) into the folder `to`.

    Raises UsageError for a board that has none, VerifyFailed with all problems for a model that the engine does not run,
    MissingExtra without TFLite Micro, whose answers are the golden ones, ModelRejected, InfrastructureError without a C compiler,
    and StorageError.
    """
    port = _port(board or "host")
    content, facts = read_model(model)
    label = identifier(name or model.stem)
    with step(emit, f"plan of {model.name}"):
        plan = engine_plan(model, content, facts)
    samples = _golden(model, content, facts, emit)
    files = project(label, content, facts, samples, plan.arena_bytes, _toolchain(port), project_sources(port))
    written = write_sources(to, files)
    return ExportedProject(
        name=label, files=written, facts=facts, board=port.name, samples=samples.count, arena_bytes=plan.arena_bytes
    )


def _port(board: str) -> FirmwarePort:
    known = [port.name for port in PORTS.values() if port.status is PortStatus.RUN]
    if board not in known:
        raise UsageError(f'there is no project for "{board}"', todo=f"Known: {', '.join(known)}; --as c is for any board.")
    return PORTS[board]


def _toolchain(port: FirmwarePort) -> Toolchain:
    """Return how the firmware of this board is built, without what is the firmware's own."""
    if "cortex_m" not in port.folders:
        return Toolchain(board="this machine", compiler=port.compiler)
    return Toolchain(
        board=port.name,
        compiler=port.compiler,
        flags=tuple(flag for flag in port.flags if not flag.startswith("-D")),
        script="port/cortex_m/memory.ld",
        runner=(PROGRAM, "-M", port.name, *SILENT, *SEMIHOSTING, *COUNTED, "-kernel"),
    )


def _golden(model: Path, content: bytes, facts: ModelFacts, emit: Emit) -> golden.Samples:
    """Return made-up inputs with TFLite Micro's answers: as many as a small chip has room for, but one at least."""
    rows, _ = made_up(facts, MOST_SAMPLES, SEED)
    with step(emit, "golden answers of TFLite Micro"):
        done = run(content, Runtime.TFLM, rows)
    if done.report.outcome is RuntimeOutcome.MISSING:
        raise MissingExtra(f"the golden answers of a project are TFLite Micro's: {done.report.reason}")
    if not done.ran:
        raise ModelRejected(f"TFLite Micro does not take {model.name}: {done.report.reason}")
    samples = golden.Samples(inputs=golden.split(rows, facts.inputs), outputs=done.outputs)
    return samples.first(max(1, golden.fitting(samples)))
