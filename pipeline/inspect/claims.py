"""Claims held against the facts of the file that was written: a stage is believed only for what can be read back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from edgepipe.facts import Claim, ClaimKind, ModelFacts, Proof, WeightFacts

TOLERANCE = 0.01  # of sparsity: one point
SMALLEST_DYNAMIC = 1024  # elements: the converter leaves smaller weights in float32, since they would gain nothing


def prove(claims: Iterable[Claim], facts: ModelFacts, *, stage: str = "") -> tuple[Proof, ...]:
    """Return one proof per claim. `stage` is who wrote the file: its own sparsity must be met, an earlier stage's at least kept.

    A layer that a claim names and the file does not have fails the claim.
    """
    return tuple(PROVERS[claim.kind](claim, facts, claim.stage == stage) for claim in claims)


def _sparsity(claim: Claim, facts: ModelFacts, own: bool) -> Proof:
    """Every layer and all of them together: within a point of what was asked for (own claim), or not below it (later stages).

    A layer too small for a point is allowed one weight.
    """
    wanted = float(claim.wanted)
    found, missing = _weights_of(claim, facts)

    def fits(weights: Sequence[WeightFacts]) -> bool:
        elements = sum(weight.elements for weight in weights)
        tolerance = max(TOLERANCE, 1 / elements) + 1e-9 if elements else 0.0
        surplus = _share_of_zeros(weights) - wanted
        return surplus >= -tolerance and (surplus <= tolerance or not own)

    failing = [f"{layer}: {_share_of_zeros(weights):.3f}" for layer, weights in found.items() if not fits(weights)]
    everything = [weight for weights in found.values() for weight in weights]
    holds = not failing and not missing and bool(everything) and fits(everything)
    return Proof(claim=claim, measured=_share_of_zeros(everything), holds=holds, failing=(*failing, *missing))


def _share_of_zeros(weights: Iterable[WeightFacts]) -> float:
    counts = [(weight.elements, weight.nonzero) for weight in weights]
    elements = sum(count for count, _ in counts)
    return 1 - sum(nonzero for _, nonzero in counts) / elements if elements else 0.0


def _clusters(claim: Claim, facts: ModelFacts, own: bool) -> Proof:
    """The fullest output channel of every layer holds at most the wanted number of values, zero counted among them."""
    found, missing = _weights_of(claim, facts)
    fullest = {layer: max(weight.clusters for weight in weights) for layer, weights in found.items()}
    failing = [f"{layer}: {clusters}" for layer, clusters in fullest.items() if clusters > float(claim.wanted)]
    holds = not failing and not missing and bool(fullest)
    return Proof(claim=claim, measured=max(fullest.values(), default=0), holds=holds, failing=(*failing, *missing))


def _weights_of(claim: Claim, facts: ModelFacts) -> tuple[dict[str, list[WeightFacts]], list[str]]:
    """Return the claimed layers' weights and what is missing.

    In a layer with several weights the depthwise ones are left out: a separable convolution is pruned and clustered in its
    pointwise part.
    """
    found: defaultdict[str, list[WeightFacts]] = defaultdict(list)
    for weight in facts.weights:
        if not claim.layers or weight.layer in claim.layers:
            found[weight.layer].append(weight)
    pointwise = {layer: [weight for weight in weights if weight.op != "DEPTHWISE_CONV_2D"] for layer, weights in found.items()}
    missing = [f"{layer}: not found in the file" for layer in claim.layers if layer not in found]
    return {layer: pointwise[layer] or weights for layer, weights in found.items()}, missing


def _dtype(claim: Claim, facts: ModelFacts, own: bool) -> Proof:
    """What weights are stored in and ports take: float32, float16, dynamic (int8 weights, float ports) or int8 (no float left)."""
    failing = {
        "float32": lambda: _stored_otherwise(facts, ("float32",), 0) + _ports_otherwise(facts, ("float32",)),
        "float16": lambda: _stored_otherwise(facts, ("float16",), 0) + _ports_otherwise(facts, ("float32", "float16")),
        "dynamic": lambda: _stored_otherwise(facts, ("int8",), SMALLEST_DYNAMIC) + _ports_otherwise(facts, ("float32",)),
        "int8": lambda: [f"{name}: float" for name in facts.float_tensors] + _ports_otherwise(facts, ("int8",)),
    }[str(claim.wanted)]()
    return Proof(claim=claim, measured=_measured_dtype(facts), holds=not failing, failing=tuple(failing))


def _stored_otherwise(facts: ModelFacts, allowed: Sequence[str], smallest: int) -> list[str]:
    return [
        f"{weight.layer or weight.name}: stored as {weight.dtype}"
        for weight in facts.weights
        if weight.dtype not in allowed and weight.elements >= smallest
    ]


def _ports_otherwise(facts: ModelFacts, allowed: Sequence[str]) -> list[str]:
    """Integer ports that are not quantised (indices, lengths) say nothing of the arithmetic and are let pass."""
    ports = [(port, "input") for port in facts.inputs] + [(port, "output") for port in facts.outputs]
    return [
        f"{side} {port.name}: {port.dtype}"
        for port, side in ports
        if port.dtype not in allowed and not (port.scale is None and port.dtype in ("int32", "int64", "bool"))
    ]


def _measured_dtype(facts: ModelFacts) -> str:
    stored = "+".join(sorted({weight.dtype for weight in facts.weights})) or "none"
    ports = "+".join(sorted({port.dtype for port in (*facts.inputs, *facts.outputs)}))
    return f"weights {stored}, ports {ports}, {len(facts.float_tensors)} float tensors"


def _fixed_batch(claim: Claim, facts: ModelFacts, own: bool) -> Proof:
    """No tensor's shape is left open."""
    opened = facts.dynamic_tensors
    return Proof(claim=claim, measured=f"{len(opened)} open tensors", holds=not opened, failing=opened)


PROVERS: dict[ClaimKind, Callable[[Claim, ModelFacts, bool], Proof]] = {
    ClaimKind.SPARSITY: _sparsity,
    ClaimKind.CLUSTERS: _clusters,
    ClaimKind.DTYPE: _dtype,
    ClaimKind.FIXED_BATCH: _fixed_batch,
}
