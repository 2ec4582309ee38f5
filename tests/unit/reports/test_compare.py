"""Offline comparison judges what drift cannot explain, and nothing else."""

from __future__ import annotations

import dataclasses

import pytest

from edgepipe.energy import Energy
from edgepipe.errors import NotComparable, UsageError
from edgepipe.records import Accuracy, CompressionRecord, RunRecord, Snapshot, Verdict
from edgepipe.reports.compare import EXIT_CODES, Comparison, Quantity, compare

Runs = dict[str, RunRecord]
STEADY = Snapshot(clock_mhz=1500.0, throttle_bits=0, governor="performance")


def scaled(record: RunRecord, factor: float, state: Snapshot | None = None) -> RunRecord:
    """The same measurement, every block slower by `factor`, under the conditions `state`."""
    blocks = tuple(
        dataclasses.replace(
            block, median_ns=(block.median_ns or 0) * factor, before=state or block.before, after=state or block.after
        )
        for block in record.blocks
    )
    return dataclasses.replace(record, id=f"{record.id[:-4]}beef", blocks=blocks)


def quantity(result: Comparison, name: str) -> Quantity:
    return next(item for item in result.quantities if item.name == name)


def answered(record: RunRecord, correct: list[bool], data: str = "d1") -> RunRecord:
    accuracy = Accuracy(
        metric="accuracy", value=sum(correct) / len(correct), samples=len(correct), data_sha256=data, correct=tuple(correct)
    )
    return dataclasses.replace(record, accuracy=accuracy, blocks=())


def test_the_same_measurement_twice_is_inconclusive_not_passed(runs: Runs) -> None:
    result = compare(runs["local-float"], runs["local-float"])
    assert quantity(result, "latency").verdict is Verdict.INCONCLUSIVE
    assert quantity(result, "size").verdict is Verdict.PASS
    assert EXIT_CODES[result.verdict] == 3
    assert "not in turns" in result.notes[0]


@pytest.mark.parametrize(
    ("factor", "state", "verdict"),
    [
        (1.05, STEADY, Verdict.INCONCLUSIVE),  # drift could have done that
        (1.30, STEADY, Verdict.REGRESSED),
        (1.30, None, Verdict.INCONCLUSIVE),  # the clock is not known: a throttled board is 2.5 times slower
        (2.80, None, Verdict.REGRESSED),
        (0.70, STEADY, Verdict.IMPROVED),
        (0.70, None, Verdict.INCONCLUSIVE),
    ],
)
def test_a_change_that_drift_explains_is_never_judged(runs: Runs, factor: float, state: Snapshot | None, verdict: Verdict) -> None:
    old = scaled(runs["local-float"], 1, state)
    assert quantity(compare(old, scaled(old, factor)), "latency").verdict is verdict


def test_a_changed_clock_is_not_steady(runs: Runs) -> None:
    old = scaled(runs["local-float"], 1, STEADY)
    new = scaled(old, 1.3, dataclasses.replace(STEADY, clock_mhz=600.0))
    assert quantity(compare(old, new), "latency").verdict is Verdict.INCONCLUSIVE


def test_a_control_model_replaces_the_allowance_for_drift(runs: Runs) -> None:
    old, control = runs["local-float"], runs["local-small"]
    slower = scaled(old, 1.3)
    assert quantity(compare(old, slower, control=(control, control)), "latency").verdict is Verdict.REGRESSED
    drifted = (control, scaled(control, 1.3))
    assert quantity(compare(old, slower, control=drifted), "latency").verdict is Verdict.PASS


def test_emulated_counts_are_compared_exactly_and_are_called_no_time(runs: Runs) -> None:
    old = runs["emulated-small"]
    assert quantity(compare(old, old), "latency").verdict is Verdict.PASS
    result = quantity(compare(old, scaled(old, 1.0001)), "latency")
    assert result.verdict is Verdict.REGRESSED
    assert "not a time" in result.reason


def test_an_emulated_linux_boards_times_decide_nothing(runs: Runs) -> None:
    device = dataclasses.replace(runs["pi4-small"].device, emulated=True)
    old = dataclasses.replace(runs["pi4-small"], device=device)
    result = quantity(compare(old, scaled(old, 2.0)), "latency")
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "says nothing about hardware" in result.reason


def test_one_byte_more_is_more(runs: Runs) -> None:
    old = runs["local-float"]
    larger = dataclasses.replace(old, model_bytes=old.model_bytes + 1)
    assert compare(old, larger).verdict is Verdict.REGRESSED
    assert quantity(compare(larger, old), "size").verdict is Verdict.IMPROVED


@pytest.mark.parametrize(
    ("lost", "gained", "verdict"),
    [
        (0, 0, Verdict.PASS),
        (1, 0, Verdict.INCONCLUSIVE),
        (30, 2, Verdict.REGRESSED),
        (2, 30, Verdict.IMPROVED),
        (3, 3, Verdict.PASS),
    ],
)
def test_accuracy_is_compared_answer_by_answer(runs: Runs, lost: int, gained: int, verdict: Verdict) -> None:
    old = [True] * 500 + [False] * 40
    new = [False] * lost + [True] * (500 - lost) + [True] * gained + [False] * (40 - gained)
    a, b = answered(runs["local-float"], old), answered(runs["local-float"], new)
    result = quantity(compare(a, b), "accuracy")
    assert result.verdict is verdict
    assert f"{lost} lost, {gained} gained" in result.reason


def test_answers_to_other_data_are_not_comparable(runs: Runs) -> None:
    a, b = answered(runs["local-float"], [True] * 9), answered(runs["local-float"], [True] * 9, data="d2")
    assert quantity(compare(a, b), "accuracy").verdict is Verdict.NOT_COMPARABLE
    assert EXIT_CODES[compare(a, b).verdict] == 5


@pytest.mark.parametrize(("new", "verdict"), [(0.02, Verdict.REGRESSED), (0.005, Verdict.IMPROVED), (0.01, Verdict.PASS)])
def test_a_larger_squared_error_is_worse(runs: Runs, new: float, verdict: Verdict) -> None:
    a, b = (
        dataclasses.replace(
            runs["local-float"], accuracy=Accuracy(metric="mse", value=value, samples=9, data_sha256="d"), blocks=()
        )
        for value in (0.01, new)
    )
    assert quantity(compare(a, b), "mse").verdict is verdict


def test_another_way_of_measuring_is_refused_with_every_field_that_differs(runs: Runs) -> None:
    old = runs["local-float"]
    other = dataclasses.replace(old, runtime=dataclasses.replace(old.runtime, threads=4, delegate="none"))
    with pytest.raises(NotComparable) as caught:
        compare(old, other)
    assert caught.value.problems == ("delegate: xnnpack and none", "threads: 1 and 4")
    assert caught.value.exit_code == 5


def test_another_build_of_the_firmware_is_called_that(runs: Runs) -> None:
    old = runs["emulated-small"]
    rebuilt = dataclasses.replace(old, runtime=dataclasses.replace(old.runtime, version="41477de46f9a"))
    with pytest.raises(NotComparable) as caught:
        compare(old, rebuilt)
    assert caught.value.problems[0].endswith(f"and {old.runtime.name} of firmware build 41477de46f9a")
    assert "another compiler" in caught.value.cause


@pytest.mark.parametrize("other", ["pi4-small", "emulated-small"])
def test_another_board_is_refused(runs: Runs, other: str) -> None:
    with pytest.raises(NotComparable, match="device"):
        compare(runs["local-small"], runs[other])


def test_a_measurement_that_failed_is_refused_with_its_reason(runs: Runs) -> None:
    with pytest.raises(NotComparable, match="rejected: arena of 32,768 bytes"):
        compare(runs["emulated-small"], runs["emulated-rejected"])


def test_energies_of_different_methods_are_never_compared_and_the_latency_is_all_the_same(runs: Runs) -> None:
    energy = Energy(energy_uj=100.0, uncertainty_uj_k2=1.0, method="ina226", sync_class="S0", self_measured=False)
    a = dataclasses.replace(scaled(runs["local-float"], 1, STEADY), energy=energy)
    b = dataclasses.replace(a, energy=dataclasses.replace(energy, energy_uj=130.0))
    grown = quantity(compare(a, b), "energy")
    assert grown.verdict is Verdict.REGRESSED
    assert (grown.a, grown.b) == ("100.0 ± 1.0 µJ", "130.0 ± 1.0 µJ")
    sure = dataclasses.replace(a, energy=dataclasses.replace(energy, energy_uj=130.0, uncertainty_uj_k2=0.0))
    assert quantity(compare(a, sure), "energy").verdict is Verdict.INCONCLUSIVE
    other = dataclasses.replace(energy, method="ppk2", sync_class="S2", energy_uj=130.0)
    mixed = compare(a, dataclasses.replace(a, energy=other))
    refused = quantity(mixed, "energy")
    assert (refused.verdict, refused.change) == (Verdict.NOT_COMPARABLE, "–")
    assert refused.reason == "not measured in the same way: method: ina226 and ppk2; synchronisation: S0 and S2"
    assert quantity(mixed, "size").verdict is Verdict.PASS
    assert quantity(mixed, "latency") == quantity(compare(a, b), "latency")
    assert EXIT_CODES[mixed.verdict] == 5
    slower = dataclasses.replace(scaled(a, 1.3), energy=other)
    assert EXIT_CODES[compare(a, slower).verdict] == 1  # a regression comes before what cannot be compared


def test_each_thing_about_how_an_energy_was_measured_makes_it_another_one(runs: Runs) -> None:
    energy = Energy(energy_uj=100.0, uncertainty_uj_k2=1.0, method="ina226", sync_class="S0", self_measured=False, meter="ina226 a")
    old = dataclasses.replace(runs["local-float"], energy=energy)
    others = (
        dataclasses.replace(energy, meter="ina226 b"),
        dataclasses.replace(energy, method="ina226, 4 windows"),
        dataclasses.replace(energy, sync_class="S2"),
        dataclasses.replace(energy, self_measured=True),
        dataclasses.replace(energy, simulated=True),
    )
    for other in others:
        found = quantity(compare(old, dataclasses.replace(old, energy=other)), "energy")
        assert found.verdict is Verdict.NOT_COMPARABLE
        assert found.b.startswith("simulated ") is other.simulated


@pytest.mark.parametrize("reason", [None, "idle drift"])
def test_an_energy_that_only_one_of_them_has_is_told(runs: Runs, reason: str | None) -> None:
    energy = Energy(energy_uj=100.0, uncertainty_uj_k2=1.0, method="ina226", sync_class="S0", self_measured=False)
    without = dataclasses.replace(energy, energy_uj=None, uncertainty_uj_k2=None, reason=reason) if reason else None
    a, b = (dataclasses.replace(runs["local-float"], energy=one) for one in (energy, without))
    assert "The energy of B was not measured" in compare(a, b).notes[-1]
    assert "The energy of A was not measured" in compare(b, a).notes[-1]
    assert not any("energy" in note for note in compare(a, a).notes)


def test_simulated_energies_are_marked_beside_each_figure_and_judged_by_nobody(runs: Runs) -> None:
    energy = Energy(
        energy_uj=100.0, uncertainty_uj_k2=1.0, method="simulated", sync_class="S0", self_measured=False, simulated=True
    )
    a = dataclasses.replace(scaled(runs["local-float"], 1, STEADY), energy=energy)
    found = quantity(compare(a, a), "energy")
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.a == found.b == "simulated 100.0 ± 1.0 µJ"


def test_two_runs_of_a_recipe_are_compared_by_what_they_made(compression: CompressionRecord) -> None:
    result = compare(compression, compression)
    assert {item.name for item in result.quantities} == {"size", "size gzip -9", "arena", "accuracy"}
    assert result.verdict is Verdict.PASS


def test_a_measurement_and_a_recipe_are_two_kinds(runs: Runs, compression: CompressionRecord) -> None:
    with pytest.raises(UsageError, match="a measurement"):
        compare(runs["local-float"], compression)
