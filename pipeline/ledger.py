"""What each stage cost and brought, one row a stage; and the gates held against the last row."""

from __future__ import annotations

from edgepipe.pipeline.recipe import Gates
from edgepipe.pipeline.treatment import treatment
from edgepipe.records import Accuracy, Artefact, GateResult, LedgerRow, Verdict

# The smallest gain that counts. Bytes are exact; the latency of a single block differs by several percent between two launches.
WORTH = {"raw_bytes": 0.05, "gzip_bytes": 0.05, "arena_bytes": 0.05, "latency_us": 0.20}


def ledger_row(
    stage: str,
    artefact: Artefact,
    *,
    accuracy: Accuracy | None,
    engine: str,
    latency_us: float | None,
    arena_bytes: int | None,
    cached: bool,
    before: LedgerRow | None,
) -> LedgerRow:
    """Return the row of one artefact; `before` is that of the stage before it, None for a reference that stands beside."""
    facts = artefact.facts
    row = {
        "stage": stage,
        "artefact_sha256": artefact.sha256,
        "raw_bytes": facts.size_bytes,
        "gzip_bytes": facts.gzip_bytes,
        "elements": facts.elements,
        "nonzero": facts.nonzero,
        "clusters": max((weight.clusters for weight in facts.weights), default=None),
        "macs": facts.macs,
        "int8_mac_share": facts.int8_mac_share,
        "accuracy": accuracy.value if accuracy else None,
        "accuracy_engine": engine if accuracy else "",
        "correct": accuracy.correct if accuracy else None,
        "latency_us": latency_us,
        "arena_bytes": arena_bytes,
        "seconds": artefact.seconds,
        "cached": cached,
    }
    paid, reason = _paid(row, before) if before else (None, "")
    treated = treatment(artefact)
    return LedgerRow(**row, reference=before is None, paid=paid, paid_reason=reason, treated=treated)  # type: ignore[arg-type]


def _paid(row: dict[str, object], before: LedgerRow) -> tuple[bool, str]:
    """Return whether a stage made anything clearly smaller or faster, and what; size as shipped and as compressed counts."""
    gains = []
    for name, words in (("raw_bytes", "file"), ("gzip_bytes", "gzip"), ("latency_us", "latency"), ("arena_bytes", "arena")):
        new, old = row[name], getattr(before, name)
        if isinstance(new, int | float) and isinstance(old, int | float) and new < old * (1 - WORTH[name]):
            gains.append(f"{words} {old / new:.1f}x smaller" if name != "latency_us" else f"{old / new:.1f}x faster")
    if not gains:
        return False, "neither 5 % smaller nor 20 % faster"
    if gains == [gain for gain in gains if gain.startswith("gzip")]:
        return True, f"{gains[0]}, where it is stored or sent compressed; the raw file did not change"
    return True, ", ".join(gains)


def judge_gates(
    gates: Gates,
    baseline: LedgerRow,
    last: LedgerRow,
    target_problems: int,
    *,
    metric: str = "accuracy",
    cpu_mac_percent: float | None = None,
) -> tuple[GateResult, ...]:
    """Return one result a gate, and one for the target. A gate whose quantity was not measured is inconclusive, never passed.

    `metric` is what the rows' `accuracy` holds: only a share of right answers has percentage points to lose. `cpu_mac_percent` is
    what an Edge TPU leaves to the CPU, None where there is none.
    """
    drop = None
    if metric == "accuracy" and baseline.accuracy is not None and last.accuracy is not None:
        drop = 100 * (baseline.accuracy - last.accuracy)
    measured = {
        "accuracy_drop_points": drop,
        "size_bytes": last.raw_bytes,
        "gzip_bytes": last.gzip_bytes,
        "arena_bytes": last.arena_bytes,
        "latency_us": last.latency_us,
        "cpu_mac_percent": cpu_mac_percent,
    }
    results = [_gate("target_problems", 0, target_problems)]
    results += [_gate(name, limit, value) for name, value in measured.items() if (limit := getattr(gates, name)) is not None]
    return tuple(results)


def _gate(name: str, limit: float, measured: float | None) -> GateResult:
    if measured is None:
        return GateResult(gate=name, limit=limit, measured=None, verdict=Verdict.INCONCLUSIVE)
    # An accuracy is a ratio of counts: its rounding error must not miss a gate that was met exactly.
    met = measured <= limit + 1e-9
    return GateResult(gate=name, limit=limit, measured=measured, verdict=Verdict.PASS if met else Verdict.REGRESSED)
