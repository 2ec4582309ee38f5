"""The stated uncertainty is honest: a slice of what benchmarks/synthetic_energy.py does with thousands of traces."""

from __future__ import annotations

from benchmarks.synthetic_energy import faulty, healthy, outcome
from benchmarks.synthetic_traces import KINDS, Fault

TRACES = 180


def test_the_truth_lies_within_the_stated_band() -> None:
    told = [outcome(*drawn) for drawn in healthy(TRACES)]
    assert {found.kind[:2] for found in told} == set(KINDS)
    assert all(found.kind.startswith(found.sync_class) for found in told)
    errors = [found.error for found in told if found.error is not None]
    within = sum(abs(error) <= 2 for error in errors)
    deviation = (sum(error**2 for error in errors) / len(errors)) ** 0.5
    assert len(errors) > 0.9 * TRACES
    assert 0.92 <= within / len(errors) < 1.0
    assert 0.8 <= deviation <= 1.15


def test_every_fault_is_noticed() -> None:
    found = [outcome(*drawn) for drawn in faulty(2 * len(Fault) * 2)]
    assert [item.kind for item in found if item.error is not None] == []
    assert all(item.reason for item in found)


def test_a_meter_that_cannot_tell_of_losses_never_gets_beyond_stamps() -> None:
    found = [outcome(seed, "S2", "drops") for seed in range(3)]
    assert {item.sync_class for item in found} == {"S2"}
