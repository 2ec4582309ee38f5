"""Which share of a file's multiply-accumulates was treated how, read from the file and from what was proved on it."""

from __future__ import annotations

from collections import Counter

from edgepipe.facts import OpFacts
from edgepipe.pipeline.stages.protocol import clustered_layers, sparse_layers
from edgepipe.records import Artefact

STORED_SHORT = ("int8", "int4", "int2")


def treatment(artefact: Artefact) -> dict[str, float]:
    """Return shares of the multiply-accumulates, 0 to 1, by treatment; {} for a model without any.

    `pruned` and `clustered`: in layers whose zeros or clusters were proved; they may overlap. The others add up to 1: `qat`
    (integers, trained for it), `ptq` (integers, by conversion alone), `weights` (integer weights, float arithmetic) and `float`.
    """
    facts = artefact.facts
    if not facts.macs:
        return {}
    claims = [proof.claim for proof in artefact.proofs]
    shares = {
        name: sum(op.macs for op in facts.ops if op.layer in layers) / facts.macs
        for name, layers in (("pruned", sparse_layers(claims)), ("clustered", clustered_layers(claims)))
        if layers
    }
    short = {weight.layer for weight in facts.weights if weight.dtype in STORED_SHORT}
    arithmetic: Counter[str] = Counter()
    for op in facts.ops:
        arithmetic[_arithmetic(op, artefact, op.layer in short)] += op.macs
    return shares | {name: arithmetic[name] / facts.macs for name in ("qat", "ptq", "weights", "float") if arithmetic[name]}


def _arithmetic(op: OpFacts, artefact: Artefact, short_weights: bool) -> str:
    if not op.in_integers:
        return "weights" if short_weights else "float"
    trained = artefact.parameters.get("mode") == "qat" and op.layer not in artefact.skipped_layers
    return "qat" if trained else "ptq"
