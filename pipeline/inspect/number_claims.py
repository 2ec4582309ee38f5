"""Claims about what a file's numbers are: types of weights, activations and ports, layers left in float, scales."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from edgepipe.facts import Claim, ModelFacts, OpFacts, Proof, WeightFacts
from edgepipe.pipeline.inspect.graph import FLOATS

SMALLEST_DYNAMIC = 1024  # elements: the converter leaves smaller weights in float32, since they would gain nothing
QUANTISED = ("int8", "int16")
INDICES = ("int32", "int64", "bool")  # shapes, positions, masks
BIASED = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})  # their third input is a bias
PER_CHANNEL = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})  # for which every runtime knows a scale a channel
NO_INT4 = frozenset({"DEPTHWISE_CONV_2D"})  # LiteRT computes it with 8-bit weights at least
LOOKED_UP = frozenset({"GATHER", "EMBEDDING_LOOKUP"})  # whose rows come out as activations, in their type
BETWEEN = frozenset({"QUANTIZE", "DEQUANTIZE"})  # stand between float and integers, of neither's layers


def prove_dtype(claim: Claim, facts: ModelFacts, own: bool) -> Proof:
    """What weights are stored in, activations computed in and ports take; `layers` limits what is asked of the weights."""
    failing = tuple(DTYPES[str(claim.wanted)](facts, claim.layers))
    return Proof(claim=claim, measured=_measured(facts), holds=not failing, failing=failing)


def prove_float_layers(claim: Claim, facts: ModelFacts, own: bool) -> Proof:
    """The named layers compute in float, all others in integers; what only converts between the two is of no layer."""
    ops = [op for op in facts.ops if op.op not in BETWEEN]
    chosen = set(claim.layers)
    failing = [f"{_where(op)}: float" for op in ops if op.layer not in chosen and not op.in_integers]
    failing += [
        f"{_where(op)}: integers" for op in ops if op.layer in chosen and op.in_integers and set(QUANTISED) & set(op.output_dtypes)
    ]
    found = dict.fromkeys(op.layer for op in ops if not op.in_integers)
    failing += [f"{layer}: not found in the file" for layer in claim.layers if layer not in {op.layer for op in ops}]
    failing += _ports_otherwise(facts, QUANTISED)
    return Proof(claim=claim, measured=", ".join(found) or "none", holds=not failing, failing=tuple(failing))


def prove_scales(claim: Claim, facts: ModelFacts, own: bool) -> Proof:
    """Quantised weights of convolutions and dense layers have a scale for each output channel, or one for all."""
    weights = [weight for weight in facts.weights if weight.op in PER_CHANNEL and weight.scales]
    one = claim.wanted == "per tensor"
    failing = tuple(
        f"{weight.layer or weight.name}: {weight.scales} {'scale' if weight.scales == 1 else 'scales'}"
        for weight in weights
        if weight.scales != (1 if one else _channels(weight))
    )
    most = max((weight.scales for weight in weights), default=0)
    return Proof(
        claim=claim, measured=f"1 to {most} scales a tensor" if most > 1 else "1 scale a tensor", holds=not failing, failing=failing
    )


def _channels(weight: WeightFacts) -> int:
    return weight.shape[-1] if weight.op == "DEPTHWISE_CONV_2D" else weight.shape[0]


def _where(op: OpFacts) -> str:
    return f"{op.layer or 'operator ' + str(op.index)} ({op.op})"


def _float32(facts: ModelFacts, layers: Sequence[str]) -> Iterator[str]:
    yield from _stored_otherwise(facts, ("float32",), 0, layers)
    yield from _ports_otherwise(facts, ("float32",))


def _float16(facts: ModelFacts, layers: Sequence[str]) -> Iterator[str]:
    yield from _stored_otherwise(facts, ("float16",), 0, layers)
    yield from _ports_otherwise(facts, ("float32", "float16"))


def _dynamic(facts: ModelFacts, layers: Sequence[str]) -> Iterator[str]:
    yield from _stored_otherwise(facts, ("int8",), SMALLEST_DYNAMIC, layers)
    yield from _ports_otherwise(facts, ("float32",))


def _int4(facts: ModelFacts, layers: Sequence[str]) -> Iterator[str]:
    """Weights of 4 bits wherever LiteRT has a kernel for them."""
    able = replace(facts, weights=tuple(weight for weight in facts.weights if weight.op not in NO_INT4))
    yield from _stored_otherwise(able, ("int4",), 0, layers)
    yield from _ports_otherwise(facts, ("float32",))


def _int8(facts: ModelFacts, layers: Sequence[str]) -> Iterator[str]:
    yield from (f"{name}: float" for name in facts.float_tensors)
    yield from _ports_otherwise(facts, ("int8",))


def _int16x8(facts: ModelFacts, layers: Sequence[str]) -> Iterator[str]:
    """Activations in int16, weights in int8, biases in int64, no float anywhere."""
    yield from (f"{name}: float" for name in facts.float_tensors)
    multiplied = replace(facts, weights=tuple(weight for weight in facts.weights if weight.op not in LOOKED_UP))
    yield from _stored_otherwise(multiplied, ("int8",), 0, layers)
    yield from _ports_otherwise(facts, ("int16",))
    for op in facts.ops:
        activations = (*op.input_dtypes[:1], *op.output_dtypes)
        yield from (f"{_where(op)}: computes in {dtype}" for dtype in activations if dtype not in ("int16", *INDICES, *FLOATS))
        if op.op in BIASED and len(op.input_dtypes) > 2 and op.input_dtypes[2] != "int64":
            yield f"{_where(op)}: its bias is {op.input_dtypes[2]}"


def _stored_otherwise(facts: ModelFacts, allowed: Sequence[str], smallest: int, layers: Sequence[str]) -> Iterator[str]:
    for weight in facts.weights:
        asked = not layers or weight.layer in layers
        if asked and weight.dtype not in allowed and weight.elements >= smallest:
            yield f"{weight.layer or weight.name}: stored as {weight.dtype}"


def _ports_otherwise(facts: ModelFacts, allowed: Sequence[str]) -> list[str]:
    """Integer ports that are not quantised (indices, lengths) say nothing of the arithmetic and are let pass."""
    ports = [(port, "input") for port in facts.inputs] + [(port, "output") for port in facts.outputs]
    return [
        f"{side} {port.name}: {port.dtype}"
        for port, side in ports
        if port.dtype not in allowed and not (port.scale is None and port.dtype in INDICES)
    ]


def _measured(facts: ModelFacts) -> str:
    stored = "+".join(sorted({weight.dtype for weight in facts.weights})) or "none"
    ports = "+".join(sorted({port.dtype for port in (*facts.inputs, *facts.outputs)}))
    return f"weights {stored}, ports {ports}, {len(facts.float_tensors)} float tensors"


DTYPES: dict[str, Callable[[ModelFacts, Sequence[str]], Iterator[str]]] = {
    "float32": _float32,
    "float16": _float16,
    "dynamic": _dynamic,
    "int4": _int4,
    "int8": _int8,
    "int16x8": _int16x8,
}
