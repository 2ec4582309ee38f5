"""Shares of the multiply-accumulates say what was done with which part of the work."""

from __future__ import annotations

import pytest

from edgepipe.facts import Claim, ClaimKind, ModelFacts, OpFacts, Proof, WeightFacts
from edgepipe.pipeline.treatment import treatment
from edgepipe.records import Artefact


def op(layer: str, macs: int, dtype: str = "int8") -> OpFacts:
    return OpFacts(index=0, op="CONV_2D", version=1, layer=layer, macs=macs, input_dtypes=(dtype,), output_dtypes=(dtype,))


def weight(layer: str, dtype: str) -> WeightFacts:
    return WeightFacts(
        name=layer,
        layer=layer,
        op="CONV_2D",
        dtype=dtype,
        shape=(1, 1),
        size_bytes=1,
        elements=1,
        nonzero=1,
        clusters=1,
        clusters_whole=1,
    )


def proof(kind: ClaimKind, *layers: str) -> Proof:
    return Proof(claim=Claim(kind=kind, stage="x", wanted=0.5, layers=layers), measured=0.5, holds=True)


def artefact(
    *ops: OpFacts,
    mode: str = "",
    proofs: tuple[Proof, ...] = (),
    skipped: tuple[str, ...] = (),
    weights: tuple[WeightFacts, ...] = (),
) -> Artefact:
    facts = ModelFacts(
        sha256="0" * 64,
        size_bytes=1,
        gzip_bytes=1,
        inputs=(),
        outputs=(),
        ops=ops,
        weights=weights,
        float_tensors=(),
        dynamic_tensors=(),
        custom_ops=(),
        flex_ops=(),
    )
    return Artefact(
        sha256="0" * 64,
        folder="",
        stage="quantize" if mode else "prune",
        parent=None,
        parameters={"mode": mode} if mode else {},
        versions={},
        facts=facts,
        proofs=proofs,
        skipped_layers=skipped,
        seconds=0.0,
    )


def test_layers_that_training_skipped_count_as_converted_and_float_ones_as_float() -> None:
    made = artefact(op("a", 70), op("b", 20), op("c", 10, "float32"), mode="qat", skipped=("b",))
    assert treatment(made) == {"qat": 0.7, "ptq": 0.2, "float": 0.1}


def test_zeros_of_every_kind_count_once_beside_clusters() -> None:
    proofs = (
        proof(ClaimKind.SPARSITY, "a"),
        proof(ClaimKind.BLOCKS, "a", "b"),
        proof(ClaimKind.PATTERN, "c"),
        proof(ClaimKind.CLUSTERS, "a"),
    )
    shares = treatment(artefact(op("a", 50), op("b", 20), op("c", 20), op("d", 10), proofs=proofs, mode="int8"))
    assert shares == {"pruned": 0.9, "clustered": 0.5, "ptq": 1.0}


def test_a_layer_that_is_used_twice_counts_with_all_its_work() -> None:
    assert treatment(artefact(op("a", 30), op("a", 30), op("b", 40), proofs=(proof(ClaimKind.SPARSITY, "a"),)))["pruned"] == 0.6


def test_integer_weights_in_float_arithmetic_are_a_treatment_of_their_own() -> None:
    made = artefact(
        op("a", 60, "float32"), op("b", 40, "float32"), mode="dynamic", weights=(weight("a", "int8"), weight("b", "float32"))
    )
    assert treatment(made) == {"weights": 0.6, "float": 0.4}


@pytest.mark.parametrize("ops", [(), (op("a", 0),)])
def test_a_model_without_multiplications_has_no_shares(ops: tuple[OpFacts, ...]) -> None:
    assert treatment(artefact(*ops)) == {}
