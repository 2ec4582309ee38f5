"""Export a model for TFLite Micro: C arrays, operator resolver and arena size, all of them or nothing."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from edgepipe.errors import UsageError, VerifyFailed
from edgepipe.events import Emit, Note, silent
from edgepipe.facts import ModelFacts
from edgepipe.pipeline.export.arena import Arena, find_arena, has_tflm
from edgepipe.pipeline.export.micro_arrays import identifier, model_header, model_source, resolver_header
from edgepipe.pipeline.inspect.flatbuffer import read_model
from edgepipe.pipeline.inspect.verify import verify
from edgepipe.pipeline.targets import TARGETS
from edgepipe.places import storage_errors


@dataclass(frozen=True, kw_only=True)
class Exported:
    """The files that were written, and what is in them; `arena` None where the tflite-micro wheel is not installed."""

    name: str
    files: tuple[Path, ...]
    facts: ModelFacts
    arena: Arena | None


def export(model: Path, *, to: Path, name: str | None = None, emit: Emit = silent) -> Exported:
    """Write `<name>_model_data.cc`, `.h` and `<name>_op_resolver.h` into the folder `to`.

    Raises VerifyFailed with all problems for a model that does not fit `mcu`, ModelRejected for one that TFLite Micro refuses,
    UsageError where `to` is a file, and StorageError; files of an earlier export are replaced only when all new ones are complete.
    """
    check_folder(to)
    content, facts = read_model(model)
    verification = verify(facts, TARGETS["mcu"])
    if not verification.fits:
        problems = [str(problem) for problem in verification.problems]
        raise VerifyFailed(f"{model.name} does not fit a microcontroller", problems=problems)
    for warning in verification.warnings:
        emit(Note(text=str(warning), warning=True))
    label = identifier(name or model.stem)
    arena = _arena(model, emit)
    sources = {
        f"{label}_model_data.h": model_header(label, content, arena),
        f"{label}_model_data.cc": model_source(label, content),
        f"{label}_op_resolver.h": resolver_header(label, (op.op for op in facts.ops)),
    }
    return Exported(name=label, files=write_sources(to, sources), facts=facts, arena=arena)


def _arena(model: Path, emit: Emit) -> Arena | None:
    if not has_tflm():
        emit(Note(text="no arena size: the tflite-micro package is not installed (pip install 'edgepipe[micro]')", warning=True))
        return None
    return find_arena(model, emit=emit)


def check_folder(to: Path) -> None:
    """Raise UsageError where a file stands in the way of the folder `to`: known before anything is computed."""
    there = next((each for each in (to, *to.parents) if each.exists()), to)
    if there.exists() and not there.is_dir():
        raise UsageError(f"{there} is a file, and no folder to write into", todo="Name another folder with --to.")


def write_sources(to: Path, sources: Mapping[str, str]) -> tuple[Path, ...]:
    """Write all files aside, then rename each into place below `to`: a full disk is met before anything is replaced.

    Raises StorageError; of what it made, no folder is then left.
    """
    content = {name: text.encode() for name, text in sources.items()}
    with storage_errors(to, needed_bytes=sum(map(len, content.values()))), _folders(to, content):
        aside = Path(tempfile.mkdtemp(prefix=".export-", dir=to))
        try:
            for number, data in enumerate(content.values()):
                with (aside / str(number)).open("wb") as part:
                    part.write(data)
                    part.flush()
                    os.fsync(part.fileno())
            for number, name in enumerate(content):
                (aside / str(number)).replace(to / name)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return tuple(to / name for name in content)


@contextmanager
def _folders(to: Path, names: Iterable[str]) -> Iterator[None]:
    """Make the folder and those below it that files of these names stand in; on failure take away what was made."""
    made: list[Path] = []
    try:
        for folder in (to, *((to / name).parent for name in names)):
            made += reversed([each for each in (folder, *folder.parents) if not each.exists()])
            folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for folder in reversed(made):
            with suppress(OSError):  # somebody else's file is in it
                folder.rmdir()
        raise
