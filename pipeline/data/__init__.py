"""Data: what stages learn from, calibrate with and are judged by. A new kind of source is one new file and one line below."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgepipe.errors import DataError
from edgepipe.events import Emit, silent
from edgepipe.facts import TensorPort
from edgepipe.pipeline.data import digits, function, images, npz, table
from edgepipe.pipeline.data.checks import check
from edgepipe.pipeline.data.dataset import Dataset
from edgepipe.pipeline.data.ports import ordered
from edgepipe.pipeline.data.problem import DataProblem, raise_errors
from edgepipe.pipeline.data.request import LARGEST_BYTES, Request, Source, nearest
from edgepipe.pipeline.data.split import calibration, split

__all__ = ["SOURCES", "DataProblem", "Dataset", "calibration", "check", "divisor", "load", "ordered", "raise_errors", "split"]

SOURCES: dict[str, Source] = {
    "digits": digits,
    "npz": npz,
    "csv": table,
    "images": images,
    "function": function,
}


def load(
    spec: str,
    *,
    base: Path,
    inputs: Sequence[TensorPort] = (),
    scale: float | None = None,
    class_names: Sequence[str] = (),
    largest_bytes: int = LARGEST_BYTES,
    timeout_s: float = 600.0,
    emit: Emit = silent,
) -> Dataset:
    """Return the data that `spec` names: a .npz, a .csv, a folder of class folders, module:function, or digits.

    Paths are relative to `base`. `inputs` are the model's, so that images get its size; `scale` divides an image's 0..255 (255
    where None). `class_names` gives the order of classes that another split has settled: pass the training data's when loading the
    test data. Raises DataError with every problem found, MissingExtra for digits without scikit-learn.
    """
    request = Request(
        spec=spec,
        base=base,
        inputs=tuple(inputs),
        scale=_positive(scale),
        class_names=tuple(class_names),
        largest_bytes=largest_bytes,
        timeout_s=timeout_s,
        emit=emit,
    )
    try:
        source = _source(request)
        if source is not None:
            return source.read(request)
        missing = "" if request.path.exists() else " There is nothing of that name." + nearest(request.path)
    except OSError as exc:
        raise DataError(f"could not read {spec}: {exc.strerror or exc}") from exc
    raise DataError(f'"{spec}" is no data that edgepipe reads.{missing}', problems=[f"it reads {s.FORM}" for s in SOURCES.values()])


def divisor(spec: str, *, base: Path, scale: float | None = None) -> float | None:
    """Return what `load` divides raw values by: pictures' by `scale`, the digits' by 16, numbers by 1; None where nothing is."""
    request = Request(spec=spec, base=base, scale=_positive(scale))
    source = _source(request)
    if source is images:
        return images.divisor(request)
    if source is digits:
        return float(digits.LEVELS)
    return None if source is None else 1.0


def _source(request: Request) -> Source | None:
    return next((source for source in SOURCES.values() if source.matches(request)), None)


def _positive(scale: float | None) -> float | None:
    if scale is not None and not 0 < scale < float("inf"):
        raise DataError(f"scale is {scale}, but it divides the pixels", todo="255 gives 0..1, 1 keeps 0..255.")
    return scale
