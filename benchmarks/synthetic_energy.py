"""Is the stated uncertainty of an energy honest? Thousands of synthetic traces whose true energy is known say so.

The generator is benchmarks/synthetic_traces.py, which says how everything was drawn; the estimator is devices/power/energy.py.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import numpy as np

from benchmarks.result import write
from benchmarks.synthetic_traces import KINDS, MARKER_FAULTS, Fault, Sync, draw, kinds
from edgepipe.devices.power.energy import energy_of
from edgepipe.devices.power.trace import HeldTrace

COMMAND = "python -m benchmarks.synthetic_energy"
TRACES, FAULTY = 5_400, 1_000  # some tell no energy, since their idle power is not steady; 5,000 do
AT_A_TIME = 2


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a trace: errors in units of the stated standard uncertainty, None where no energy was told."""

    kind: str
    sync_class: str
    error: float | None
    dynamic_error: float | None
    share: float | None
    reason: str


def outcome(seed: int, sync: Sync, kind: str, fault: Fault | None = None) -> Outcome:
    """Return how far the energy of one trace is from the truth."""
    drawn = draw(seed, sync, kind, fault)
    energy = energy_of(drawn.facts, HeldTrace(drawn.pieces), drawn.stamps, drawn.idle, marked=sync == "S0")

    def error(told: float | None, k2: float | None, truth: float) -> float | None:
        return None if told is None or k2 is None else (told - truth) / (k2 / 2)

    return Outcome(
        kind=f"{sync} {fault or kind}",
        sync_class=energy.sync_class,
        error=error(energy.energy_uj, energy.uncertainty_uj_k2, drawn.true_uj),
        dynamic_error=error(energy.dynamic_uj, energy.dynamic_uncertainty_uj_k2, drawn.true_dynamic_uj),
        share=None if energy.energy_uj is None else (energy.uncertainty_uj_k2 or 0) / energy.energy_uj,
        reason=energy.reason,
    )


def healthy(count: int) -> list[tuple[int, Sync, str]]:
    """Return seeds and kinds of traces with nothing wrong, as many of each kind."""
    return [(seed, sync, kind) for seed, (sync, kind) in enumerate(islice(cycle(kinds()), count))]


def faulty(count: int) -> list[tuple[int, Sync, str, Fault]]:
    """Return seeds and faults of traces that must give no energy; markers are lost where there are some."""
    pairs = [(sync, fault) for fault in Fault for sync in KINDS if sync == "S0" or fault not in MARKER_FAULTS]
    return [(TRACES + seed, sync, "", fault) for seed, (sync, fault) in enumerate(islice(cycle(pairs), count))]


def spread(errors: Sequence[float]) -> dict[str, float]:
    """Return how often the truth lies within the band, and the mean and standard deviation of error/u."""
    values = np.asarray(errors)
    return {
        "traces": values.size,
        "within_k2": round(float(np.mean(np.abs(values) <= 2)), 4),
        "mean_error_over_u": round(float(values.mean()), 3),
        "sd_error_over_u": round(float(values.std(ddof=1)), 3),
    }


def figures(outcomes: Iterable[Outcome], spoilt: Iterable[Outcome]) -> dict[str, Any]:
    """Return what is reported."""
    outcomes, spoilt = list(outcomes), list(spoilt)
    told = [item for item in outcomes if item.error is not None]
    by_kind = {
        kind: spread([item.error for item in told if item.kind == kind and item.error is not None])
        for kind in sorted({item.kind for item in told})
    }
    wanted, noticed = Counter(item.kind for item in spoilt), Counter(item.kind for item in spoilt if item.error is None)
    shares = [100 * item.share for item in told if item.share is not None]
    return {
        "all": spread([item.error for item in told if item.error is not None]),
        "by_sync_class": {
            sync: spread([item.error for item in told if item.sync_class == sync and item.error is not None])
            for sync in sorted({item.sync_class for item in told})
        },
        "dynamic": spread([item.dynamic_error for item in told if item.dynamic_error is not None]),
        "by_kind": by_kind,
        "least_within_k2_of_a_kind": min(item["within_k2"] for item in by_kind.values()),
        "stated_k2_percent": {f"p{percent}": round(float(np.percentile(shares, percent)), 3) for percent in (5, 50, 95)},
        "drawn": dict(sorted(Counter(item.kind[:2] for item in outcomes).items())),
        "withheld_by_sync_class": dict(sorted(Counter(item.kind[:2] for item in outcomes if item.error is None).items())),
        "withheld": dict(Counter(item.reason.split(":")[0].split(" mW")[0] for item in outcomes if item.error is None)),
        "faults": {kind: {"traces": count, "flagged": noticed[kind]} for kind, count in sorted(wanted.items())},
        "faults_flagged_share": round(sum(noticed.values()) / max(1, sum(wanted.values())), 4),
    }


def run(traces: int, spoilt: int, workers: int = AT_A_TIME) -> dict[str, Any]:
    """Return the figures of so many traces."""
    with ProcessPoolExecutor(workers) as pool:
        fine = list(pool.map(outcome, *zip(*healthy(traces), strict=True), chunksize=20))
        wrong = list(pool.map(outcome, *zip(*faulty(spoilt), strict=True), chunksize=20))
    return figures(fine, wrong)


def main() -> None:
    """Measure and write; a number as an argument is how many traces, and writes nothing."""
    asked = [int(word) for word in sys.argv[1:] if word.isdigit()]
    found = run(asked[0], asked[0] // 5) if asked else run(TRACES, FAULTY)
    print(found)
    if not asked:
        print(write("synthetic_energy", COMMAND, found))


if __name__ == "__main__":
    main()
