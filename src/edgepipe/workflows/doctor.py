"""Examine a model for a target before anything is trained: from its file alone, or with one worker where only loading tells."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edgepipe.diagnosis import Examination, Explanation, Finding, Severity
from edgepipe.errors import DataError, EdgepipeError, Stopped, UnsupportedModel, WorkerDied
from edgepipe.events import Emit, silent, step
from edgepipe.pipeline.inspect.admission import admit, is_function
from edgepipe.pipeline.inspect.doctor import examine, examine_config, where
from edgepipe.pipeline.inspect.doctor import explain as explanation
from edgepipe.pipeline.inspect.doctor.codes import finding
from edgepipe.pipeline.inspect.doctor.deep import compared
from edgepipe.pipeline.inspect.keras_modules import own_modules
from edgepipe.pipeline.worker import Worker

STATIC = (".keras", ".tflite")
CALIBRATION_SAMPLES = 16


def diagnose(
    model: str,
    *,
    target: str = "mcu",
    board: str | None = None,
    deep: bool = False,
    data: str | None = None,
    trusted: bool = False,
    modules: Sequence[str] = (),
    emit: Emit = silent,
) -> Examination:
    """Return everything that will go wrong with `model` on `target`.

    A `.keras` or `.tflite` is read without TensorFlow; a SavedModel, `.h5` or `module:function` is described by a worker. `deep`
    converts for real, calibrated with `data` or random numbers, and compares; `data` alone is held against the inputs. `modules`
    are those of the user's own that a `.keras` may name; only `deep` imports them. Raises UsageError, ModelFileError,
    UnsupportedModel for a file that is not admitted, and DataError where `data` cannot be read at all.
    """
    place, hardware = where(target, board)
    base, own = Path.cwd(), own_modules(modules)
    path = base / model
    static = path.suffix in STATIC and not is_function(model, base)
    with Worker(emit) as worker:
        if static:
            found = examine(path, target=target, board=board, modules=own)
            foreign = any(each.code == "EP101" for each in found.findings)
            if path.suffix == ".keras" and not foreign:
                admit(path, trusted=trusted, modules=own, emit=emit)
        else:
            if not is_function(model, base):
                admit(path, trusted=trusted, emit=emit)
            config = worker.request(do="describe", source=model, base=str(base), trusted=trusted)["config"]
            found = examine_config(config, name=Path(model).name, source="worker", place=place, hardware=hardware)
            foreign = False
        more = _against_data(found, data, base, emit) if data is not None else []
        if deep and path.suffix != ".tflite" and not foreign:
            if own:
                worker.request(do="allow", modules=sorted(own), base=str(base))
            more += _deep(worker, model, base, found, data=data, trusted=trusted, modules=own, emit=emit)
    order = [*Severity]
    return replace(found, findings=tuple(sorted((*found.findings, *more), key=lambda each: order.index(each.severity))))


def explain(code: str) -> Explanation:
    """Return what a code means. Raises UsageError that lists all codes."""
    return explanation(code)


def _against_data(found: Examination, data: str, base: Path, emit: Emit) -> list[Finding]:
    """Hold the data against the model's inputs; what `compress` would stop at is a finding here."""
    from edgepipe.pipeline.data import check, load

    said = {each.code for each in found.findings}
    normalises = True if "EP502" in said else False if "EP501" in said else None  # only of pictures it is known
    try:
        dataset = load(data, base=base, inputs=found.inputs, emit=emit)
    except DataError as exc:
        return [finding("EP503", line, severity=Severity.ERROR, fix=exc.todo) for line in exc.problems or (exc.what,)]
    problems = check({"train": dataset}, found.inputs, normalizes=normalises)
    return [
        finding("EP503", str(problem), severity=Severity.ERROR if problem.severity == "error" else Severity.WARNING)
        for problem in problems
    ]


def _deep(
    worker: Worker,
    model: str,
    base: Path,
    found: Examination,
    *,
    data: str | None,
    trusted: bool,
    modules: frozenset[str],
    emit: Emit,
) -> list[Finding]:
    """Convert for real and return where the file differs from the static verdict."""
    with tempfile.TemporaryDirectory(prefix="edgepipe-doctor-") as folder:
        made = Path(folder) / "model.tflite"
        try:
            calibration = _calibration(data, found, base, Path(folder) / "data", emit)
            with step(emit, "convert to int8"):
                worker.request(
                    do="convert_int8",
                    source=model,
                    base=str(base),
                    trusted=trusted,
                    modules=sorted(modules),
                    data=calibration,
                    samples=CALIBRATION_SAMPLES,
                    to=str(made),
                )
        except (UnsupportedModel, WorkerDied) as exc:
            return [finding("EP701", exc.what, why=exc.cause or "TensorFlow refused it")]
        except Stopped:
            raise
        except EdgepipeError as exc:
            return [finding("EP701", exc.what, why=exc.cause or exc.slug, severity=Severity.WARNING)]
        return list(compared(found, made, emit=emit))


def _calibration(data: str | None, found: Examination, base: Path, folder: Path, emit: Emit) -> str | None:
    from edgepipe.pipeline.data import load

    if data is None:
        return None
    load(data, base=base, inputs=found.inputs, emit=emit).save(folder)
    return str(folder)
