"""Whether values have the scale that the model was made for, and the same in every split: the 0..255 fed to a 0..1 model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from edgepipe.facts import TensorPort
from edgepipe.pipeline.data.problem import DataProblem, Finding
from edgepipe.pipeline.data.scan import Scan

Range = tuple[float, float]
# A factor that no honest split or quantisation shows, while 0..255 for 0..1 does.
SCALE_FACTOR = 20.0


def expected_ranges(ports: Sequence[TensorPort]) -> dict[str, Range]:
    """Return the real range of each quantised port: scale * (q - zero point) over its integers."""
    return {port.name: (port.real(codes[0]), port.real(codes[1])) for port in ports if (codes := port.code_range)}


def check_range(found: Scan, port: TensorPort, expects: Mapping[str, Range], normalizes: bool | None) -> list[Finding]:
    """Return what is wrong with the values for the model's input."""
    if not found.finite or found.constant:
        return []
    is_run = f"its values run from {found.low:g} to {found.high:g}"
    if port.scale is None and port.dtype in ("int32", "int64") and not found.whole:
        return [("error", None, f"{is_run} with fractions, but the model takes {port.dtype}")]
    if port.name in expects:
        return _against(found, expects[port.name], is_run)
    looks_like_pixels = found.whole and found.low >= 0 and 128 <= found.high <= 255
    if normalizes is False and looks_like_pixels and port.dtype.startswith("float"):
        hint = "the network begins with no Rescaling or normalisation: the model may expect 0..1 (divide by 255)"
        return [("warning", None, f"{is_run} in whole numbers, and {hint}")]
    return []


def _against(found: Scan, expected: Range, is_run: str) -> list[Finding]:
    low, high = expected
    span = high - low
    but = f"but the model was made for {low:.4g} to {high:.4g}"
    factor = found.span / span if span > 0 else math.inf
    if factor > SCALE_FACTOR:
        return [("error", None, f"{is_run}, {but}: {factor:.3g} times too wide{remedy(1 / factor)}")]
    if 0 < factor < 1 / SCALE_FACTOR:
        return [("error", None, f"{is_run}, {but}: {1 / factor:.3g} times too narrow{remedy(1 / factor)}")]
    if not low - 0.1 * span <= found.mean <= high + 0.1 * span:
        return [("error", None, f"{is_run} with a mean of {found.mean:.4g}, {but}: most of it lies outside")]
    if found.low < low - 0.5 * span or found.high > high + 0.5 * span:
        return [("warning", None, f"{is_run}, {but}: what lies outside is clipped")]
    return []


def remedy(multiplier: float) -> str:
    """Return how to mend a scale that is off by the usual 255."""
    if 1 / 300 < multiplier < 1 / 200:
        return " (divide by 255)"
    return " (multiply by 255)" if 200 < multiplier < 300 else ""


def compare_scales(scans: Mapping[str, Mapping[str, Scan]]) -> list[DataProblem]:
    """Return the inputs whose range and magnitude both differ by more than the factor: a lone outlier moves the range only."""
    if len(scans) < 2:
        return []
    reference = "train" if "train" in scans else next(iter(scans))
    problems = []
    for split, inputs in scans.items():
        for name, here in inputs.items():
            there = _counterpart(name, inputs, scans[reference])
            if there is None:
                continue
            if min(here.span, there.span, here.mean_abs, there.mean_abs) <= 0 or not (here.finite and there.finite):
                continue
            factors = (here.span / there.span, here.mean_abs / there.mean_abs)
            if min(factors) > SCALE_FACTOR or max(factors) < 1 / SCALE_FACTOR:
                message = (
                    f"another scale than {reference}: {here.low:g} to {here.high:g} there, "
                    f"{there.low:g} to {there.high:g} in {reference}{remedy(1 / factors[0])}"
                )
                problems.append(DataProblem(severity="error", split=split, input=name, index=None, message=message))
    return problems


def _counterpart(name: str, here: Mapping[str, Scan], there: Mapping[str, Scan]) -> Scan | None:
    """Return the same input of another split: by name, and a single one whatever its name."""
    if len(here) == len(there) == 1:
        return next(iter(there.values()))
    return there.get(name)
