"""The ledger says what each stage brought, and gates are judged on the last row."""

from __future__ import annotations

from dataclasses import replace

from edgepipe.facts import ModelFacts
from edgepipe.pipeline.ledger import judge_gates, ledger_row
from edgepipe.pipeline.recipe import Gates
from edgepipe.records import Artefact, LedgerRow, Verdict

FACTS = ModelFacts(
    sha256="0" * 64,
    size_bytes=1000,
    gzip_bytes=900,
    inputs=(),
    outputs=(),
    ops=(),
    weights=(),
    float_tensors=(),
    dynamic_tensors=(),
    custom_ops=(),
    flex_ops=(),
)


def row(before: LedgerRow | None = None, *, raw: int = 1000, gzip: int = 900, latency: float | None = 10.0) -> LedgerRow:
    artefact = Artefact(
        sha256="0" * 64,
        folder="",
        stage="prune",
        parent=None,
        parameters={},
        versions={},
        facts=replace(FACTS, size_bytes=raw, gzip_bytes=gzip),
        proofs=(),
        seconds=1.0,
    )
    return ledger_row(
        "prune", artefact, accuracy=None, engine="litert", latency_us=latency, arena_bytes=None, cached=False, before=before
    )


def test_pruning_that_changes_neither_size_nor_speed_did_not_pay() -> None:
    made = row(row())
    assert made.paid is False
    assert "neither" in made.paid_reason


def test_a_smaller_gzip_pays_and_says_that_the_raw_file_is_the_same() -> None:
    made = row(row(), gzip=300)
    assert made.paid is True
    assert "3.0x" in made.paid_reason and "raw file did not change" in made.paid_reason


def test_a_latency_within_the_noise_of_one_block_is_no_gain() -> None:
    assert row(row(), latency=9.0).paid is False
    assert row(row(), latency=5.0).paid is True


def test_a_reference_row_is_not_judged() -> None:
    assert row().paid is None and row().reference


def test_a_gate_is_met_exactly_at_its_limit_and_missed_beyond() -> None:
    gates = judge_gates(Gates(size_bytes=1000, gzip_bytes=899), row(), row(), target_problems=0)
    assert {gate.gate: gate.verdict for gate in gates} == {
        "target_problems": Verdict.PASS,
        "size_bytes": Verdict.PASS,
        "gzip_bytes": Verdict.REGRESSED,
    }


def test_what_was_not_measured_is_inconclusive_and_never_zero() -> None:
    (_, arena, drop) = sorted(
        judge_gates(Gates(arena_bytes=1, accuracy_drop_points=0.5), row(), row(), target_problems=0),
        key=lambda gate: gate.gate != "target_problems",
    )
    assert {arena.verdict, drop.verdict} == {Verdict.INCONCLUSIVE}
    assert arena.measured is None and drop.measured is None


def test_a_squared_error_has_no_points_to_lose() -> None:
    before, after = replace(row(), accuracy=0.01), replace(row(), accuracy=0.5)
    (_, drop) = judge_gates(Gates(accuracy_drop_points=1.0), before, after, target_problems=0, metric="mse")
    assert (drop.verdict, drop.measured) == (Verdict.INCONCLUSIVE, None)


def test_a_file_that_does_not_fit_its_target_misses_a_gate() -> None:
    (gate,) = judge_gates(Gates(), row(), row(), target_problems=2)
    assert (gate.verdict, gate.measured) == (Verdict.REGRESSED, 2)


def test_an_accuracy_drop_of_exactly_the_limit_passes_despite_rounding() -> None:
    before, after = replace(row(), accuracy=0.98), replace(row(), accuracy=0.97)
    (_, drop) = judge_gates(Gates(accuracy_drop_points=1.0), before, after, target_problems=0)
    assert drop.verdict is Verdict.PASS


def test_what_an_edge_tpu_leaves_to_the_cpu_is_a_gate_and_unknown_without_one() -> None:
    gates = Gates(cpu_mac_percent=10)
    verdicts = [
        judge_gates(gates, row(), row(), target_problems=0, cpu_mac_percent=percent)[1].verdict for percent in (10.0, 10.1, None)
    ]
    assert verdicts == [Verdict.PASS, Verdict.REGRESSED, Verdict.INCONCLUSIVE]
