"""Read traces that others published with MLPerf Tiny's results, and say the energies that they hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgepipe.devices.power.measure import VIEW_POINTS
from edgepipe.devices.power.mlperf import Published, read_published
from edgepipe.devices.power.windows import MLPERF_TINY
from edgepipe.energy import Energy, EnergyWindow, SyncClass, TraceCounters, TraceView
from edgepipe.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Imported:
    """One published trace: its name, the round's format, and the energy of one inference, whose uncertainty nobody stated."""

    name: str
    version: str
    energy: Energy


def power_import(files: Sequence[Path], *, inferences: int | None = None) -> tuple[Imported, ...]:
    """Return what the files say, each trace once, though a v0.5 one may be named by either of its two files, or both.

    `inferences` is how many each window of a v0.5 trace has, which only the results beside it tell. Raises DataError for a file
    that is no such trace, and UsageError where that number is missing.
    """
    traces = {(published.name, published.version): published for published in map(read_published, files)}
    return tuple(
        Imported(name=published.name, version=published.version, energy=_energy(published, inferences))
        for published in traces.values()
    )


def _energy(published: Published, inferences: int | None) -> Energy:
    """Return the median of the windows by MLPerf Tiny's rules.

    Such files tell nothing of lost samples, so they count as synchronised by stamps, and nothing of the meter's errors.
    """
    import numpy as np

    windows = tuple(_windows(published, inferences))
    reason = "; ".join(_too_short(windows))
    told = Energy(
        energy_uj=None,
        uncertainty_uj_k2=None,
        method=f"published with MLPerf Tiny {published.version}",
        sync_class=SyncClass.S2,
        self_measured=False,
        reason=reason,
        counters=TraceCounters(samples=published.microjoules.size),
        trace=_view(published),
    )
    if reason:
        return told
    return replace(
        told,
        energy_uj=float(np.median([window.energy_uj / window.inferences for window in windows])),
        power_mw=float(np.median([window.energy_uj / window.seconds / 1e3 for window in windows])),
        windows=windows,
    )


def _windows(published: Published, inferences: int | None) -> Iterator[EnergyWindow]:
    import numpy as np

    for window in published.windows:
        count = window.inferences or inferences
        if count is None:
            raise UsageError(
                f"{published.name} does not say how many inferences its windows have",
                cause=f"the format {published.version} leaves that to the results beside it",
                todo='Say it with --inferences; the results call it "# Inferences".',
            )
        yield EnergyWindow(
            start_s=window.first / published.rate_hz,
            seconds=(window.last - window.first) / published.rate_hz,
            inferences=count,
            energy_uj=float(published.between(np.array([window.first, window.last]))[0]),
        )


def _too_short(windows: Sequence[EnergyWindow]) -> Iterator[str]:
    if len(windows) < MLPERF_TINY.windows:
        yield f"{len(windows)} windows were published, {MLPERF_TINY.windows} are needed"
    for number, window in enumerate(windows, 1):
        if window.seconds < MLPERF_TINY.window_s:
            yield f"window {number} is {window.seconds:.4g} s long, {MLPERF_TINY.window_s:g} s are needed"
        if window.inferences < MLPERF_TINY.inferences:
            yield f"window {number} has {window.inferences} inferences, {MLPERF_TINY.inferences} are needed"


def _view(published: Published) -> TraceView:
    import numpy as np

    samples = published.microjoules.size
    edges = np.linspace(0, samples, min(VIEW_POINTS, samples) + 1)
    period_s = float(edges[1]) / published.rate_hz
    return TraceView(period_s=period_s, power_mw=tuple((published.between(edges) / period_s / 1e3).tolist()))
