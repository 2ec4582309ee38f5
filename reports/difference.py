"""Two model files layer by layer: what each layer weighs and computes in either, matched by name, by shape where names are lost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, fields

from edgepipe.facts import Inspection, OpFacts, Quantisation, TensorFacts, TensorRole

CONVERSIONS = frozenset({"QUANTIZE", "DEQUANTIZE", "DENSIFY"})  # what conversion adds around a layer that stays the same


@dataclass(frozen=True, kw_only=True)
class LayerSum:
    """One layer of one file: its constants' bytes, dtypes, operators, multiply-accumulates, zeros and clusters.

    `dtypes` are those of its weights and of what it gives; `clusters` those of its fullest channel, None without weights.
    `values` are the SHA-256 of its constants.
    """

    name: str
    bytes: int
    dtypes: tuple[str, ...]
    ops: tuple[str, ...]
    macs: int
    weights: int
    nonzero: int
    clusters: int | None
    values: tuple[str, ...]
    quantisation: tuple[Quantisation, ...]
    shapes: tuple[tuple[int, ...], ...]

    @property
    def sparsity(self) -> float | None:
        """Share of its weights that are zero; None without weights."""
        return 1 - self.nonzero / self.weights if self.weights else None


@dataclass(frozen=True, kw_only=True)
class LayerChange:
    """A layer that differs: `a` or `b` is None where only the other file has it; `changed` names the fields of LayerSum."""

    a: LayerSum | None
    b: LayerSum | None
    changed: tuple[str, ...]

    @property
    def name(self) -> str:
        """What the layer is called, in the old file where both have it."""
        side = self.a or self.b
        assert side is not None
        return side.name


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What differs between two files: the layers in their order, and the sums over either file."""

    equal: bool
    layers: tuple[LayerChange, ...]
    totals_a: dict[str, int]
    totals_b: dict[str, int]


def difference(a: Inspection, b: Inspection) -> Difference:
    """Hold `b` against `a`. Files are equal where their SHA-256 is; equal layers are left out."""
    equal = a.facts.sha256 == b.facts.sha256
    pairs = () if equal else _pairs(layer_sums(a), layer_sums(b))
    changes = (LayerChange(a=old, b=new, changed=_changed(old, new)) for old, new in pairs)
    return Difference(
        equal=equal, layers=tuple(change for change in changes if change.changed), totals_a=a.totals, totals_b=b.totals
    )


def layer_sums(inspection: Inspection) -> tuple[LayerSum, ...]:
    """Return the layers of a file in the order of their first operators."""
    ops: dict[str, list[OpFacts]] = defaultdict(list)
    tensors: dict[str, list[TensorFacts]] = defaultdict(list)
    for op in inspection.facts.ops:
        ops[op.layer].append(op)
    for tensor in inspection.tensors:
        tensors[tensor.layer].append(tensor)
    return tuple(_sum(name, ops[name], tensors[name]) for name in ops)


def _sum(name: str, ops: list[OpFacts], tensors: list[TensorFacts]) -> LayerSum:
    weights = [tensor for tensor in tensors if tensor.role is TensorRole.WEIGHT]
    given = (dtype for op in ops for dtype in op.output_dtypes)
    return LayerSum(
        name=name,
        bytes=sum(tensor.stored_bytes for tensor in tensors),
        dtypes=tuple(dict.fromkeys((*(tensor.dtype for tensor in weights), *given))),
        ops=tuple(op.op for op in ops),
        macs=sum(op.macs for op in ops),
        weights=sum(tensor.elements for tensor in weights),
        nonzero=sum(tensor.nonzero or 0 for tensor in weights),
        clusters=max((tensor.clusters or 0 for tensor in weights), default=None),
        values=tuple(sorted(tensor.sha256 for tensor in tensors if tensor.sha256 is not None)),
        quantisation=tuple(tensor.quantisation for tensor in tensors if tensor.quantisation is not None),
        shapes=tuple(sorted(tensor.shape for tensor in weights)),
    )


COMPARED = (*(field.name for field in fields(LayerSum) if field.name not in ("weights", "nonzero")), "sparsity")


def _changed(a: LayerSum | None, b: LayerSum | None) -> tuple[str, ...]:
    if a is None or b is None:
        return ("only in B",) if a is None else ("only in A",)
    return tuple(name for name in COMPARED if getattr(a, name) != getattr(b, name))


Pair = tuple[LayerSum | None, LayerSum | None]


def _pairs(a: tuple[LayerSum, ...], b: tuple[LayerSum, ...]) -> Iterator[Pair]:
    """Yield the layers of `a` in their order, each with its partner, and those that only `b` has behind what they follow there."""
    partners = _partners(a, b)
    taken = frozenset(partners.values())
    following: dict[str | None, list[LayerSum]] = defaultdict(list)
    last = None
    for layer in b:
        if layer.name in taken:
            last = layer.name
        else:
            following[last].append(layer)
    by_name = {layer.name: layer for layer in b}
    yield from ((None, layer) for layer in following[None])
    for layer in a:
        partner = partners.get(layer.name)
        yield layer, None if partner is None else by_name[partner]
        if partner is not None:
            yield from ((None, each) for each in following[partner])


def _partners(a: Iterable[LayerSum], b: Iterable[LayerSum]) -> dict[str, str]:
    """Return the name in `b` of each layer of `a` that has a partner there.

    First by name. Of what is left, the first of a kind goes with the first of that kind: the same operators and weights of the same
    shapes, or else at least the same operators.
    """
    names = {layer.name for layer in b}
    partners = {layer.name: layer.name for layer in a if layer.name in names}
    for kind in (_likeness, _operators):
        taken = set(partners.values())
        left: dict[Hashable, list[str]] = defaultdict(list)
        for layer in b:
            if layer.name not in taken:
                left[kind(layer)].append(layer.name)
        waiting = {key: iter(found) for key, found in left.items()}
        for layer in a:
            if layer.name not in partners and (found := next(waiting.get(kind(layer), iter(())), None)) is not None:
                partners[layer.name] = found
    return partners


def _operators(layer: LayerSum) -> Hashable:
    return tuple(op for op in layer.ops if op not in CONVERSIONS) or layer.ops


def _likeness(layer: LayerSum) -> Hashable:
    return _operators(layer), layer.shapes
