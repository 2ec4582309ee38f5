"""Traces that were published with MLPerf Tiny's results, in both formats that there were.

v0.5 (EEMBC's EnergyRunner): a `.bin` of the byte 0xF1, the sample rate in Hz and the microjoules of each sample, all float32
little-endian, and a `.json` beside it with moments in seconds. The first is the beginning; then a window begins and ends, again and
again.

v1.3 (the runner of github.com/mlcommons/tiny): a JSON list with a trial each: joules per sample, and events as [label, sample
index], of which the last two are the window. That runner sets its LPM01A to 1 kS/s, which the file does not say.

Both come from strangers: nothing in them is believed before it was looked at.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Never

from edgepipe.errors import DataError
from edgepipe.places import regular

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_BIN_BYTES, MOST_JSON_BYTES = 256 << 20, 32 << 20
MOST_WINDOWS = 1000
BEGIN = struct.Struct("<Bf")  # and then the samples
MARK = 0xF1
MOST_RATE_HZ = 1e7
V13_RATE_HZ = 1000.0


@dataclass(frozen=True, kw_only=True)
class PublishedWindow:
    """From sample `first` to `last`, which count from the beginning and may lie within one. `inferences` None: not told."""

    first: float
    last: float
    inferences: int | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Published:
    """A published measurement: samples in microjoules, of shape (n,), `rate_hz` of them a second; trials follow one another.

    `version` is that of the format.
    """

    name: str
    version: str
    rate_hz: float
    microjoules: NDArray[np.float64]
    windows: tuple[PublishedWindow, ...]

    def between(self, moments: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the energy in microjoules from each moment, counted in samples, to the next, of shape (moments - 1,).

        Of a sample that an edge cuts, its share counts.
        """
        import numpy as np

        sums = np.concatenate(([0.0], np.cumsum(self.microjoules)))
        return np.diff(np.interp(moments, np.arange(sums.size), sums))


def read_published(path: Path) -> Published:
    """Return what a file holds, by its ending and content; of a v0.5 pair either file may be named.

    Raises DataError for one that is missing, too large, or not what it should be.
    """
    if path.suffix == ".bin":
        return read_v05(path, path.with_suffix(".json"))
    content = _json(path)
    if isinstance(content, list) and content and isinstance(content[0], dict):
        return _v13(path, content)
    return read_v05(path.with_suffix(".bin"), path)


def read_v05(samples: Path, moments: Path) -> Published:
    """Return the windows of a v0.5 trace and its time stamps. Raises DataError."""
    import numpy as np

    raw = _read(samples, MOST_BIN_BYTES)
    if len(raw) < BEGIN.size or raw[0] != MARK or (len(raw) - BEGIN.size) % 4:
        raise _none(samples, "it is not a byte F1 and then float32 numbers: another file, or one cut short")
    _, rate_hz = BEGIN.unpack_from(raw)
    if not 0 < rate_hz <= MOST_RATE_HZ:
        raise _none(samples, f"its sample rate is {rate_hz:g} Hz")
    microjoules = np.frombuffer(raw, "<f4", offset=BEGIN.size).astype(np.float64)
    _check_samples(samples, microjoules)
    stamps = _numbers(moments, _json(moments), "time stamps")
    if len(stamps) < 3 or len(stamps) % 2 == 0 or len(stamps) > 2 * MOST_WINDOWS:
        raise _none(moments, f"{len(stamps)} time stamps are not a beginning, and then beginning and end of each window")
    edges = [stamp * rate_hz for stamp in stamps[1:]]
    windows = [PublishedWindow(first=first, last=last) for first, last in zip(edges[::2], edges[1::2], strict=True)]
    for window in windows:
        _check_window(moments, window, microjoules.size)
    return Published(name=samples.stem, version="v0.5", rate_hz=rate_hz, microjoules=microjoules, windows=tuple(windows))


def _v13(path: Path, content: Sequence[object]) -> Published:
    import numpy as np

    if len(content) > MOST_WINDOWS:
        raise _none(path, f"it has {len(content)} trials")
    traces, windows, before = list["NDArray[np.float64]"](), list[PublishedWindow](), 0
    for number, entry in enumerate(content, 1):
        microjoules, window = _v13_trial(path, number, entry)
        _check_window(path, window, microjoules.size)
        windows.append(replace(window, first=before + window.first, last=before + window.last))
        traces.append(microjoules)
        before += microjoules.size
    return Published(
        name=path.stem, version="v1.3", rate_hz=V13_RATE_HZ, microjoules=np.concatenate(traces), windows=tuple(windows)
    )


def _v13_trial(path: Path, number: int, entry: Any) -> tuple[NDArray[np.float64], PublishedWindow]:
    import numpy as np

    try:
        power, inferences = entry["power"], entry["infer"]["iterations"]
        joules, events = power["samples"], power["timestamps"]
        (_, first), (_, last) = events[-2:]
    except (TypeError, KeyError, ValueError, IndexError) as exc:
        raise _none(path, f"trial {number} lacks samples, iterations, or two events that are [label, sample]") from exc
    with np.errstate(over="ignore"):  # what is too large is refused below
        microjoules = 1e6 * np.array(_numbers(path, joules, f"samples of trial {number}"))
    _check_samples(path, microjoules)
    edges = _numbers(path, [first, last], f"events of trial {number}")
    if type(inferences) is not int or inferences < 1:
        raise _none(path, f"trial {number} has {str(inferences)[:40]} iterations")
    return microjoules, PublishedWindow(first=edges[0], last=edges[1], inferences=inferences)


def _check_window(path: Path, window: PublishedWindow, samples: int) -> None:
    if not 0 <= window.first < window.last <= samples:
        where = f"from sample {window.first:.6g} to {window.last:.6g} of {samples}"
        raise _none(path, f"a window is not within its trace: {where}")


def _check_samples(path: Path, microjoules: NDArray[np.float64]) -> None:
    import numpy as np

    if not microjoules.size:
        raise _none(path, "it has no samples")
    if not np.isfinite(microjoules).all():
        raise _none(path, "a sample is not a number")


def _numbers(path: Path, values: Any, what: str) -> list[float]:
    """Return a list of JSON's numbers. Text that looks like one is none, and neither is true."""
    if not isinstance(values, list) or not all(type(value) in (int, float) for value in values):
        raise _none(path, f"the {what} are not a list of numbers")
    try:
        return [float(value) for value in values]
    except OverflowError as exc:
        raise _none(path, f"the {what} have a number beyond all reason") from exc


def _json(path: Path) -> Any:
    def refuse(word: str) -> Never:
        raise ValueError(f"{word} is not a number")

    raw = _read(path, MOST_JSON_BYTES)
    try:
        return json.loads(raw, parse_constant=refuse)
    except RecursionError as exc:
        raise _none(path, "it is nested too deep") from exc
    except ValueError as exc:
        raise _none(path, f"it is not JSON: {exc}") from exc


def _read(path: Path, most_bytes: int) -> bytes:
    try:
        with regular(path).open("rb") as file:
            raw = file.read(most_bytes + 1)
    except OSError as exc:
        raise DataError(
            f"cannot read {path}: {exc.strerror}", todo="A v0.5 trace is a .bin and a .json of the same name in one folder."
        ) from exc
    if len(raw) > most_bytes:
        raise _none(path, f"it is larger than {most_bytes >> 20} MiB")
    return raw


def _none(path: Path, why: str) -> DataError:
    return DataError(
        f"{path} is no trace of MLPerf Tiny: {why}",
        cause="another file was meant, or it is damaged",
        todo="Traces stand in the repositories mlcommons/tiny_results_v0.5 and later, under energy.",
    )
