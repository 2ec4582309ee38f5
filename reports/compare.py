"""Two stored results side by side, quantity by quantity. They were not interleaved, so only what drift cannot explain is judged.

An A/B test that can see small changes measures both again, in turns, on the same device. Here latency moves with the weather of
two sessions: a throttled Raspberry Pi runs at 600 of 1500 MHz. How far it may have moved is `DRIFT_STEADY` where both sessions
recorded the same clock and no change of throttling, else `DRIFT_UNKNOWN`; a control model measured in both sessions replaces
either by what it moved itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgepipe.energy import Energy
from edgepipe.errors import NotComparable, UsageError
from edgepipe.records import Accuracy, Block, CompressionRecord, DeviceIdentity, LedgerRow, RunOutcome, RunRecord, Verdict
from edgepipe.reports import energy, ledger, stats, summary, words

LATENCY_MARGIN = 0.02
ENERGY_MARGIN = 0.03
DRIFT_STEADY = 1.10  # three times the 3 % that blocks of one session drift by
DRIFT_UNKNOWN = 2.5  # 1500 / 600 MHz
BUILD = "of firmware build "  # its number stands for its sources, its flags and its compiler
OTHER_BUILD = "another edgepipe or another compiler built the firmware in between, and its ticks are others"
OFFLINE = (
    "Two stored results: they were measured at different times, not in turns, so drift of the device cannot be told from a change."
)


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """One thing that both results have, in words, with the verdict on B against A."""

    name: str
    a: str
    b: str
    change: str
    verdict: Verdict
    reason: str


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """B against A. `notes` say what the comparison cannot tell."""

    a: str
    b: str
    quantities: tuple[Quantity, ...]
    verdict: Verdict
    notes: tuple[str, ...]


EXIT_CODES = {
    Verdict.PASS: 0,
    Verdict.IMPROVED: 0,
    Verdict.REGRESSED: 1,
    Verdict.INCONCLUSIVE: 3,
    Verdict.NOT_COMPARABLE: 5,
}


def compare(
    a: RunRecord | CompressionRecord, b: RunRecord | CompressionRecord, *, control: tuple[RunRecord, RunRecord] | None = None
) -> Comparison:
    """Hold `b` against `a`; `control` is one model measured in both sessions.

    What was measured by different meters is `not_comparable` in its own row: the latency has nothing to do with them. Raises
    NotComparable with the fields that differ, and for a measurement that did not end well; UsageError for different kinds.
    """
    if isinstance(a, RunRecord) and isinstance(b, RunRecord):
        return _compare_runs(a, b, control)
    if isinstance(a, CompressionRecord) and isinstance(b, CompressionRecord):
        return _compare_compressions(a, b)
    raise UsageError("one is a measurement, the other a run of a recipe", todo="Give two of the same kind.")


def comparable(a: RunRecord | CompressionRecord, b: RunRecord | CompressionRecord) -> bool:
    """Whether two measurements ended well and were made in the same way."""
    if not isinstance(a, RunRecord) or not isinstance(b, RunRecord):
        return False
    return a.outcome is b.outcome is RunOutcome.OK and a.kind == b.kind and _run_key(a) == _run_key(b)


def _compare_runs(a: RunRecord, b: RunRecord, control: tuple[RunRecord, RunRecord] | None) -> Comparison:
    for record in (a, b, *(control or ())):
        if record.outcome is not RunOutcome.OK:
            raise NotComparable(f"measurement {record.id[:8]} ended as {record.outcome}: {record.reason}", todo="Measure it again.")
    _same_key(_run_key(a), _run_key(b))
    if control:
        _same_key(_run_key(a), _run_key(control[0]), ignoring=("input shapes",))
        _same_key(_run_key(b), _run_key(control[1]), ignoring=("input shapes",))
        _same_key({"control model": control[0].artefact_sha256}, {"control model": control[1].artefact_sha256})
    found = [
        _exact("size", a.model_bytes, b.model_bytes),
        _exact("arena", _arena(a), _arena(b)),
        _latency(a, b, control),
        _accuracy(a.accuracy, b.accuracy),
        _energy(a, b),
    ]
    quantities = tuple(item for item in found if item)
    offline = any(item.name == "latency" for item in quantities) and not a.device.emulated
    notes = (*([OFFLINE] if offline else []), *_unmeasured(a, b))
    return Comparison(a=_name(a), b=_name(b), quantities=quantities, verdict=_overall(quantities), notes=notes)


def _compare_compressions(a: CompressionRecord, b: CompressionRecord) -> Comparison:
    last_a, last_b = ledger.final(a), ledger.final(b)
    if last_a is None or last_b is None:
        raise NotComparable("a run of a recipe that made nothing", todo="Run `edgepipe compress` again.")
    _same_key({"target": a.target, "metric": a.metric}, {"target": b.target, "metric": b.metric})
    found = [
        _exact("size", last_a.raw_bytes, last_b.raw_bytes),
        _exact("size gzip -9", last_a.gzip_bytes, last_b.gzip_bytes),
        _exact("arena", last_a.arena_bytes, last_b.arena_bytes),
        _accuracy(_answers(a, last_a), _answers(b, last_b)),
    ]
    quantities = tuple(item for item in found if item)
    names = [f"{record.recipe} {record.id[:8]} ({words.moment(record.started_utc)})" for record in (a, b)]
    note = "Latency is not compared here: compare two measurements (`edgepipe bench`) for that."
    return Comparison(a=names[0], b=names[1], quantities=quantities, verdict=_overall(quantities), notes=(note,))


def _run_key(record: RunRecord) -> dict[str, object]:
    """Return what must be the same for two measurements to be compared (METHODS, "key"); energies have `energy.way` beside it."""
    runtime, device = record.runtime, record.device
    return {
        "runtime": f"{runtime.name} {BUILD if device.board == 'mcu' else ''}{runtime.version}",
        "delegate": runtime.delegate,
        "threads": runtime.threads,
        "affinity": runtime.affinity,
        "input shapes": record.input_shapes,
        "device": _hardware(device),
        "agent or firmware": device.agent_sha256,
        "emulated": device.emulated,
    }


def _hardware(device: DeviceIdentity) -> str:
    return f"{device.board} {device.serial} ({device.arch}, {device.cpu})"


def _same_key(a: dict[str, object], b: dict[str, object], *, ignoring: Sequence[str] = ()) -> None:
    if differing := _differing(a, b, ignoring):
        cause = OTHER_BUILD if len(differing) == 1 and BUILD in differing[0] else ""
        raise NotComparable("the two were not made in the same way", problems=differing, cause=cause)


def _differing(a: dict[str, object], b: dict[str, object], ignoring: Sequence[str] = ()) -> list[str]:
    return [f"{field}: {a[field]} and {b[field]}" for field in a if a[field] != b[field] and field not in ignoring]


def _name(record: RunRecord) -> str:
    return f"{record.artefact_name} {record.id[:8]} on {record.device.name} ({words.moment(record.started_utc)})"


def _answers(record: CompressionRecord, row: LedgerRow) -> Accuracy | None:
    if row.accuracy is None:
        return None
    data = f"{record.test_sha256} by {row.accuracy_engine}" if record.test_sha256 else ""
    return Accuracy(metric=record.metric, value=row.accuracy, samples=record.test_samples, data_sha256=data, correct=row.correct)


def _exact(name: str, a: float | None, b: float | None) -> Quantity | None:
    """Sizes have no noise: one byte more is more."""
    if a is None or b is None:
        return None
    verdict = Verdict.PASS if a == b else Verdict.IMPROVED if b < a else Verdict.REGRESSED
    change = f"{words.signed(100 * (b / a - 1))} %" if a else words.DASH
    return Quantity(name=name, a=f"{words.whole(a)} B", b=f"{words.whole(b)} B", change=change, verdict=verdict, reason="exact")


def _arena(run: RunRecord) -> int | None:
    return run.memory.arena_bytes if run.memory else None


def _latency(a: RunRecord, b: RunRecord, control: tuple[RunRecord, RunRecord] | None) -> Quantity | None:
    medians_a, medians_b = _medians(a), _medians(b)
    if not medians_a or not medians_b:
        return None
    ratio = stats.median(medians_b) / stats.median(medians_a)
    shown = {"a": words.time(stats.median(medians_a)), "b": words.time(stats.median(medians_b))}
    if a.device.emulated and not a.device.counts_instructions:
        reason = "an emulator's time, which says nothing about hardware"
        return Quantity(name="latency", **shown, change=_change(ratio), verdict=Verdict.INCONCLUSIVE, reason=reason)
    if a.device.emulated:
        verdict = Verdict.PASS if ratio == 1 else Verdict.IMPROVED if ratio < 1 else Verdict.REGRESSED
        return Quantity(
            name="latency",
            **shown,
            change=_change(ratio),
            verdict=verdict,
            reason="emulated: an instruction count, exact, not a time",
        )
    low, high = min(medians_b) / max(medians_a), max(medians_b) / min(medians_a)
    if control:
        before, after = _medians(control[0]), _medians(control[1])
        if not before or not after:
            raise NotComparable("the control model has no blocks", todo="Measure it again.")
        moved_low, moved_high = min(after) / max(before), max(after) / min(before)
        ratio, low, high = ratio / (stats.median(after) / stats.median(before)), low / moved_high, high / moved_low
        why = f"after the control's own change of {_change(stats.median(after) / stats.median(before))}"
    else:
        drift, why = _drift(a, b)
        low, high = low / drift, high * drift
    verdict = _against(low, high, LATENCY_MARGIN)
    reason = f"between {_change(low)} and {_change(high)}, {why}; margin {LATENCY_MARGIN:.0%}"
    return Quantity(name="latency", **shown, change=_change(ratio), verdict=verdict, reason=reason)


def _drift(a: RunRecord, b: RunRecord) -> tuple[float, str]:
    clocks = [state.clock_mhz for block in (*_good(a), *_good(b)) for state in (block.before, block.after)]
    throttles = [state.throttle_bits for block in (*_good(a), *_good(b)) for state in (block.before, block.after)]
    known = [clock for clock in clocks if clock is not None]
    steady = len(known) == len(clocks) and max(known) <= 1.02 * min(known) and len({*throttles}) == 1
    if steady:
        return DRIFT_STEADY, f"allowing {DRIFT_STEADY - 1:.0%} for drift between the sessions"
    return DRIFT_UNKNOWN, f"allowing a factor of {DRIFT_UNKNOWN} for drift: the clock was not the same, or not recorded"


def _against(low: float, high: float, margin: float) -> Verdict:
    """METHODS: worse only where the whole interval is beyond the margin, fine only where none of it is."""
    if low > 1 + margin:
        return Verdict.REGRESSED
    if high < 1:
        return Verdict.IMPROVED
    return Verdict.PASS if high < 1 + margin else Verdict.INCONCLUSIVE


def _accuracy(a: Accuracy | None, b: Accuracy | None) -> Quantity | None:
    if a is None or b is None:
        return None
    shown = {"name": a.metric, "a": f"{a.value:.4f}", "b": f"{b.value:.4f}"}
    if (a.metric, a.data_sha256) != (b.metric, b.data_sha256) or not a.data_sha256:
        reason = "not the same metric on the same test data by the same engine"
        return Quantity(**shown, change=words.DASH, verdict=Verdict.NOT_COMPARABLE, reason=reason)
    if not a.correct or not b.correct or len(a.correct) != len(b.correct):
        verdict = Verdict.PASS if a.value == b.value else Verdict.IMPROVED if b.gain > a.gain else Verdict.REGRESSED
        change = words.signed(b.value - a.value, 4)
        return Quantity(**shown, change=change, verdict=verdict, reason="exact on this data; its single answers were not kept")
    difference = stats.paired_difference(a.correct, b.correct)
    reason = (
        f"{words.points(difference)} points on {difference.samples} samples: {difference.lost} lost, {difference.gained} gained"
    )
    return Quantity(**shown, change=f"{words.signed(difference.points)} points", verdict=_answered(difference), reason=reason)


def _answered(difference: stats.PairedDifference) -> Verdict:
    if difference.high < 0:
        return Verdict.REGRESSED
    if difference.low > 0:
        return Verdict.IMPROVED
    return Verdict.PASS if difference.points >= 0 else Verdict.INCONCLUSIVE


def _energy(a: RunRecord, b: RunRecord) -> Quantity | None:
    before, after = (_joules(run.energy) for run in (a, b))
    if a.energy is None or b.energy is None or before is None or after is None:
        return None
    shown = {"a": _marked(a.energy, before), "b": _marked(b.energy, after)}
    if differing := _differing(energy.way(a.energy), energy.way(b.energy)):
        reason = f"not measured in the same way: {words.visible('; '.join(differing))}"
        return Quantity(name="energy", **shown, change=words.DASH, verdict=Verdict.NOT_COMPARABLE, reason=reason)
    ratio = after[0] / before[0]
    shown["change"] = _change(ratio)
    if a.energy.simulated or not before[1] or not after[1]:
        reason = "simulated: there was no sensor" if a.energy.simulated else "how right they are is not known"
        return Quantity(name="energy", **shown, verdict=Verdict.INCONCLUSIVE, reason=reason)
    spread = ratio * math.hypot(before[1] / before[0], after[1] / after[0])
    drift, why = _drift(a, b)
    low, high = max(0.0, ratio - spread) / drift, (ratio + spread) * drift
    reason = f"between {_change(low)} and {_change(high)}, {why}; margin {ENERGY_MARGIN:.0%}"
    return Quantity(name="energy", **shown, verdict=_against(low, high, ENERGY_MARGIN), reason=reason)


def _joules(energy: Energy | None) -> tuple[float, float] | None:
    """Return microjoules an inference and their uncertainty (k = 2); None where they were not measured."""
    if energy is None or energy.energy_uj is None or energy.uncertainty_uj_k2 is None:
        return None
    return energy.energy_uj, energy.uncertainty_uj_k2


def _marked(measured: Energy, figure: tuple[float, float]) -> str:
    return (f"{energy.SIMULATED} " if measured.simulated else "") + energy.joules(*figure)


def _unmeasured(a: RunRecord, b: RunRecord) -> tuple[str, ...]:
    """Say whose energy is not known where the other's is."""
    without = [name for name, run in (("A", a), ("B", b)) if _joules(run.energy) is None]
    if len(without) != 1:
        return ()
    return (f"The energy of {without[0]} was not measured, so there is nothing to hold against the other's.",)


def _good(record: RunRecord) -> tuple[Block, ...]:
    return summary.good_blocks(record)


def _medians(record: RunRecord) -> list[float]:
    return [block.median_ns for block in _good(record) if block.median_ns]


def _change(ratio: float) -> str:
    return f"{words.signed(100 * (ratio - 1), 1)} %"


def _overall(quantities: Sequence[Quantity]) -> Verdict:
    verdicts = {item.verdict for item in quantities}
    order = (Verdict.REGRESSED, Verdict.NOT_COMPARABLE, Verdict.INCONCLUSIVE, Verdict.IMPROVED, Verdict.PASS)
    return next((verdict for verdict in order if verdict in verdicts), Verdict.NOT_COMPARABLE)
