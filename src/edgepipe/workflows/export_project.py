"""Export a model as a project for a board: built with `make`, it runs golden inputs and says pass or fail."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from edgepipe.devices import firmware_tflm
from edgepipe.devices.engine_plan import answers_of
from edgepipe.devices.firmware_build import PORTS, FirmwarePort, PortStatus
from edgepipe.devices.firmware_sources import engine_sources, project_sources, tflm_sources
from edgepipe.devices.transports.qemu import COUNTED, PROGRAM
from edgepipe.errors import ModelRejected, UsageError, VerifyFailed
from edgepipe.events import Emit, Note, silent, step
from edgepipe.facts import ModelFacts
from edgepipe.parity import Runtime, RuntimeOutcome
from edgepipe.pipeline.export.arena import find_arena
from edgepipe.pipeline.export.bundle import golden
from edgepipe.pipeline.export.micro_arrays import identifier
from edgepipe.pipeline.export.project import linked_operators, project
from edgepipe.pipeline.export.project_makefile import Library, Toolchain
from edgepipe.pipeline.inspect.flatbuffer import read_model
from edgepipe.pipeline.inspect.parity.inputs import made_up
from edgepipe.pipeline.inspect.parity.run import run
from edgepipe.pipeline.inspect.verify import verify
from edgepipe.pipeline.targets import TARGETS
from edgepipe.workflows.engine_plan import engine_plan
from edgepipe.workflows.export import check_folder, write_sources

MOST_SAMPLES = 8
# What engine_tflm keeps in the arena beside TFLite Micro's own: itself with the interpreter, and a record for each operator.
RECORDS_BYTES, RECORD_BYTES = 1024, 16
SEED = 0
SILENT = ("-display", "none", "-monitor", "none", "-serial", "none")
SEMIHOSTING = ("-chardev", "stdio,id=said,signal=off", "-semihosting-config", "enable=on,target=native,chardev=said")


class Engine(StrEnum):
    """What runs the model of a project."""

    BUILTIN = "builtin"  # the built-in engine, as sources
    TFLM = "tflm"  # TensorFlow Lite Micro, linked as the library that the user has built


@dataclass(frozen=True, kw_only=True)
class ExportedProject:
    """The files that were written, the golden inputs among them, and the arena that the engine is given."""

    name: str
    files: tuple[Path, ...]
    facts: ModelFacts
    board: str
    engine: Engine
    samples: int
    arena_bytes: int


def export_project(
    model: Path,
    *,
    to: Path,
    name: str | None = None,
    board: str | None = None,
    engine: Engine = Engine.BUILTIN,
    emit: Emit = silent,
) -> ExportedProject:
    """Write a project for `board` (None: this machine) into the folder `to`.

    Golden answers are TFLite Micro's where that is installed. Raises UsageError for a board that has none, VerifyFailed or
    UnsupportedModel with all problems for a model that the engine does not run, MissingExtra where TFLite Micro is not installed
    and its arena is wanted, ModelRejected, InfrastructureError without a C compiler, and StorageError.
    """
    port = _port(board or "host")
    check_folder(to)
    content, facts = read_model(model)
    label = identifier(name or model.stem)
    arena_bytes, sources = (_with_tflm if engine is Engine.TFLM else _with_engine)(model, content, facts, emit)
    samples = _golden(model, content, facts, emit)
    program = {**project_sources(port), **sources}
    files = project(label, content, facts, samples, arena_bytes, _toolchain(port, engine), program)
    written = write_sources(to, files)
    return ExportedProject(
        name=label,
        files=written,
        facts=facts,
        board=port.name,
        engine=engine,
        samples=samples.count,
        arena_bytes=arena_bytes,
    )


def _with_engine(model: Path, content: bytes, facts: ModelFacts, emit: Emit) -> tuple[int, dict[str, str]]:
    """Return the arena, to the byte, and the sources of the built-in engine by path."""
    with step(emit, f"plan of {model.name}"):
        plan = engine_plan(model, content, facts)
    return plan.arena_bytes, {f"engine/{name}": text for name, text in engine_sources().items()}


def _with_tflm(model: Path, _content: bytes, facts: ModelFacts, emit: Emit) -> tuple[int, dict[str, str]]:
    """Return an arena that is enough for reference kernels, and what links TFLite Micro with the model's operators."""
    verification = verify(facts, TARGETS["mcu"])
    if not verification.fits:
        problems = [str(problem) for problem in verification.problems]
        raise VerifyFailed(f"{model.name} does not fit a microcontroller", problems=problems)
    operators = linked_operators(op.op for op in facts.ops)
    arena_bytes = find_arena(model, emit=emit).smallest_bytes + RECORDS_BYTES + RECORD_BYTES * len(facts.ops)
    return arena_bytes, {**tflm_sources(), "engine_tflm/operators.h": operators}


def _port(board: str) -> FirmwarePort:
    known = [port.name for port in PORTS.values() if port.status is PortStatus.RUN]
    if board not in known:
        raise UsageError(f'there is no project for "{board}"', todo=f"Known: {', '.join(known)}; --as c is for any board.")
    return PORTS[board]


def _toolchain(port: FirmwarePort, engine: Engine) -> Toolchain:
    """Return how the firmware of this board is built, without what is the firmware's own."""
    library = _library() if engine is Engine.TFLM else None
    if "cortex_m" not in port.folders:
        return Toolchain(board="this machine", compiler=port.compiler, library=library)
    return Toolchain(
        library=library,
        board=port.name,
        compiler=port.compiler,
        flags=tuple(flag for flag in port.flags if not flag.startswith("-D")),
        script="port/cortex_m/memory.ld",
        runner=(PROGRAM, "-M", port.name, *SILENT, *SEMIHOSTING, *COUNTED, "-kernel"),
    )


def _library() -> Library:
    ours = ("-O2", "-Werror")  # the Makefile has its own; other compilers warn of other things
    flags = ("$(OPTIMISE)", *(flag for flag in firmware_tflm.FLAGS if flag not in ours))
    headers = tuple(str(place) for place in firmware_tflm.HEADERS)
    return Library(archive=firmware_tflm.ARCHIVE, flags=(*flags, firmware_tflm.DEFINED), headers=headers)


def _golden(model: Path, content: bytes, facts: ModelFacts, emit: Emit) -> golden.Samples:
    """Return made-up inputs with TFLite Micro's answers: as many as a small chip has room for, but one at least.

    Where TFLite Micro is not installed, the answers are those of the built-in engine, which edgepipe's tests hold against its.
    """
    rows, _ = made_up(facts, MOST_SAMPLES, SEED)
    with step(emit, "golden answers of TFLite Micro"):
        done = run(content, Runtime.TFLM, rows)
    if done.report.outcome is RuntimeOutcome.MISSING:
        emit(Note(text=f"golden answers are this machine's build of the engine's own: {done.report.reason}", warning=True))
        answers = np.frombuffer(answers_of(content, rows.tobytes()), np.uint8).reshape(len(rows), -1)
        outputs = golden.split(answers, facts.outputs)
    elif done.ran:
        outputs = done.outputs
    else:
        raise ModelRejected(f"TFLite Micro does not take {model.name}: {done.report.reason}")
    samples = golden.Samples(inputs=golden.split(rows, facts.inputs), outputs=outputs)
    return samples.first(max(1, golden.fitting(samples)))
