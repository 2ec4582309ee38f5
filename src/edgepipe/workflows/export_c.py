"""Export a model as standalone C99 on the built-in engine's kernels, with the flash and RAM that it takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgepipe.devices.firmware_build import PORTS
from edgepipe.devices.firmware_sources import engine_sources
from edgepipe.errors import UsageError
from edgepipe.events import Emit, Note, silent, step
from edgepipe.facts import ModelFacts
from edgepipe.pipeline.export.footprint import Compiler, Footprint, footprint
from edgepipe.pipeline.export.micro_arrays import identifier
from edgepipe.pipeline.export.standalone import standalone
from edgepipe.pipeline.inspect.flatbuffer import read_model
from edgepipe.workflows.engine_plan import engine_plan
from edgepipe.workflows.export import check_folder, write_sources

USUAL_BOARD = "mps2-an386"  # a Cortex-M4


@dataclass(frozen=True, kw_only=True)
class ExportedC:
    """The files that were written, the RAM that the model's code claims, and what a compiler made of it; None without one."""

    name: str
    files: tuple[Path, ...]
    facts: ModelFacts
    memory_bytes: int
    footprint: Footprint | None


def export_c(model: Path, *, to: Path, name: str | None = None, board: str | None = None, emit: Emit = silent) -> ExportedC:
    """Write `<name>.h`, `<name>.c`, `<name>_quantize.h` and `kernels/` into the folder `to`.

    Raises VerifyFailed with all problems for a model that the engine does not run, UsageError for an unknown board, ModelRejected,
    InfrastructureError without a C compiler, and StorageError.
    """
    compiler = _compiler(board)
    check_folder(to)
    content, facts = read_model(model)
    label = identifier(name or model.stem)
    with step(emit, f"plan of {model.name}"):
        plan = engine_plan(model, content, facts)
    files = write_sources(to, standalone(label, plan, content, facts, engine_sources()))
    entries = [f"{label}_{entry}" for entry in ("input", "invoke", "output")]
    taken = None
    if compiler.there:
        with step(emit, f"flash and RAM, with {compiler}"):
            taken = footprint([path for path in files if path.suffix == ".c"], compiler, entries)
    else:
        emit(Note(text=f"flash and RAM were not counted: {compiler.name} is not installed", warning=True))
    return ExportedC(name=label, files=files, facts=facts, memory_bytes=plan.memory_bytes, footprint=taken)


def _compiler(board: str | None) -> Compiler:
    """Return the compiler for a board, by its `hardware` or its port's name; without one a Cortex-M4's, else this machine's."""
    port = next((port for port in PORTS.values() if (board or USUAL_BOARD) in (port.board, port.name)), None)
    if port is None:
        raise UsageError(f'unknown board "{board}"', todo=f"Known: {', '.join(port.board for port in PORTS.values())}.")
    found = Compiler(name=port.compiler, machine=tuple(flag for flag in port.flags if flag.startswith("-m")))
    return found if board is not None or found.there else Compiler(name=PORTS["host"].compiler)
