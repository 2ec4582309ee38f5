"""Claims held against the facts of the file that was written: a stage is believed only for what can be read back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from edgepipe.facts import Claim, ClaimKind, GroupFacts, ModelFacts, Proof, WeightFacts
from edgepipe.pipeline.inspect.number_claims import prove_dtype, prove_float_layers, prove_scales

TOLERANCE = 0.01  # of sparsity: one point


FOUR_INPUTS = (1, 4)  # outputs, inputs


def groups_of(claims: Iterable[Claim]) -> tuple[tuple[int, int], ...]:
    """Return the shapes of groups, (outputs, inputs), that zeros must be counted in to prove these claims."""
    shapes = [_group(claim) for claim in claims if claim.kind in (ClaimKind.BLOCKS, ClaimKind.PATTERN)]
    return tuple(dict.fromkeys(shapes))


def _group(claim: Claim) -> tuple[int, int]:
    return FOUR_INPUTS if claim.shape is None else (claim.shape[1], claim.shape[0])


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


def _blocks(claim: Claim, facts: ModelFacts, own: bool) -> Proof:
    """The share of blocks that are zero throughout, in every layer: within a point or one block of what was asked for, or more."""
    found, missing = _grouped(claim, facts)
    shares = {layer: sum(group.zero for group in groups) / sum(group.groups for group in groups) for layer, groups in found.items()}
    failing = [
        f"{layer}: {share:.3f}"
        for layer, share in shares.items()
        if share < float(claim.wanted) - max(TOLERANCE, 1 / sum(group.groups for group in found[layer])) - 1e-9
    ]
    holds = not failing and not missing and bool(shares)
    return Proof(claim=claim, measured=min(shares.values(), default=0.0), holds=holds, failing=(*failing, *missing))


def _pattern(claim: Claim, facts: ModelFacts, own: bool) -> Proof:
    """No group of four weights along the inputs, which is how the file stores them, holds more than two that are not zero."""
    most = int(str(claim.wanted).split(":")[0])
    found, missing = _grouped(claim, facts)
    fullest = {layer: max(group.most_nonzero for group in groups) for layer, groups in found.items()}
    failing = [f"{layer}: {nonzero} of {FOUR_INPUTS[1]}" for layer, nonzero in fullest.items() if nonzero > most]
    holds = not failing and not missing and bool(fullest)
    return Proof(
        claim=claim, measured=f"{max(fullest.values(), default=0)}:{FOUR_INPUTS[1]}", holds=holds, failing=(*failing, *missing)
    )


def _grouped(claim: Claim, facts: ModelFacts) -> tuple[dict[str, list[GroupFacts]], list[str]]:
    """Return the counts of the claimed layers' groups, and what is missing. Raises ValueError where they were not counted."""
    found, missing = _weights_of(claim, facts)
    shape = _group(claim)
    grouped = {
        layer: [group for weight in weights for group in weight.grouped if group.shape == shape] for layer, weights in found.items()
    }
    if not all(grouped.values()):
        raise ValueError(f"the file was read without counting groups of {shape}")
    return grouped, missing


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


def _fixed_batch(claim: Claim, facts: ModelFacts, own: bool) -> Proof:
    """No tensor's shape is left open."""
    opened = facts.dynamic_tensors
    return Proof(claim=claim, measured=f"{len(opened)} open tensors", holds=not opened, failing=opened)


PROVERS: dict[ClaimKind, Callable[[Claim, ModelFacts, bool], Proof]] = {
    ClaimKind.SPARSITY: _sparsity,
    ClaimKind.BLOCKS: _blocks,
    ClaimKind.PATTERN: _pattern,
    ClaimKind.CLUSTERS: _clusters,
    ClaimKind.DTYPE: prove_dtype,
    ClaimKind.FLOAT_LAYERS: prove_float_layers,
    ClaimKind.SCALES: prove_scales,
    ClaimKind.FIXED_BATCH: _fixed_batch,
}
